//! Finds the words of a search in a text, and cuts a snippet around them.
//!
//! Search and text are folded in the same way: compatibility decomposition (NFKD), lower case, and ß as ss. A word is
//! compared literally, so `50%` and `c++` are words too. In scripts without spaces between words, a word matches
//! anywhere.

use std::ops::Range;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Maximum length of a search in characters.
pub const MAX_SEARCH: usize = 200;
/// Maximum length of a snippet in characters.
const MAX_SNIPPET: usize = 160;
/// Maximum number of characters of a snippet before the first word.
const BEFORE: usize = 40;

/// The words of a search. The last word also matches longer words that begin with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

/// A part of a snippet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub text: String,
    /// True if the part is a word of the search.
    pub is_word: bool,
}

impl Words {
    /// `None` if the text has no words.
    pub fn of(search: &str) -> Option<Self> {
        let mut words = Vec::new();
        let folded = folded(search);
        let mut rest = folded.split_whitespace().peekable();
        while let Some(word) = rest.next() {
            // A repeated word says nothing new, except the last one, which may be the beginning of a word.
            if rest.peek().is_none() || !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        (!words.is_empty()).then_some(Self(words))
    }

    /// Returns true if the text contains every word.
    pub fn are_in(&self, text: &str) -> bool {
        let text = folded(text);
        (0..self.0.len()).all(|word| self.places(&text, word).next().is_some())
    }

    /// Returns the text around the first word, with line breaks as spaces.
    pub fn snippet(&self, text: &str) -> Vec<Part> {
        let (folded, origins) = folded_with_origins(text);
        let mut found: Vec<Range<usize>> = (0..self.0.len())
            .flat_map(|word| self.places(&folded, word).take(MAX_SNIPPET).collect::<Vec<_>>())
            .map(|place| origins[place.start].start..origins[place.end - 1].end)
            .collect();
        found.sort_unstable_by_key(|place| (place.start, place.end));
        let first = found.first().map_or(0, |place| place.start);
        let start = text[..first]
            .char_indices()
            .rev()
            .take(BEFORE)
            .last()
            .map_or(first, |(at, _)| at);
        let end = text[start..]
            .char_indices()
            .nth(MAX_SNIPPET)
            .map_or(text.len(), |(at, _)| start + at);
        let mut parts = Vec::new();
        let mut at = start;
        if start > 0 {
            add(&mut parts, "…", false);
        }
        for place in found {
            if place.start < at || place.start >= end {
                continue;
            }
            add(&mut parts, &text[at..place.start], false);
            at = place.end.min(end);
            add(&mut parts, &text[place.start..at], true);
        }
        add(&mut parts, &text[at..end], false);
        if end < text.len() {
            add(&mut parts, "…", false);
        }
        parts
    }

    /// The places of a word in a folded text.
    fn places<'a>(&'a self, text: &'a str, at: usize) -> impl Iterator<Item = Range<usize>> + 'a {
        let word = self.0[at].as_str();
        let is_prefix = at + 1 == self.0.len();
        let mut from = 0;
        std::iter::from_fn(move || {
            loop {
                let start = from + text.get(from..)?.find(word)?;
                let place = start..start + word.len();
                if is_whole(text, &place, is_prefix) {
                    from = place.end;
                    return Some(place);
                }
                from = next_start(text, start);
            }
        })
    }
}

/// The next place after `at` where a word can begin.
fn next_start(text: &str, at: usize) -> usize {
    let mut letters = text[at..].char_indices();
    let mut before = letters.next().map(|(_, letter)| letter);
    for (offset, letter) in letters {
        if !is_joined(before, Some(letter)) {
            return at + offset;
        }
        before = Some(letter);
    }
    text.len()
}

/// Returns true if the place begins at the beginning of a word, and ends at its end unless `is_prefix`.
fn is_whole(text: &str, place: &Range<usize>, is_prefix: bool) -> bool {
    let (before, word, after) = (
        &text[..place.start],
        &text[place.clone()],
        text[place.end..].chars().next(),
    );
    if after.is_some_and(is_combining_mark) || is_joined(before.chars().next_back(), word.chars().next()) {
        return false;
    }
    is_prefix || !is_joined(word.chars().next_back(), after)
}

/// Returns true if both letters belong to one word.
fn is_joined(left: Option<char>, right: Option<char>) -> bool {
    left.zip(right).is_some_and(|(left, right)| {
        is_of_word(left) && is_of_word(right) && !is_spaceless(left) && !is_spaceless(right)
    })
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || is_combining_mark(letter)
}

/// Scripts without spaces between words: Thai, Lao, Khmer, Japanese and Chinese.
fn is_spaceless(letter: char) -> bool {
    matches!(
        letter,
        '\u{0E00}'..='\u{0EFF}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}'
    )
}

fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        fold(letter, &mut folded);
    }
    folded
}

/// Also returns, for each byte of the folded text, the range of the letter in the text.
fn folded_with_origins(text: &str) -> (String, Vec<Range<usize>>) {
    let (mut folded, mut origins) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
    for (at, letter) in text.char_indices() {
        fold(letter, &mut folded);
        origins.resize(folded.len(), at..at + letter.len_utf8());
    }
    (folded, origins)
}

fn fold(letter: char, folded: &mut String) {
    if letter.is_ascii() {
        folded.push(letter.to_ascii_lowercase());
        return;
    }
    // Decomposed again after the lower case, because that of İ contains a combining mark.
    for lower in letter.to_lowercase() {
        decompose_compatible(lower, |part| match part {
            'ß' => folded.push_str("ss"),
            'ς' => folded.push('σ'),
            'ı' => folded.push('i'),
            '\u{0307}' if letter == 'İ' => {}
            part => folded.extend(part.to_lowercase()),
        });
    }
}

fn add(parts: &mut Vec<Part>, text: &str, is_word: bool) {
    if text.is_empty() {
        return;
    }
    let text = text.replace(|letter: char| letter.is_whitespace() || letter.is_control(), " ");
    match parts.last_mut() {
        Some(last) if last.is_word == is_word => last.text.push_str(&text),
        _ => parts.push(Part { text, is_word }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(search: &str, text: &str) -> bool {
        Words::of(search).is_some_and(|words| words.are_in(text))
    }

    fn marked(search: &str, text: &str) -> String {
        let parts = Words::of(search).map(|words| words.snippet(text)).unwrap_or_default();
        let marked = |part: &Part| {
            if part.is_word {
                format!("[{}]", part.text)
            } else {
                part.text.clone()
            }
        };
        parts.iter().map(marked).collect()
    }

    #[test]
    fn all_words_must_occur_and_the_last_one_may_be_a_beginning() {
        for (search, text) in [
            ("sales march", "The sales of March."),
            ("SALES mar", "The sales of March."),
            ("march sales", "The sales of March."),
            ("mar", "(March)"),
            ("éclair", "An E\u{301}CLAIR"),
            ("e\u{301}clair", "An ÉCLAIR"),
            ("strasse", "Lange Straße"),
            ("straße", "LANGE STRASSE"),
            ("istanbul", "İstanbul"),
            ("天气", "今天天气很好"),
            ("天气 blue", "今天天气很好blue"),
            ("ｂｌｕｅ", "blue"),
            ("50%", "It grew by 50%."),
            ("c++", "Use C++."),
            ("a_b", "call a_b()"),
            ("\"or\"", "say \"or\" here"),
            ("1.1", "v1.1.1"),
            ("10-10", "x10-10-10"),
            ("a_a", "ba_a_a"),
            ("a a", "a b"),
            ("ΟΔΟΣ", "οδός".replace('ό', "ο").as_str()),
        ] {
            assert!(finds(search, text), "{search} in {text}");
        }
        for (search, text) in [
            ("mar sales", "The sales of March."),
            ("ales", "The sales of March."),
            ("sales april", "The sales of March."),
            ("a a", "ab"),
            ("eclair", "éclair"),
            ("eclai", "Eclaı\u{301}r"),
            ("50%", "It grew by 500."),
            ("a_b", "call aXb()"),
            ("%", "Nothing"),
            ("sales*", "sales"),
            ("sales OR april", "sales"),
            ("天雨", "天气和雨"),
            ("", "x"),
            (" \n", "x"),
        ] {
            assert!(!finds(search, text), "{search} in {text}");
        }
    }

    #[test]
    fn repeated_words_are_searched_once() {
        let words = |search: &str| Words::of(search).map(|words| words.0).unwrap_or_default();
        assert_eq!(words("a A a b"), ["a", "b"]);
        assert_eq!(
            words("a b a"),
            ["a", "b", "a"],
            "the last word may be the beginning of a word"
        );
    }

    #[test]
    fn a_text_that_repeats_a_part_of_a_word_is_read_once() {
        // Each word occurs at every letter of the text, and begins at none of them.
        let text = format!("x{}", "a".repeat(100_000));
        let search: Vec<String> = (2..19).map(|length| "a".repeat(length)).collect();
        let began = std::time::Instant::now();
        for _ in 0..10 {
            assert!(!finds(&search.join(" "), &text));
        }
        assert!(
            began.elapsed() < std::time::Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn a_snippet_marks_the_words() {
        assert_eq!(marked("march sal", "The sales\nof March."), "The [sal]es of [March].");
        assert_eq!(marked("strasse", "Die Straße"), "Die [Straße]");
        assert_eq!(marked("aa aab", "xx aab"), "xx [aab]");
        let long = format!("{}the word {}", "before ".repeat(50), "after ".repeat(50));
        let snippet = marked("word", &long);
        assert!(snippet.starts_with('…') && snippet.ends_with('…') && snippet.contains("the [word] after"));
        assert!(snippet.chars().count() <= MAX_SNIPPET + 4, "{snippet}");
        assert!(marked("字", &"字".repeat(1_000)).chars().count() <= MAX_SNIPPET + 3);
    }
}
