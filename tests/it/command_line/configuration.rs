//! Defaults, under the file, under the environment.

use std::{collections::BTreeMap, fs};

use runyard::config::{Config, Limits, ProviderKind};
use secrecy::ExposeSecret;

fn load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runyard.toml");
    if let Some(text) = file {
        fs::write(&path, text).unwrap();
    }
    Config::load(file.map(|_| path.as_path()), &|name| variables.get(name).cloned())
        .map_err(|error| error.message().to_owned())
}

#[test]
fn the_defaults_need_nothing() {
    let config = load(None, &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.data_dir.to_str(), Some("data"));
    assert_eq!(config.limits, Limits::On);
    assert!(config.database_url.is_none() && config.auth.jwt_secret.is_none() && config.providers.is_empty());
}

#[test]
fn the_environment_goes_before_the_file() {
    let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"there\"\n[auth]\nissuer = \"file\"\n[worker]\nmax_runs = 3\n";
    let from_file = load(Some(file), &[]).unwrap();
    assert_eq!((from_file.listen.port(), from_file.worker.max_runs), (1, 3));
    let config = load(
        Some(file),
        &[
            ("RUNYARD_LISTEN", "[::1]:2"),
            ("RUNYARD_DATABASE_URL", "postgres://u:p@localhost/db"),
            ("RUNYARD_LIMITS", "off"),
            ("RUNYARD_JWT_ISSUER", "environment"),
            ("RUNYARD_JWT_SECRET", "s\"e'c\\ret"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:2");
    assert_eq!(config.data_dir.to_str(), Some("there"), "what is not named stays");
    assert_eq!(config.limits, Limits::Off);
    assert_eq!(config.auth.issuer.as_deref(), Some("environment"));
    assert_eq!(config.auth.jwt_secret.unwrap().expose_secret(), "s\"e'c\\ret");
    assert_eq!(
        config.database_url.unwrap().expose_secret(),
        "postgres://u:p@localhost/db"
    );
    assert_eq!(config.worker.max_steps, 50, "the rest of a table keeps its defaults");
}

#[test]
fn three_variables_make_a_provider() {
    let config = load(
        None,
        &[
            ("RUNYARD_OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/"),
            ("RUNYARD_OPENAI_API_KEY", "key"),
            ("RUNYARD_OPENAI_MODEL", "llama"),
        ],
    )
    .unwrap();
    let provider = &config.providers["default"];
    assert_eq!(provider.kind, ProviderKind::OpenAi);
    assert_eq!(provider.base_url.as_deref(), Some("http://127.0.0.1:11434/v1/"));
    assert_eq!(provider.api_key.as_ref().unwrap().expose_secret(), "key");
    assert_eq!(provider.model.as_deref(), Some("llama"));
    assert!(
        load(None, &[("RUNYARD_OPENAI_API_KEY", "key")])
            .unwrap()
            .providers
            .contains_key("default")
    );
    // A provider of the file keeps its kind.
    let file = "[providers.default]\nkind = \"anthropic\"\n";
    let config = load(Some(file), &[("RUNYARD_OPENAI_MODEL", "claude")]).unwrap();
    assert_eq!(config.providers["default"].kind, ProviderKind::Anthropic);
    assert_eq!(config.providers["default"].model.as_deref(), Some("claude"));
}

#[test]
fn mistakes_are_named() {
    let refused = |file: Option<&str>, variables: &[(&str, &str)], word: &str| {
        let said = load(file, variables).unwrap_err();
        assert!(said.contains(word), "{said}");
    };
    refused(
        None,
        &[("RUNYARD_LISTEN", "8080")],
        "RUNYARD_LISTEN must be an address such as",
    );
    refused(None, &[("RUNYARD_LIMITS", "no")], "RUNYARD_LIMITS must be on or off");
    refused(None, &[("RUNYARD_OPENAI_MODEL", "x")], "set RUNYARD_OPENAI_BASE_URL");
    refused(Some("listen = "), &[], "runyard.toml");
    refused(Some("lissten = \"x\""), &[], "lissten");
    refused(Some("auth = 3"), &[("RUNYARD_JWT_SECRET", "x")], "runyard.toml");
    let said = load(None, &[("RUNYARD_DATABASE_URL", "mysql://u:hunter2@h/db")]).unwrap_err();
    assert!(
        said.contains("RUNYARD_DATABASE_URL") && !said.contains("hunter2"),
        "{said}"
    );
}
