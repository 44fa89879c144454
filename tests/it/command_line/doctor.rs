//! The checks of `runyard doctor` and their messages.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use runyard_upstream::Turn;
use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{runyard, stdout};
use crate::{
    auth::{
        issuer::{Issuer, Says},
        signer::Signer,
    },
    test_server::{TestServer, on_every_database},
};

/// Runs `runyard doctor` with this configuration. Returns name, verdict and message of each check, and the exit
/// status.
fn examine(config: &str, prepare: impl FnOnce(&std::path::Path)) -> (Vec<[String; 3]>, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("c.toml"), config).unwrap();
    prepare(folder.path());
    let names = |folder: &std::path::Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = names(folder.path());
    let path = std::env::var("PATH").unwrap();
    let output = runyard(
        folder.path(),
        &["doctor", "--json", "--config", "c.toml"],
        &[("PATH", &path), ("RUNYARD_DATA_DIR", "data")],
    );
    assert_eq!(names(folder.path()), before, "doctor changed something");
    (read(&stdout(&output)), output.status.code())
}

fn read(message: &str) -> Vec<[String; 3]> {
    let checks = message.lines().map(|line| {
        let check: Value = serde_json::from_str(line).unwrap();
        ["name", "verdict", "message"].map(|key| check[key].as_str().unwrap().to_owned())
    });
    checks.collect()
}

fn verdict<'a>(checks: &'a [[String; 3]], name: &str) -> (&'a str, &'a str) {
    let check = checks.iter().find(|check| check[0] == name);
    let [_, verdict, message] = check.unwrap_or_else(|| panic!("no check {name} in {checks:?}"));
    (verdict.as_str(), message.as_str())
}

#[test]
fn a_new_local_installation_passes() {
    let (checks, code) = examine("", |_| {});
    assert_eq!(code, Some(0), "{checks:?}");
    assert_eq!(verdict(&checks, "listen").0, "ok");
    assert_eq!(verdict(&checks, "provider").0, "warn");
    assert!(
        checks
            .iter()
            .any(|[name, verdict, message]| name == "sandbox" && verdict == "ok" && message.contains("bubblewrap"))
    );
    assert!(checks.iter().all(|[_, verdict, _]| verdict != "bad"), "{checks:?}");
}

#[test]
fn settings_unsafe_for_an_exposed_server_are_bad() {
    let (checks, code) = examine(
        "listen = \"0.0.0.0:8080\"\nlimits = \"off\"\n[auth]\njwt_secret = \"short\"\n",
        |folder| {
            let data = folder.join("data");
            fs::create_dir(&data).unwrap();
            fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
            fs::write(data.join("runyard.db"), "").unwrap();
            fs::set_permissions(data.join("runyard.db"), fs::Permissions::from_mode(0o644)).unwrap();
        },
    );
    assert_eq!(code, Some(1), "{checks:?}");
    for name in ["limits", "tokens", "data folder", "database"] {
        assert_eq!(verdict(&checks, name).0, "bad", "{checks:?}");
    }
    assert!(verdict(&checks, "data folder").1.contains("chmod"), "{checks:?}");
    assert_eq!(verdict(&checks, "listen").0, "warn");
}

#[test]
fn a_missing_sandbox_is_bad_and_private_files_are_fine() {
    let (checks, code) = examine("[sandbox]\nbwrap = \"/nonexistent/bwrap\"\n", |folder| {
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("runyard.db"), "").unwrap();
        fs::set_permissions(data.join("runyard.db"), fs::Permissions::from_mode(0o600)).unwrap();
    });
    assert_eq!(code, Some(1), "{checks:?}");
    assert_eq!(verdict(&checks, "database").0, "ok");
    let bad: Vec<_> = checks.iter().filter(|[_, verdict, _]| verdict == "bad").collect();
    assert!(bad.len() == 1 && bad[0][2].contains("install bubblewrap"), "{checks:?}");
}

#[test]
fn disabled_limits_are_bad_only_on_an_exposed_server() {
    let off =
        "[http]\nrate_per_account = \"off\"\nrate_per_address = \"off\"\n[auth]\nnew_accounts_per_address = \"off\"\n";
    let (checks, code) = examine(off, |_| {});
    assert_eq!(code, Some(0), "{checks:?}");
    assert_eq!(verdict(&checks, "rate limits").0, "ok");
    assert_eq!(verdict(&checks, "new accounts").0, "warn");
    let (checks, code) = examine(&format!("listen = \"0.0.0.0:8080\"\n{off}"), |_| {});
    assert_eq!(code, Some(1), "{checks:?}");
    assert_eq!(verdict(&checks, "rate limits").0, "bad");
    assert_eq!(verdict(&checks, "new accounts").0, "bad");
    // Control: for a server that other machines can reach, the default settings pass the checks `rate limits` and
    // `new accounts`.
    let (checks, code) = examine("listen = \"0.0.0.0:8080\"\n", |_| {});
    assert_eq!(code, Some(0), "{checks:?}");
    assert_eq!(verdict(&checks, "rate limits").0, "ok");
    assert_eq!(verdict(&checks, "new accounts").0, "ok");
}

#[test]
fn an_unreachable_database_is_bad_and_its_password_is_hidden() {
    let url = "database_url = \"postgres://runyard:s3cret-word@127.0.0.1:1/runyard\"\n";
    let (checks, code) = examine(url, |_| {});
    assert_eq!(code, Some(1), "{checks:?}");
    let (verdict, message) = verdict(&checks, "database");
    assert_eq!(verdict, "bad");
    assert!(
        message.contains("127.0.0.1:1") && !message.contains("s3cret-word"),
        "{message}"
    );
}

#[test]
fn trusted_proxies_that_include_clients_are_bad() {
    for (networks, expected) in [
        ("[\"0.0.0.0/0\"]", "bad"),
        ("[\"10.0.0.0/8\", \"::/0\"]", "bad"),
        ("[\"10.0.0.0/8\", \"fd00::/8\", \"203.0.113.7\"]", "ok"),
        ("[]", "ok"),
    ] {
        let (checks, _) = examine(&format!("[http]\ntrusted_proxies = {networks}\n"), |_| {});
        assert_eq!(
            verdict(&checks, "trusted proxies").0,
            expected,
            "{networks}: {checks:?}"
        );
    }
}

fn examine_server(server: &TestServer, data_dir: &Path) -> Vec<[String; 3]> {
    let path = std::env::var("PATH").unwrap();
    let mut variables = vec![
        ("PATH", path.as_str()),
        ("RUNYARD_DATA_DIR", data_dir.to_str().unwrap()),
    ];
    if let Some(url) = &server.config.database_url {
        variables.push(("RUNYARD_DATABASE_URL", url.expose_secret()));
    }
    let folder = tempfile::tempdir().unwrap();
    read(&stdout(&runyard(folder.path(), &["doctor", "--json"], &variables)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_and_the_data_folder_of_a_running_server_are_checked() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let checks = examine_server(server, &server.data_dir());
            assert_eq!(verdict(&checks, "schema"), ("ok", "up to date"), "{checks:?}");
            let db = server.outside().await;
            let change = async |sql: &str| db.execute_unprepared(sql).await.unwrap();
            let newest = "SELECT max(version) FROM seaql_migrations";
            change("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)").await;
            let checks = examine_server(server, &server.data_dir());
            let (found, message) = verdict(&checks, "schema");
            assert!(found == "bad" && message.contains("m9999_later"), "{checks:?}");
            change(&format!("DELETE FROM seaql_migrations WHERE version = ({newest})")).await;
            change(&format!(
                "CREATE TABLE kept AS SELECT * FROM seaql_migrations WHERE version = ({newest})"
            ))
            .await;
            change(&format!("DELETE FROM seaql_migrations WHERE version = ({newest})")).await;
            let checks = examine_server(server, &server.data_dir());
            let (found, message) = verdict(&checks, "schema");
            assert!(found == "warn" && message.starts_with("1 migration"), "{checks:?}");
            change("INSERT INTO seaql_migrations SELECT * FROM kept").await;
            change("DROP TABLE kept").await;
            db.close().await.unwrap();
            if server.config.database_url.is_none() {
                return;
            }
            let checks = examine_server(server, &server.data_dir());
            for name in ["database", "clock"] {
                assert_eq!(verdict(&checks, name).0, "ok", "{checks:?}");
            }
            let folders = |checks: &[[String; 3]]| {
                let mut all = checks.iter().filter(|[name, ..]| name == "data folder");
                all.all(|[_, verdict, _]| verdict == "ok")
            };
            assert!(folders(&checks), "{checks:?}");
            let elsewhere = tempfile::tempdir().unwrap();
            let checks = examine_server(server, elsewhere.path());
            assert!(!folders(&checks), "{checks:?}");
            assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_and_the_keys_of_an_identity_provider_are_checked() {
    let issuer = Issuer::start(&[Signer::ec().jwk()]).await;
    let auth = async |settings: &str| {
        let config = format!("[auth]\n{settings}\n");
        tokio::task::spawn_blocking(move || examine(&config, |_| {}))
            .await
            .unwrap()
    };
    let (issuer_url, jwks_url) = (
        format!("issuer_url = \"{}\"", issuer.name),
        format!("jwks_url = \"{}\"", issuer.url),
    );
    for (settings, claims, provider) in [
        (format!("{issuer_url}\naudience = \"a\""), "ok", "ok"),
        (format!("{issuer_url}\nclient_ids = [\"a\"]"), "ok", "ok"),
        (issuer_url.clone(), "warn", "ok"),
        (format!("{jwks_url}\naudience = \"a\""), "warn", "ok"),
        (format!("{jwks_url}\naudience = \"a\"\nissuer = \"b\""), "ok", "ok"),
        (
            format!("{issuer_url}\naudience = \"a\"\nallow_private_http = true"),
            "ok",
            "warn",
        ),
        (format!("{issuer_url}\naudience = \"a\"\nissuer = \"b\""), "ok", "bad"),
        (
            "issuer_url = \"http://issuer.example\"\naudience = \"a\"".into(),
            "ok",
            "bad",
        ),
    ] {
        let (checks, code) = auth(&settings).await;
        assert_eq!(verdict(&checks, "token claims").0, claims, "{settings}: {checks:?}");
        assert_eq!(
            verdict(&checks, "identity provider").0,
            provider,
            "{settings}: {checks:?}"
        );
        assert_eq!(code, Some(i32::from(provider == "bad")), "{settings}: {checks:?}");
    }
    let mut short = Signer::rsa().jwk();
    short["n"] = "AQAB".into();
    issuer.say(Says::Keys(vec![short, Signer::ec().jwk()]));
    let (checks, _) = auth(&issuer_url).await;
    let (found, message) = verdict(&checks, "identity provider");
    assert!(
        found == "warn" && message.contains("1 usable key") && message.contains("17 bits"),
        "{message}"
    );
    let sign_in = format!("{issuer_url}\naudience = \"a\"\n[auth.sign_in]\nclient_id = \"console\"");
    let (checks, code) = auth(&sign_in).await;
    let (found, message) = verdict(&checks, "console sign-in");
    assert!(
        found == "bad" && code == Some(1) && message.contains("has no token_endpoint"),
        "{message}"
    );
    issuer.say_document(serde_json::json!({
        "issuer": issuer.name,
        "jwks_uri": issuer.url,
        "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": "https://login.example/token",
    }));
    let (checks, code) = auth(&sign_in).await;
    let (found, message) = verdict(&checks, "console sign-in");
    assert!(
        found == "ok" && code == Some(0) && message.ends_with("console signs in at https://login.example/authorize"),
        "{message}"
    );
    issuer.say_document(serde_json::json!({"issuer": "https://other.example", "jwks_uri": issuer.url}));
    let (checks, code) = auth(&issuer_url).await;
    let (found, message) = verdict(&checks, "identity provider");
    assert!(
        found == "bad" && code == Some(1) && message.contains("exactly that issuer"),
        "{message}"
    );
    let (checks, _) = auth("").await;
    assert!(
        checks.iter().all(|[name, ..]| name != "identity provider"),
        "{checks:?}"
    );
}

#[test]
fn an_unreadable_configuration_is_one_bad_line() {
    let (checks, code) = examine("listen = 5\n", |_| {});
    assert_eq!((checks.len(), code), (1, Some(1)), "{checks:?}");
    assert_eq!(verdict(&checks, "configuration").0, "bad");
}
