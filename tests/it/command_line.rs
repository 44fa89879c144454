//! Tests that run the real program, as a user or a script does.

mod configuration;
mod doctor;
mod models;
mod start;

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use runyard::{
    config::Config,
    wire::jwt::{Verifier, load_or_create_secret},
};
use secrecy::SecretString;
use tokio::{runtime::Builder, time::timeout};

use crate::test_server::TEST_TIMEOUT;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Runs the program in `folder`. Its environment contains only `variables`. A program that does not end, such as a
/// server that was expected to refuse its configuration, is killed and fails the test.
fn runyard(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_runyard"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // A thread, because some callers are async tests with a runtime.
    thread::scope(|scope| {
        let run = || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { timeout(TEST_TIMEOUT, command.output()).await })
        };
        let output = scope.spawn(run).join().unwrap();
        output
            .unwrap_or_else(|_| panic!("runyard {arguments:?} did not end"))
            .unwrap()
    })
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Checks that a command failed with one line on standard error, and returns this line.
fn complaint(output: &Output, code: i32) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert_eq!(stdout(output), "");
    let line = message.strip_suffix('\n').unwrap_or(&message);
    assert!(!line.contains('\n') && line.starts_with("runyard: "), "{message}");
    line.to_owned()
}

#[test]
fn help_lists_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let help = runyard(folder.path(), &["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    for word in [
        "serve",
        "run",
        "runs",
        "stop",
        "threads",
        "files",
        "keys",
        "agents",
        "token",
        "tier",
        "admin",
        "models",
        "doctor",
        "migrate",
        "backup",
        "restore",
        "RUNYARD_DATA_DIR",
        "RUNYARD_OPENAI_BASE_URL",
    ] {
        assert!(stdout(&help).contains(word), "{word}");
    }
    let version = runyard(folder.path(), &["--version"], &[]);
    assert_eq!(stdout(&version), format!("runyard {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn manual_pages_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let page = runyard(folder.path(), &["man"], &[]);
    assert_eq!(page.status.code(), Some(0));
    let page = stdout(&page);
    assert!(page.contains(".TH runyard 1"), "{page}");
    for word in ["runyard\\-serve(1)", "RUNYARD_DATA_DIR", ".SH ENVIRONMENT"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let all = runyard(folder.path(), &["man", "--dir", "pages"], &[]);
    assert_eq!((all.status.code(), stdout(&all).as_str()), (Some(0), ""));
    let pages = folder.path().join("pages");
    assert_eq!(std::fs::read_to_string(pages.join("runyard.1")).unwrap(), page);
    for (name, word) in [
        ("runyard-run.1", "download"),
        ("runyard-agents-create.1", "system\\-prompt"),
    ] {
        let page = std::fs::read_to_string(pages.join(name)).unwrap();
        assert!(page.contains(word), "{name}: {page}");
    }
    assert!(!pages.join("runyard-help.1").exists());
    std::fs::write(folder.path().join("file"), "").unwrap();
    let message = complaint(&runyard(folder.path(), &["man", "--dir", "file"], &[]), 1);
    assert!(message.contains("file cannot be written"), "{message}");
}

#[test]
fn completion_scripts_work() {
    let folder = tempfile::tempdir().unwrap();
    let script = |shell: &str| {
        let output = runyard(folder.path(), &["completions", shell], &[]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        stdout(&output)
    };
    assert!(script("zsh").starts_with("#compdef runyard\n"));
    assert!(script("fish").contains("complete -c runyard"));
    assert_eq!(
        runyard(folder.path(), &["completions", "csh"], &[]).status.code(),
        Some(2)
    );
    // The script prints the completions that bash offers for `runyard run --m`.
    let asked =
        "source /dev/stdin; COMP_WORDS=(runyard run --m); COMP_CWORD=2; _runyard runyard --m run; echo ${COMPREPLY[@]}";
    let mut bash = Command::new("bash")
        .args(["-c", asked])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(script("bash").as_bytes()).unwrap();
    let offered = bash.wait_with_output().unwrap();
    assert_eq!(stdout(&offered).trim(), "--model --mode --memory");
}

#[test]
fn usage_errors_and_failures_have_different_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [
        &["fly"][..],
        &["run"],
        &["run", ""],
        &["run", "x", "--reasoning-effort", "y"],
        &["token", "--sub", ""],
        &["token", "--sub", "two\nlines"],
        &["token", "--sub", &"x".repeat(256)],
        &["token", "--sub", "a", "--ttl", "soon"],
        &["token", "--sub", "a", "--ttl", "0d"],
        &["token", "--sub", "a", "--ttl", "99999999999999999999d"],
        &["agents"],
        &["serve", "--listen", "here"],
    ] {
        assert_eq!(runyard(folder.path(), wrong, &[]).status.code(), Some(2), "{wrong:?}");
    }
    for right in [
        &["token", "--sub", "a", "--ttl", "1d"][..],
        &["token", "--sub", &"x".repeat(255)],
    ] {
        let output = runyard(folder.path(), right, &[("RUNYARD_JWT_SECRET", SECRET)]);
        assert_eq!(output.status.code(), Some(0), "{right:?}");
    }
}

#[test]
fn a_printed_token_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let given = runyard(
        folder.path(),
        &["token", "--sub", "me", "--role", "super_admin", "--ttl", "12h"],
        &[("RUNYARD_JWT_SECRET", SECRET)],
    );
    let config = Config::parse("test", "").unwrap();
    let now = runyard::clock::Clock::default().now();
    let verifier = Verifier::new(&config.auth, Some(&SecretString::from(SECRET))).unwrap();
    let claims = verifier.verify(stdout(&given).trim_end(), now).unwrap();
    assert_eq!((&*claims.subject, claims.role.as_deref()), ("me", Some("super_admin")));
    let lasts = (claims.expires_at - now).num_minutes();
    assert!((719..=720).contains(&lasts), "{lasts}");
    assert!(
        !folder.path().join("data").exists(),
        "a configured secret needs no data folder"
    );
}

#[test]
fn the_token_command_names_the_secret_and_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("elsewhere");
    let mut config = Config::parse("test", "").unwrap();
    config.data_dir.clone_from(&data);
    let secret = load_or_create_secret(&config).unwrap().unwrap();
    let printed = runyard(folder.path(), &["token", "--data-dir", "elsewhere"], &[]);
    let verifier = Verifier::new(&config.auth, Some(&secret)).unwrap();
    let now = runyard::clock::Clock::default().now();
    let local = verifier.verify(stdout(&printed).trim_end(), now).unwrap();
    let message = String::from_utf8(printed.stderr).unwrap();
    assert!(
        message.contains("the local account") && message.contains(data.to_str().unwrap()),
        "{message}"
    );
    // Without `--sub`, the command prints another token for the local account.
    let again = runyard(folder.path(), &["token", "--data-dir", "elsewhere"], &[]);
    assert_eq!(
        verifier.verify(stdout(&again).trim_end(), now).unwrap().subject,
        local.subject
    );
    let alice = runyard(
        folder.path(),
        &["token", "--sub", "alice", "--data-dir", "elsewhere"],
        &[],
    );
    assert_eq!(
        &*verifier.verify(stdout(&alice).trim_end(), now).unwrap().subject,
        "alice"
    );
    assert!(String::from_utf8(alice.stderr).unwrap().contains("the account alice"));
    let given = runyard(folder.path(), &["token"], &[("RUNYARD_JWT_SECRET", SECRET)]);
    assert!(String::from_utf8(given.stderr).unwrap().contains("RUNYARD_JWT_SECRET"));
}

#[test]
fn no_command_creates_a_data_folder_where_no_server_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for command in [
        &["token"][..],
        &["token", "--sub", "me"],
        &["run", "hello"],
        &["agents", "list"],
        &["tier"],
        &["migrate"],
    ] {
        let message = complaint(&runyard(folder.path(), command, &[]), 1);
        assert!(
            message.contains(&format!("there is no server data in {}", data.display()))
                && message.contains("--data-dir"),
            "{message}"
        );
        assert!(!data.exists(), "{command:?} created the folder");
    }
    // A package installation leaves an empty data folder.
    std::fs::create_dir(&data).unwrap();
    for command in [&["token"][..], &["migrate"]] {
        let message = complaint(&runyard(folder.path(), command, &[]), 1);
        assert!(message.contains("there is no server data in"), "{message}");
    }
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);
    // The lock file shows that a server has used the folder. That server had a configured secret, so the folder
    // contains no secret.
    std::fs::write(data.join("lock"), "").unwrap();
    let message = complaint(&runyard(folder.path(), &["token"], &[]), 1);
    assert!(message.contains("set RUNYARD_JWT_SECRET"), "{message}");
    let migrated = runyard(folder.path(), &["migrate"], &[("RUNYARD_LOG", "error")]);
    assert_eq!(migrated.status.code(), Some(0), "{migrated:?}");
    assert!(stdout(&migrated).contains(&format!("The database in {} is up to date", data.display())));
}

#[test]
fn a_local_token_is_never_sent_to_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let secret = [("RUNYARD_JWT_SECRET", SECRET)];
    for command in [&["run", "hello"][..], &["agents", "list"], &["tier"], &["tier", "pro"]] {
        let with = |server: &'static str| [command, &["--server", server]].concat();
        let message = complaint(&runyard(folder.path(), &with("http://runyard.invalid:1"), &secret), 1);
        assert!(
            message.contains("is not on this machine") && message.contains("RUNYARD_TOKEN"),
            "{message}"
        );
        // Control: a loopback address is accepted. The command then fails, because no server listens there.
        let message = complaint(&runyard(folder.path(), &with("http://127.0.0.1:1"), &secret), 1);
        assert!(message.contains("start one with `runyard serve`"), "{message}");
    }
}

#[test]
fn a_failure_is_one_line_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let fails =
        |arguments: &[&str], variables: &[(&str, &str)]| complaint(&runyard(folder.path(), arguments, variables), 1);
    let message = fails(&["run", "hello"], &[]);
    assert!(
        message.contains("set RUNYARD_TOKEN") && message.contains("--data-dir"),
        "{message}"
    );
    assert!(!folder.path().join("data").exists(), "a client creates no data folder");
    let nobody = ["run", "hello", "--server", "http://127.0.0.1:1", "--token", "a.b.c"];
    assert!(fails(&nobody, &[]).contains("start one with `runyard serve`"));
    let message = fails(&["run", "hello", "--file", "gone.csv", "--token", "a"], &[]);
    assert!(message.contains("there is no file gone.csv"), "{message}");
    for server in ["127.0.0.1:8080", "ftp://x", "::"] {
        let message = fails(&["agents", "list", "--server", server, "--token", "a"], &[]);
        assert!(
            message.contains("is not a server address; use an address such as http://"),
            "{message}"
        );
    }
    let message = fails(&["token", "--sub", "me"], &[("RUNYARD_JWT_SECRET", "short")]);
    assert!(message.contains("openssl rand -hex 32"), "{message}");
    let message = fails(&["token", "--sub", "me"], &[("RUNYARD_JWKS_FILE", "jwks.json")]);
    assert!(message.contains("ask the issuer"), "{message}");
    let message = fails(&["serve", "--config", "gone.toml"], &[]);
    assert!(
        message.contains("there is no configuration file gone.toml"),
        "{message}"
    );
    let message = fails(&["serve"], &[("RUNYARD_LOG", "==")]);
    assert!(message.contains("RUNYARD_LOG"), "{message}");
}
