//! Handles a table: inspects it, writes and runs a script, reads the report, and answers.

use super::{
    Reply, extension,
    plan::{Analysis, Language, quoted},
    report,
    sample::Sample,
    view::View,
};

/// Bytes of the file that the model inspects; the script reads the whole file.
const SAMPLE_BYTES: u64 = 6000;

pub(super) fn next(view: &View<'_>, file: &str) -> Reply {
    let Some(look) = view.answer("look") else {
        return Reply::call(format!("I'll look at {file} first."), view.bash("look", &look_at(file)));
    };
    if look.section("missing").is_some() {
        return Reply::say(format!(
            "There is no file {file} in the workspace, so there is nothing to analyze."
        ));
    }
    let Some(text) = look.section("sample") else {
        return Reply::say(format!("I could not look at {file}: {}", look.excerpt()));
    };
    let size: u64 = look
        .section("size")
        .and_then(|size| size.trim().parse().ok())
        .unwrap_or(u64::MAX);
    if size == 0 {
        return Reply::say(format!("{file} is empty, so there is nothing to analyze."));
    }
    if text.contains('\0') || text.matches('\u{fffd}').count() * 10 > text.len() {
        return Reply::say(format!(
            "{file} does not look like text ({size} bytes), so I did not treat it as a table."
        ));
    }
    let Some(sample) = Sample::of(text, size <= SAMPLE_BYTES) else {
        return Reply::say(format!(
            "{file} has {size} bytes but only blank lines, so there is nothing to analyze."
        ));
    };
    let plan = Analysis::of(file, &sample, view.task());
    let has_python = look.section("python").is_some_and(|path| path.trim().starts_with('/'));
    let languages: &[Language] = if has_python {
        &[Language::Python, Language::Shell]
    } else {
        &[Language::Shell]
    };
    let mut trouble = String::new();
    for language in languages {
        match work(view, &plan, *language, &trouble) {
            Work::Ongoing(reply) => return reply,
            Work::Failed(why) => trouble = why,
            Work::Done(facts) => return finish(view, &plan, file, *language, facts),
        }
    }
    Reply::say(format!(
        "I inspected {file} ({}), but my script failed:\n\n{trouble}\n\nI created no report.",
        plan.describe_table()
    ))
}

enum Work<'a> {
    Ongoing(Reply),
    Failed(String),
    Done(&'a str),
}

/// Saves and runs the script in one language.
fn work<'a>(view: &View<'a>, plan: &Analysis<'_>, language: Language, trouble: &str) -> Work<'a> {
    let path = language.path();
    let save = format!("save {}", extension(path));
    let run = format!("run {}", extension(path));
    let script = plan.script(language);
    let is_written = view.written(path).is_some_and(|answer| !answer.is_error);
    if !is_written {
        if view.has("write") && view.written(path).is_none() {
            return Work::Ongoing(Reply::call(
                introduce(plan, language, trouble),
                view.write(path, &script),
            ));
        }
        match view.answer(&save) {
            None => {
                let text = if view.has("write") {
                    "Writing the script that way failed; I'll try it with the shell.".to_owned()
                } else {
                    introduce(plan, language, trouble)
                };
                return Work::Ongoing(Reply::call(text, view.bash(&save, &heredoc(path, &script))));
            }
            Some(answer) if answer.is_error => {
                return Work::Failed(format!("The script could not be saved: {}", answer.excerpt()));
            }
            Some(_) => {}
        }
    }
    match view.answer(&run) {
        None => Work::Ongoing(Reply::call("I'll run it now.", view.bash(&run, language.command()))),
        Some(answer) => match answer.section("facts") {
            Some(facts) if !answer.is_error => Work::Done(facts),
            _ => Work::Failed(format!("The {} script failed: {}", language.name(), answer.excerpt())),
        },
    }
}

fn introduce(plan: &Analysis<'_>, language: Language, trouble: &str) -> String {
    if trouble.is_empty() {
        format!(
            "The file has {}. I'll write a script in {} that reads the whole file and creates a report and {}.",
            plan.describe_table(),
            language.name(),
            plan.describe()
        )
    } else {
        format!("{trouble}\n\nI'll do the same with {} instead.", language.name())
    }
}

/// Reads the report back, then answers.
fn finish(view: &View<'_>, plan: &Analysis<'_>, file: &str, language: Language, facts: &str) -> Reply {
    if view.has("read") && view.read(report::PATH).is_none() {
        return Reply::call(
            "The script succeeded. I'll read its report.",
            view.read_call(report::PATH),
        );
    }
    let is_read = view
        .read(report::PATH)
        .is_some_and(|answer| !answer.is_error && !answer.text.trim().is_empty());
    Reply::say(report::tell(plan, file, language, facts, is_read))
}

fn look_at(file: &str) -> String {
    format!(
        "f={}\nif [ ! -f \"$f\" ]; then echo '@@ missing'; ls -a; echo '@@ end'; exit 0; fi\n\
         echo '@@ size'; wc -c < \"$f\"\necho '@@ python'; command -v python3 || echo none\n\
         echo '@@ sample'; head -c {SAMPLE_BYTES} \"$f\"; echo; echo '@@ end'",
        quoted(&dashed(file))
    )
}

/// Returns a path that no program takes for an option.
fn dashed(file: &str) -> String {
    if file.starts_with('-') {
        format!("./{file}")
    } else {
        file.to_owned()
    }
}

fn heredoc(path: &str, script: &str) -> String {
    format!("mkdir -p output && cat > {path} <<'RUNYARD_SCRIPT_END'\n{script}\nRUNYARD_SCRIPT_END")
}
