//! The configuration file overrides the defaults, and the environment overrides the file.

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
fn the_defaults_are_a_valid_configuration() {
    let config = load(None, &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.data_dir.to_str(), Some("data"));
    assert_eq!(config.limits, Limits::On);
    assert!(config.database_url.is_none() && config.auth.jwt_secret.is_none() && config.providers.is_empty());
}

#[test]
fn the_environment_overrides_the_file() {
    let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"there\"\n[auth]\nissuer = \"file\"\n[worker]\nmax_runs = 3\n";
    let from_file = load(Some(file), &[]).unwrap();
    assert_eq!((from_file.listen.port(), from_file.worker.max_runs), (1, 3));
    let config = load(
        Some(file),
        &[
            ("RUNYARD_LISTEN", "[::1]:2"),
            ("RUNYARD_DATABASE_URL", "postgres://u:p@localhost/db"),
            ("RUNYARD_DATABASE_CONNECTIONS", "5"),
            ("RUNYARD_LIMITS", "off"),
            ("RUNYARD_JWT_ISSUER", "environment"),
            ("RUNYARD_JWT_SECRET", "s\"e'c\\ret"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:2");
    assert_eq!(
        config.data_dir.to_str(),
        Some("there"),
        "keys without a variable keep the file's value"
    );
    assert_eq!((from_file.database_connections, config.database_connections), (16, 5));
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
fn three_variables_configure_a_provider() {
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
    // The environment does not change the kind of a provider in the file.
    let file = "[providers.default]\nkind = \"anthropic\"\n";
    let config = load(Some(file), &[("RUNYARD_OPENAI_MODEL", "claude")]).unwrap();
    assert_eq!(config.providers["default"].kind, ProviderKind::Anthropic);
    assert_eq!(config.providers["default"].model.as_deref(), Some("claude"));
}

#[test]
fn configuration_errors_name_the_key() {
    let refused = |file: Option<&str>, variables: &[(&str, &str)], word: &str| {
        let message = load(file, variables).unwrap_err();
        assert!(message.contains(word), "{message}");
    };
    refused(
        None,
        &[("RUNYARD_LISTEN", "8080")],
        "RUNYARD_LISTEN must be an IP address and a port",
    );
    refused(None, &[("RUNYARD_LIMITS", "no")], "RUNYARD_LIMITS must be on or off");
    for number in ["many", "1.5", "true", "-1"] {
        let variable = ("RUNYARD_DATABASE_CONNECTIONS", number);
        refused(None, &[variable], "RUNYARD_DATABASE_CONNECTIONS must be a number");
    }
    refused(
        Some("database_connections = 0"),
        &[],
        "line 1, database_connections: must be 1 to",
    );
    let zero = ("RUNYARD_DATABASE_CONNECTIONS", "0");
    refused(None, &[zero], "RUNYARD_DATABASE_CONNECTIONS must be a number from 1 to");
    refused(None, &[("RUNYARD_OPENAI_MODEL", "x")], "set RUNYARD_OPENAI_BASE_URL");
    refused(Some("listen = "), &[], "runyard.toml");
    refused(Some("lissten = \"x\""), &[], "lissten");
    refused(Some("auth = 3"), &[("RUNYARD_JWT_SECRET", "x")], "runyard.toml");
    let message = load(None, &[("RUNYARD_DATABASE_URL", "mysql://u:hunter2@h/db")]).unwrap_err();
    assert!(
        message.contains("RUNYARD_DATABASE_URL") && !message.contains("hunter2"),
        "{message}"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn an_error_in_tiers_models_or_providers_names_its_file_line_and_key() {
    let model = "[[models]]\nname = \"a\"\nupstream = \"a\"\ncontext_window = 100\nmax_output_tokens = 10\ninput_price = 1\noutput_price = 1.5\n";
    let tier = "[[tiers]]\nname = \"free\"\nmodels = [\"a\"]\ndefault_model = \"a\"\nmax_upload_bytes = 1\ncredits_granted = 1\n";
    let good = format!("# Ours.\n{model}\n{tier}");
    assert!(load(Some(&good), &[]).is_ok(), "control: the unmodified file is valid");

    for also_good in [
        good.replace("models = [\"a\"]", "models = [\"*\"]\nrun_timeout_seconds = 1"),
        good.replace("models = [\"a\"]", "models = []\ndowngrades = { a = \"a\" }"),
        good.replace("# Ours.", "http.heartbeat_seconds = 1\nworker.lease_seconds = 1"),
    ] {
        assert!(load(Some(&also_good), &[]).is_ok(), "{also_good}");
    }

    // Line 1 of the file is a comment, lines 2 to 8 are the model, and lines 10 to 15 are the tier.
    let table: &[(&str, &str, &str)] = &[
        (
            "input_price = 1\n",
            "input_price = -1\n",
            "line 7, models[0].input_price: the price of a must be 0 or more",
        ),
        (
            "output_price = 1.5",
            "output_price = nan",
            "line 8, models[0].output_price: the price of a",
        ),
        (
            "input_price = 1\n",
            "input_price = \"1\"\n",
            "line 7, models[0].input_price: invalid type: string",
        ),
        (
            "max_output_tokens = 10\n",
            "max_output_tokens = 100\n",
            "line 5, models[0].context_window: the context window of a must be larger than max_output_tokens",
        ),
        (
            "max_output_tokens = 10\n",
            "max_tokens = 10\n",
            "line 6, models[0].max_tokens: unknown field `max_tokens`",
        ),
        (
            "max_output_tokens = 10\n",
            "\n",
            "line 2, models[0]: missing field `max_output_tokens`",
        ),
        (
            "upstream = \"a\"",
            "upstream = \"a\"\naliases = [\"b\", \"a\"]",
            "line 5, models[0].aliases: the name a occurs twice",
        ),
        (
            "upstream = \"a\"",
            "upstream = \"a\"\nprovider = \"x\"",
            "line 5, models[0].provider: the model a uses the provider x",
        ),
        (
            "name = \"a\"",
            "name = \"\"",
            "line 3, models[0].name: a name must not be empty",
        ),
        (
            "credits_granted = 1\n",
            "credits_granted = 1\nconcurrent_runs = -1\n",
            "line 16, tiers[0].concurrent_runs: a limit of the tier free is negative",
        ),
        (
            "credits_granted = 1\n",
            "credits_granted = 1\nagents = \"3\"\n",
            "line 16, tiers[0].agents: invalid type",
        ),
        (
            "credits_granted = 1\n",
            "credits_granted = -1\n",
            "line 15, tiers[0].credits_granted: invalid value",
        ),
        (
            "credits_granted = 1\n",
            "credits_granted = 1\nagent = 3\n",
            "line 16, tiers[0].agent: unknown field",
        ),
        (
            "models = [\"a\"]",
            "models = [\n\"a\",\n\"z\"]",
            "line 12, tiers[0].models: the tier free names the model z",
        ),
        (
            "default_model = \"a\"",
            "default_model = \"z\"",
            "line 13, tiers[0].default_model: the tier free names the model z",
        ),
        (
            "credits_granted = 1\n",
            "credits_granted = 1\ndowngrades = { z = \"a\" }\n",
            "line 16, tiers[0].downgrades: the tier free names the model z",
        ),
        (
            "# Ours.",
            "providers.x.kind = \"y\"",
            "line 1, providers.x.kind: unknown variant `y`",
        ),
        (
            "# Ours.",
            "providers.x = { kind = \"openai\", base_url = \"ftp://x\" }",
            "line 1, providers.x.base_url: must begin with http",
        ),
        (
            "# Ours.",
            "http.heartbeat_seconds = \"x\"",
            "line 1, http.heartbeat_seconds: invalid type",
        ),
        (
            "credits_granted = 1\n",
            "credits_granted = 1\nrun_timeout_seconds = 0\n",
            "line 16, tiers[0].run_timeout_seconds: the run timeout of the tier free must be 1 or more",
        ),
        (
            "models = [\"a\"]",
            "models = []",
            "line 13, tiers[0].default_model: the tier free does not include its default model a",
        ),
        (
            "# Ours.",
            "http.heartbeat_seconds = 0",
            "line 1, http.heartbeat_seconds: must be 1 or more",
        ),
        (
            "# Ours.",
            "http.heartbeat_seconds = 11",
            "line 1, http.heartbeat_seconds: must be 10 or less",
        ),
        (
            "# Ours.",
            "worker.lease_seconds = 0",
            "line 1, worker.lease_seconds: must be 1 or more",
        ),
        (
            "# Ours.",
            "worker.lease_seconds = 4000",
            "line 1, worker.lease_seconds: must be 3600 or less",
        ),
        (
            "# Ours.",
            "worker.run_timeout_seconds = 0",
            "line 1, worker.run_timeout_seconds: must be 1 or more",
        ),
        ("# Ours.", "listen = ", "line 1: "),
    ];
    for (from, to, wanted) in table {
        let mistaken = good.replacen(from, to, 1);
        assert_ne!(mistaken, good, "{from}");
        let message = load(Some(&mistaken), &[]).unwrap_err();
        assert!(message.contains(&format!("runyard.toml, {wanted}")), "{to}: {message}");
    }

    let twice = format!("{good}{tier}");
    let message = load(Some(&twice), &[]).unwrap_err();
    assert!(
        message.contains("runyard.toml, line 17, tiers[1].name: the name free occurs twice"),
        "{message}"
    );
    // The error is in a default tier, so it has no line number.
    let message = load(Some(model), &[]).unwrap_err();
    assert!(
        message.contains("runyard.toml, default value of tiers[0].models: the tier free names the model"),
        "{message}"
    );
}

#[test]
fn rate_limits_are_on_for_servers_reachable_from_elsewhere() {
    let read = |text: &str| Config::parse("a test", text).unwrap();
    let has = |config: &Config| [config.rate_per_account().is_some(), config.rate_per_address().is_some()];
    assert_eq!(has(&read("")), [false, false]);
    assert_eq!(has(&read("listen = \"[::1]:80\"")), [false, false]);
    assert_eq!(has(&read("listen = \"0.0.0.0:80\"")), [true, true]);
    assert_eq!(has(&read("listen = \"192.0.2.1:80\"")), [true, true]);
    // Other machines can reach a server on loopback through a proxy.
    assert_eq!(has(&read("[http]\ntrusted_proxies = [\"127.0.0.1\"]")), [true, true]);
    let off =
        "listen = \"0.0.0.0:80\"\n[http]\nrate_per_account = \"off\"\nrate_per_address = { per_second = 7, burst = 9 }";
    let config = read(off);
    assert_eq!(has(&config), [false, true]);
    assert_eq!(config.rate_per_address().unwrap().per_second.get(), 7);
    for (text, message) in [
        ("[http]\nrate_per_account = \"on\"", "or \"off\""),
        (
            "[http]\nrate_per_account = { per_second = 0, burst = 1 }",
            "must be a rate",
        ),
        (
            "[http]\ntrusted_proxies = [\"proxy.example\"]",
            "is not an address such as",
        ),
    ] {
        let refused = Config::parse("a test", text).unwrap_err();
        assert!(refused.message().contains(message), "{}", refused.message());
    }
}
