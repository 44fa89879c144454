//! Tests of the sentence that the real program prints when it cannot start: it names the cause and says what to do.

use std::{fs, path::Path};

use super::{SECRET, complaint, runyard};
use crate::test_server::{Database, databases};

/// Returns what `runyard serve` prints with this configuration file.
fn refusal(folder: &Path, file: &str) -> String {
    fs::write(folder.join("runyard.toml"), file).unwrap();
    complaint(&runyard(folder, &["serve", "--config", "runyard.toml"], &[]), 1)
}

#[test]
fn a_mistake_in_the_file_is_named_with_its_line_and_advice() {
    let folder = tempfile::tempdir().unwrap();
    for (line, sentence) in [
        (
            "data_dir = /var/lib",
            "line 2: a text needs quotes: write data_dir = \"…\"",
        ),
        (
            "listen = 127.0.0.1:80",
            "line 2: a text needs quotes: write listen = \"…\"",
        ),
        (
            "data_dir = 3",
            "line 2, data_dir: invalid type: integer `3`, expected path string; a text needs quotes",
        ),
        (
            "worker.max_runs = \"3\"",
            "line 2, worker.max_runs: invalid type: string \"3\", expected usize; write a number",
        ),
        (
            "auth.self_registration = \"no\"",
            "expected a boolean; write true or false",
        ),
        (
            "http.cors_origins = \"x\"",
            "expected a sequence; write a list in brackets",
        ),
        (
            "lisen = \"127.0.0.1:80\"",
            "line 2, lisen: unknown field `lisen`; did you mean `listen`?",
        ),
        (
            "worker.max_run = 3",
            "unknown field `max_run`; did you mean `max_runs`?",
        ),
    ] {
        let message = refusal(folder.path(), &format!("# Ours.\n{line}\n"));
        assert!(message.contains("runyard.toml, line 2"), "{line}: {message}");
        assert!(message.contains(sentence), "{line}: {message}");
    }
    let message = refusal(folder.path(), "auth.jwt_secret = hunter2");
    assert!(
        message.contains("needs quotes") && !message.contains("hunter2"),
        "{message}"
    );
}

#[test]
fn a_wrong_variable_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (variable, value, advice) in [
        ("RUNYARD_LISTEN", "8080", "an IP address and a port"),
        ("RUNYARD_ACCESS_LOG", "some", "all, refused or off"),
        ("RUNYARD_DATABASE_CONNECTIONS", "0", "a number from 1 to"),
        (
            "RUNYARD_DATABASE_URL",
            "mysql://u:hunter2@h/d",
            "a PostgreSQL URL such as",
        ),
        ("RUNYARD_OPENAI_BASE_URL", "ftp://hunter2", "a URL such as"),
        ("RUNYARD_OPENAI_API_KEY", "hunter2\n", "a line break"),
        ("RUNYARD_JWT_SECRET", "hunter2", "openssl rand -hex 32"),
        ("RUNYARD_JWKS_FILE", "/no/such/file", "/no/such/file cannot be read"),
        ("RUNYARD_ISSUER_URL", "nowhere", "is not a URL"),
        ("RUNYARD_DATA_DIR", "/proc/nowhere", "cannot use the data folder"),
        ("RUNYARD_LOG", "==", "not a log filter"),
    ] {
        // `--listen` overrides its variable.
        let arguments: &[&str] = if variable == "RUNYARD_LISTEN" {
            &["serve"]
        } else {
            &["serve", "--listen", "127.0.0.1:0"]
        };
        let started = runyard(folder.path(), arguments, &[(variable, value)]);
        let message = complaint(&started, 1);
        assert!(
            message.contains(variable) && message.contains(advice),
            "{variable}: {message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
    let started = runyard(folder.path(), &["serve", "--listen", "0.0.0.0"], &[]);
    assert_eq!(started.status.code(), Some(2));
    let message = String::from_utf8_lossy(&started.stderr);
    assert!(message.contains("an IP address and a port, such as"), "{message}");
}

#[test]
fn an_unknown_variable_is_a_warning_with_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/lock"), "").unwrap();
    let migrated = |variables: &[(&str, &str)]| {
        let migrated = runyard(folder.path(), &["migrate"], variables);
        assert_eq!(migrated.status.code(), Some(0), "{migrated:?}");
        String::from_utf8(migrated.stderr).unwrap()
    };
    let log = migrated(&[
        ("RUNYARD_DATABSE_URL", "x"),
        ("RUNYARD_PORT", "tcp://10.0.0.1:80"),
        ("RUNYARD_COLOUR", "x"),
    ]);
    assert!(
        log.contains("RUNYARD_DATABSE_URL has no effect") && log.contains("did you mean RUNYARD_DATABASE_URL?"),
        "{log}"
    );
    assert!(
        log.contains("RUNYARD_COLOUR has no effect") && log.contains("docs/configuration.md"),
        "{log}"
    );
    assert!(!log.contains("RUNYARD_PORT"), "{log}");
    assert_eq!(log.matches("has no effect").count(), 2, "{log}");
    let log = migrated(&[("RUNYARD_LOG", "info"), ("RUNYARD_JWT_SECRET", SECRET)]);
    assert!(!log.contains("has no effect"), "{log}");
}

/// Returns what `runyard migrate` prints with this database.
fn with_database(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("RUNYARD_DATABASE_URL", url), ("RUNYARD_LOG", "off")];
    complaint(&runyard(folder.path(), &["migrate"], &variables), 1)
}

#[test]
fn a_server_without_postgresql_says_that_it_cannot_be_reached() {
    let message = with_database("postgres://ann:hunter2@127.0.0.1:1/runyard");
    assert!(
        message.contains("PostgreSQL at 127.0.0.1:1 cannot be reached"),
        "{message}"
    );
    assert!(
        message.contains("check that the server is running") && !message.contains("hunter2"),
        "{message}"
    );
}

#[test]
fn postgresql_refuses_for_a_reason_that_the_program_names() {
    let url = databases().into_iter().find_map(|database| match database {
        Database::Postgres(url) => Some(url),
        Database::Sqlite => None,
    });
    let Some(url) = url else { return };
    let parsed = url::Url::parse(&url).unwrap();
    let changed = |change: &dyn Fn(&mut url::Url)| {
        let mut changed = parsed.clone();
        change(&mut changed);
        with_database(changed.as_str())
    };
    let message = changed(&|url| url.set_password(Some("hunter2")).unwrap());
    assert!(message.contains("password authentication failed"), "{message}");
    assert!(
        message.contains("check the user and the password") && !message.contains("hunter2"),
        "{message}"
    );
    let message = changed(&|url| url.set_path("/no_such_database"));
    assert!(
        message.contains("database \"no_such_database\" does not exist"),
        "{message}"
    );
    assert!(message.contains("create the database with createdb"), "{message}");
    let message = changed(&|url| url.set_query(Some("sslmode=require")));
    assert!(message.contains("requires TLS, but PostgreSQL at"), "{message}");
    assert!(message.contains("set ssl = on in postgresql.conf"), "{message}");
}
