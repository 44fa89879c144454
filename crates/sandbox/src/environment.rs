//! The complete environment of a command, without the service's own variables.
//!
//! HOME is the workspace, so that files in `~` are kept. Caches and downloads go to /tmp, so that they are not kept.
//! Commands have no network, so some variables limit the retries of package managers, which can otherwise take a
//! minute.

use super::beneath::GUEST_FOLDER;

/// Variables of every command.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("HOME", GUEST_FOLDER),
    ("USER", "agent"),
    ("LOGNAME", "agent"),
    ("SHELL", "/bin/sh"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
    ("PAGER", "cat"),
    ("TMPDIR", "/tmp"),
    ("XDG_CACHE_HOME", "/tmp/.cache"),
    ("XDG_CONFIG_HOME", "/tmp/.config"),
    // Python.
    ("MPLCONFIGDIR", "/tmp/.matplotlib"),
    ("MPLBACKEND", "Agg"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("PYTHONUNBUFFERED", "1"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
    ("CONDA_PKGS_DIRS", "/tmp/.conda"),
    // JavaScript.
    ("npm_config_cache", "/tmp/.npm"),
    ("npm_config_update_notifier", "false"),
    ("npm_config_audit", "false"),
    ("npm_config_fund", "false"),
    ("YARN_CACHE_FOLDER", "/tmp/.yarn"),
    ("YARN_GLOBAL_FOLDER", "/tmp/.yarn"),
    ("YARN_ENABLE_TELEMETRY", "0"),
    ("DENO_DIR", "/tmp/.deno"),
    // Other languages.
    ("CARGO_HOME", "/tmp/.cargo"),
    ("GOPATH", "/tmp/go"),
    ("GOTOOLCHAIN", "local"),
    ("MAVEN_OPTS", "-Dmaven.repo.local=/tmp/.m2/repository"),
    ("GRADLE_USER_HOME", "/tmp/.gradle"),
    ("COMPOSER_HOME", "/tmp/.composer"),
    ("BUNDLE_USER_HOME", "/tmp/.bundle"),
    ("DOTNET_CLI_HOME", "/tmp"),
    ("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
    ("DOTNET_NOLOGO", "1"),
    // By default, a git program that was built for /usr/local reads its configuration from another folder.
    ("GIT_CONFIG_SYSTEM", "/etc/gitconfig"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// Further variables of commands without a network.
pub const OFFLINE: &[(&str, &str)] = &[
    // With no retry at all, pip does not print why it found no package.
    ("PIP_RETRIES", "1"),
    ("PIP_DEFAULT_TIMEOUT", "5"),
    ("UV_OFFLINE", "1"),
    ("CONDA_OFFLINE", "true"),
    ("HF_HUB_OFFLINE", "1"),
    ("npm_config_fetch_retries", "0"),
    ("YARN_ENABLE_NETWORK", "0"),
    ("COREPACK_ENABLE_NETWORK", "0"),
    ("CARGO_NET_OFFLINE", "true"),
    ("GOPROXY", "off"),
    ("GOSUMDB", "off"),
    ("MAVEN_ARGS", "--offline"),
    ("COMPOSER_DISABLE_NETWORK", "1"),
    ("BUNDLE_RETRY", "0"),
];

/// Further variables of commands with a proxy (module `gateway`). Programs disagree about the case of the names.
pub const PROXY: &[(&str, &str)] = &[
    ("HTTP_PROXY", "http://127.0.0.1:3128"),
    ("http_proxy", "http://127.0.0.1:3128"),
    ("HTTPS_PROXY", "http://127.0.0.1:3128"),
    ("https_proxy", "http://127.0.0.1:3128"),
    ("NO_PROXY", "localhost,127.0.0.1,::1"),
    ("no_proxy", "localhost,127.0.0.1,::1"),
    // Java ignores the variables above.
    (
        "MAVEN_OPTS",
        "-Dmaven.repo.local=/tmp/.m2/repository -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128",
    ),
];
