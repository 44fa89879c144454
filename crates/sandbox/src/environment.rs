//! The complete environment of a command, without the service's own variables.
//!
//! HOME is the workspace, so that files in `~` are kept. Caches and downloads go to /tmp, so that they are not kept.
//! Commands have no network, so some variables limit the retries of package managers, which can otherwise take a
//! minute.

use super::beneath::GUEST_FOLDER;

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
    // With no retry at all, pip does not print why it found no package.
    ("PIP_RETRIES", "1"),
    ("PIP_DEFAULT_TIMEOUT", "5"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
    ("UV_OFFLINE", "1"),
    ("CONDA_OFFLINE", "true"),
    ("CONDA_PKGS_DIRS", "/tmp/.conda"),
    ("HF_HUB_OFFLINE", "1"),
    // JavaScript.
    ("npm_config_cache", "/tmp/.npm"),
    ("npm_config_fetch_retries", "0"),
    ("npm_config_update_notifier", "false"),
    ("npm_config_audit", "false"),
    ("npm_config_fund", "false"),
    ("YARN_CACHE_FOLDER", "/tmp/.yarn"),
    ("YARN_GLOBAL_FOLDER", "/tmp/.yarn"),
    ("YARN_ENABLE_NETWORK", "0"),
    ("YARN_ENABLE_TELEMETRY", "0"),
    ("COREPACK_ENABLE_NETWORK", "0"),
    ("DENO_DIR", "/tmp/.deno"),
    // Other languages.
    ("CARGO_HOME", "/tmp/.cargo"),
    ("CARGO_NET_OFFLINE", "true"),
    ("GOPATH", "/tmp/go"),
    ("GOPROXY", "off"),
    ("GOSUMDB", "off"),
    ("GOTOOLCHAIN", "local"),
    ("MAVEN_ARGS", "--offline"),
    ("MAVEN_OPTS", "-Dmaven.repo.local=/tmp/.m2/repository"),
    ("GRADLE_USER_HOME", "/tmp/.gradle"),
    ("COMPOSER_HOME", "/tmp/.composer"),
    ("COMPOSER_DISABLE_NETWORK", "1"),
    ("BUNDLE_USER_HOME", "/tmp/.bundle"),
    ("BUNDLE_RETRY", "0"),
    ("DOTNET_CLI_HOME", "/tmp"),
    ("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
    ("DOTNET_NOLOGO", "1"),
    // By default, a git program that was built for /usr/local reads its configuration from another folder.
    ("GIT_CONFIG_SYSTEM", "/etc/gitconfig"),
    ("GIT_TERMINAL_PROMPT", "0"),
];
