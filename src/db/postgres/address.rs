//! Parses the database URL.
//!
//! sqlx parses most parameters. This module parses `pgbouncer`, which sqlx does not know. It also parses `sslmode`
//! and `sslrootcert`, which sqlx interprets differently from libpq, PostgreSQL's client library.

use std::{fs, str::FromStr};

use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use url::Url;

use crate::error::{Error, Result};

/// The values of `sslmode` that libpq accepts.
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// The value of `sslrootcert` that selects the public certificate authorities.
const PUBLIC: &str = "system";

#[derive(Debug)]
pub(super) struct Address {
    /// Without `super::SETTINGS`.
    pub options: PgConnectOptions,
    /// True if the URL contains `pgbouncer=true`.
    pub is_pooler: bool,
}

#[derive(Default)]
struct Tls {
    mode: Option<String>,
    /// True if `sslrootcert` names a file.
    has_authority: bool,
    /// True if `sslrootcert` is [`PUBLIC`].
    is_public: bool,
}

/// Fails with INVALID_REQUEST. The message omits the URL, which may contain a password.
pub(super) fn parse(url: &str) -> Result<Address> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Error::invalid(
            "RUNYARD_DATABASE_URL must start with postgres://; unset it to use SQLite in the data folder",
        ));
    }
    let mut url = Url::parse(url).map_err(|_| unreadable())?;
    let (mut tls, mut is_pooler, mut others) = (Tls::default(), false, Vec::new());
    for (key, value) in url.query_pairs() {
        match &*key {
            "pgbouncer" => is_pooler = value == "true",
            "sslmode" | "ssl-mode" => tls.mode = Some(mode(&value)?),
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" if value == PUBLIC => tls.is_public = true,
            _ => {
                tls.has_authority |= check_file(&key, &value)?;
                others.push((key.into_owned(), value.into_owned()));
            }
        }
    }
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    // The parser's error text may contain the password.
    let options = PgConnectOptions::from_str(url.as_str()).map_err(|_| unreadable())?;
    let options = secured(bare(options), &tls)?;
    Ok(Address { options, is_pooler })
}

fn unreadable() -> Error {
    Error::invalid("RUNYARD_DATABASE_URL is not a URL such as postgres://user:password@host:5432/runyard")
}

fn mode(value: &str) -> Result<String> {
    let value = value.to_ascii_lowercase();
    if MODES.contains(&value.as_str()) {
        return Ok(value);
    }
    let modes = MODES.join(", ");
    Err(Error::invalid(format!(
        "sslmode in RUNYARD_DATABASE_URL must be one of {modes}"
    )))
}

/// Checks that a certificate or key file can be read, because sqlx would report a missing file as a failed
/// connection. Returns true for a file of CA certificates.
fn check_file(key: &str, path: &str) -> Result<bool> {
    let is_authority = matches!(key, "sslrootcert" | "ssl-root-cert" | "ssl-ca");
    let is_file = is_authority || matches!(key, "sslcert" | "ssl-cert" | "sslkey" | "ssl-key");
    if !is_file {
        return Ok(false);
    }
    let text = fs::read(path).map_err(|error| {
        Error::invalid(format!(
            "the file {path} of the parameter {key} in RUNYARD_DATABASE_URL cannot be read: {error}"
        ))
    })?;
    if String::from_utf8_lossy(&text).contains("-----BEGIN ") {
        return Ok(is_authority);
    }
    Err(Error::invalid(format!(
        "the file {path} of the parameter {key} in RUNYARD_DATABASE_URL is not in PEM format"
    )))
}

/// Removes the brackets around an IPv6 address, and the start-up option `extra_float_digits`, which some poolers
/// refuse. Since version 12, PostgreSQL returns exact floating-point numbers without this option.
fn bare(options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host().trim_matches(['[', ']']).to_owned();
    options.host(&host).extra_float_digits(None).disable_statement_logging()
}

/// Sets the TLS mode as libpq does. With `sslrootcert`, `require` also verifies the certificate chain. A connection
/// to a Unix socket never uses TLS. sqlx lacks `allow`, so `prefer` replaces it: both permit connections with and
/// without TLS, and differ only in the order of the attempts.
fn secured(options: PgConnectOptions, tls: &Tls) -> Result<PgConnectOptions> {
    let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
    let mode = match (tls.mode.as_deref(), tls.is_public) {
        _ if is_socket => PgSslMode::Disable,
        (None | Some("verify-full"), true) => PgSslMode::VerifyFull,
        (Some(_), true) => {
            return Err(Error::invalid(
                "sslrootcert=system in RUNYARD_DATABASE_URL needs sslmode=verify-full: anyone can get a certificate from a public \
                 authority, so the host name must be checked too",
            ));
        }
        (None, false) => options.get_ssl_mode(),
        (Some("disable"), _) => PgSslMode::Disable,
        (Some("allow" | "prefer"), _) => PgSslMode::Prefer,
        (Some("require"), _) if !tls.has_authority => PgSslMode::Require,
        (Some("require" | "verify-ca"), _) => PgSslMode::VerifyCa,
        (Some(_), _) => PgSslMode::VerifyFull,
    };
    Ok(options.ssl_mode(mode))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/client/tls/authority.pem");

    #[test]
    fn tls_parameters_mean_the_same_as_in_libpq() {
        for (parameters, expected) in [
            ("sslmode=disable", "Disable"),
            ("sslmode=allow", "Prefer"),
            ("sslmode=PREFER", "Prefer"),
            ("sslmode=require", "Require"),
            ("sslmode=require&sslrootcert=FILE", "VerifyCa"),
            ("sslmode=verify-ca&sslrootcert=FILE", "VerifyCa"),
            ("sslmode=verify-full&sslrootcert=FILE", "VerifyFull"),
            ("sslmode=verify-full", "VerifyFull"),
            ("sslrootcert=system", "VerifyFull"),
            ("sslmode=verify-full&sslrootcert=system", "VerifyFull"),
            ("host=/run/postgresql&sslmode=require", "Disable"),
        ] {
            let url = format!("postgres://u:p@h/d?{parameters}").replace("FILE", FILE);
            let mode = parse(&url).unwrap().options.get_ssl_mode();
            assert_eq!(format!("{mode:?}"), expected, "{parameters}");
        }
    }

    #[test]
    fn other_parameters_are_kept() {
        let address =
            parse("postgresql://u:p%40@[::1]:5433/d?pgbouncer=true&application_name=a%20b&options=-c%20x%3D1");
        let Address { options, is_pooler } = address.unwrap();
        assert!(is_pooler);
        assert_eq!((options.get_host(), options.get_port()), ("::1", 5433));
        assert_eq!((options.get_username(), options.get_database()), ("u", Some("d")));
        assert_eq!(options.get_application_name(), Some("a b"));
        assert_eq!(options.get_options(), Some("-c x=1"));
        assert!(!parse("postgres://u:p@h/d?pgbouncer=false").unwrap().is_pooler);
    }

    #[test]
    fn a_refused_url_is_explained_without_its_password() {
        for (url, word) in [
            ("mysql://u:secret@h/d", "postgres://"),
            ("postgres://u:secret@h:port/d", "RUNYARD_DATABASE_URL"),
            ("postgres://u:secret@h/d?port=x", "RUNYARD_DATABASE_URL"),
            ("postgres://u:secret@h/d?sslmode=on", "verify-full"),
            ("postgres://u:secret@h/d?sslrootcert=/no/such/file", "/no/such/file"),
            ("postgres://u:secret@h/d?sslkey=/dev/null", "PEM"),
            (
                "postgres://u:secret@h/d?sslmode=require&sslrootcert=system",
                "verify-full",
            ),
        ] {
            let message = parse(url).unwrap_err().message().to_owned();
            assert!(
                message.contains(word) && !message.contains("secret"),
                "{url}: {message}"
            );
        }
    }
}
