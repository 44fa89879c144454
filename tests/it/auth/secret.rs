//! The HS256 secret and the tokens that it signs.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use runyard::{
    config::Config,
    wire::jwt::{Grant, Verifier, load_or_create_secret, mint},
};
use secrecy::{ExposeSecret, SecretString};

use super::now;

fn config(folder: &Path) -> Config {
    let mut config = Config::parse("test", "").unwrap();
    config.data_dir = folder.into();
    config
}

/// Counts the files in a folder, but not its subfolders.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().is_file()).count()
}

#[test]
fn a_secret_is_created_once_and_reused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("new"));
    let made = load_or_create_secret(&config).unwrap().unwrap();
    assert_eq!(made.expose_secret().len(), 64);
    assert!(made.expose_secret().bytes().all(|letter| letter.is_ascii_hexdigit()));
    let path = config.data_dir.join("jwt.secret");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = load_or_create_secret(&config).unwrap().unwrap();
    assert_eq!(made.expose_secret(), again.expose_secret());
    assert_eq!(files(&config.data_dir), 1, "the temporary file is removed");
}

#[test]
fn concurrent_starts_agree_on_one_secret() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let secrets: Vec<String> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    load_or_create_secret(&config)
                        .unwrap()
                        .unwrap()
                        .expose_secret()
                        .to_owned()
                })
            })
            .collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    assert!(secrets.iter().all(|secret| secret == &secrets[0]));
    assert_eq!(files(folder.path()), 1);
}

#[test]
fn a_configured_secret_takes_precedence_and_a_jwks_needs_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.auth.jwt_secret = Some(SecretString::from("x".repeat(32)));
    assert_eq!(
        load_or_create_secret(&config).unwrap().unwrap().expose_secret(),
        "x".repeat(32)
    );
    config.auth.jwt_secret = None;
    config.auth.jwks_file = Some("jwks.json".into());
    assert!(load_or_create_secret(&config).unwrap().is_none());
    config.auth.jwks_file = None;
    config.auth.issuer_url = Some("https://issuer.example".into());
    assert!(load_or_create_secret(&config).unwrap().is_none());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file was created");
}

#[test]
fn the_error_for_a_bad_secret_says_how_to_fix_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let path = folder.path().join("jwt.secret");
    let refusal = |config: &Config| load_or_create_secret(config).unwrap_err().message().to_owned();
    config.auth.jwt_secret = Some(SecretString::from("x".repeat(31)));
    assert!(
        refusal(&config).contains("openssl rand -hex 32"),
        "{}",
        refusal(&config)
    );
    assert!(Verifier::new(&config.auth, config.auth.jwt_secret.as_ref()).is_err());
    config.auth.jwt_secret = None;
    load_or_create_secret(&config).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(&config).contains("chmod 600"), "{}", refusal(&config));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    load_or_create_secret(&config).unwrap();
    fs::write(&path, "short").unwrap();
    assert!(refusal(&config).contains("delete the file"), "{}", refusal(&config));
}

#[test]
fn a_minted_token_is_accepted_by_servers_with_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.auth.issuer = Some("https://issuer.example".into());
    config.auth.audience = Some("runyard".into());
    config.auth.client_ids = vec!["app".into()];
    let secret = load_or_create_secret(&config).unwrap().unwrap();
    let grant = Grant {
        subject: "me".into(),
        role: Some("super_admin".into()),
        lifetime: Duration::from_mins(1),
    };
    let token = mint(&config.auth, &secret, &grant, now()).unwrap();
    let verifier = Verifier::new(&config.auth, Some(&secret)).unwrap();
    let claims = verifier.verify(&token, now()).unwrap();
    assert_eq!((&*claims.subject, claims.role.as_deref()), ("me", Some("super_admin")));
    assert_eq!(claims.expires_at, now() + Duration::from_mins(1));
    assert!(verifier.verify(&token, now() + Duration::from_mins(2)).is_err());
    let other = Verifier::new(&config.auth, Some(&SecretString::from("y".repeat(32)))).unwrap();
    assert!(other.verify(&token, now()).is_err());
    let forever = Grant {
        lifetime: Duration::MAX,
        ..grant
    };
    assert!(mint(&config.auth, &secret, &forever, now()).is_err());
}
