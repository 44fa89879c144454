//! Handles any other file: counts its lines and words and writes a report.

use std::fmt::Write;

use super::{Reply, plan::quoted, report, view::View};

/// Counts lines, words and the most frequent words. For a file that is not text, only its size is determined.
const COUNT: &str = r#"if [ ! -f "$f" ]; then echo '@@ missing'; ls -a; echo '@@ end'; exit 0; fi
size=$(wc -c < "$f" | tr -d ' ')
if [ "$size" -gt 0 ] && [ "$(head -c 4096 "$f" | LC_ALL=C tr -d '\000' | wc -c)" -ne "$(head -c 4096 "$f" | wc -c)" ]; then
    echo '@@ binary'; echo "$size"; echo '@@ end'; exit 0
fi
mkdir -p output || exit 1
top=$(LC_ALL=C tr 'A-Z' 'a-z' < "$f" | LC_ALL=C tr -cs "a-z0-9\200-\377'" '\n' | awk '
    length($0) > 3 { if ($0 in n || kinds < 100000) { if (!($0 in n)) kinds++; n[$0]++ } }
    END { for (w in n) print n[w] "\t" w }' | LC_ALL=C sort -k1,1nr -k2 | head -n 10)
stats=$(LC_ALL=C awk '
    { words += NF; if (length($0) > longest) longest = length($0); if ($0 ~ /^[ \t\r]*$/) blank++ }
    END { printf "lines\t%.0f\nblank lines\t%.0f\nwords\t%.0f\nlongest line, in bytes\t%.0f\n", NR, blank, words, longest }' "$f")
{
    printf '# %s\n\n| measure | count |\n| --- | ---: |\n| bytes | %s |\n' "$f" "$size"
    printf '%s\n' "$stats" | awk -F '\t' '{ print "| " $1 " | " $2 " |" }'
    printf '\n## Most frequent words of four letters or more\n\n| word | count |\n| --- | ---: |\n'
    printf '%s\n' "$top" | awk -F '\t' 'NF == 2 { print "| " $2 " | " $1 " |" }'
} > output/report.md || exit 1
echo '@@ facts'; echo "bytes	$size"; printf '%s\n' "$stats"
printf '%s\n' "$top" | head -n 3 | awk -F '\t' 'NF == 2 { print "top\t" $2 "\t" $1 }'
echo '@@ begin'; head -c 300 "$f" | head -n 3; echo; echo '@@ end'
"#;

pub(super) fn next(view: &View<'_>, file: &str) -> Reply {
    let Some(count) = view.answer("count") else {
        let path = if file.starts_with('-') {
            format!("./{file}")
        } else {
            file.to_owned()
        };
        let command = format!("f={}\n{COUNT}", quoted(&path));
        return Reply::call(
            format!("{file} is not a table. I'll count its lines and words."),
            view.bash("count", &command),
        );
    };
    if count.section("missing").is_some() {
        return Reply::say(format!("There is no file {file} in the workspace."));
    }
    if let Some(size) = count.section("binary") {
        return Reply::say(format!(
            "{file} is not text; it has {} bytes. The built-in demo model can only work on CSV and other text files.",
            size.trim()
        ));
    }
    let Some(facts) = count.section("facts").filter(|_| !count.is_error) else {
        return Reply::say(format!("I could not count the words of {file}: {}", count.excerpt()));
    };
    let of = |name: &str| {
        let found = facts
            .lines()
            .find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix('\t'));
        found.unwrap_or("?").to_owned()
    };
    let top: Vec<String> = facts
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("top\t")?.split_once('\t'))
        .map(|(word, times)| format!("“{word}” ({times})"))
        .collect();
    let mut text = format!(
        "**{file}** has {} lines ({} of them blank), {} words and {} bytes.",
        of("lines"),
        of("blank lines"),
        of("words"),
        of("bytes")
    );
    if !top.is_empty() {
        let _ = write!(
            text,
            " The most frequent words of four letters or more: {}.",
            top.join(", ")
        );
    }
    Reply::say(format!(
        "{text}\n\nThe counts are in `{}`. The built-in demo model wrote this answer: it counts by fixed rules and does \
         not understand the text.",
        report::PATH
    ))
}
