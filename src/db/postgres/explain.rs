//! Explains why a connection or a migration failed. Each text contains the server's message and, for known errors,
//! advice.

use std::io::ErrorKind;

use sea_orm::DbErr;
use sqlx::postgres::PgConnectOptions;

use crate::db::fault;

const WITH_TLS: &str = "the server may accept this host only with TLS: set sslmode=require or sslmode=verify-full in RUNYARD_DATABASE_URL, \
                        or add this host to pg_hba.conf";
const WITHOUT_TLS: &str = "the server may accept this host only without TLS: set sslmode=disable in RUNYARD_DATABASE_URL, or add this \
                           host to pg_hba.conf";
const LOGIN: &str = "check the user and the password in RUNYARD_DATABASE_URL, and the server's pg_hba.conf";
const NO_DATABASE: &str = "create the database with createdb, or name another database in RUNYARD_DATABASE_URL";
const POOL_MODE: &str = "set pool_mode = transaction in pgbouncer.ini, or connect to PostgreSQL directly";
const COLLISION: &str = "PostgreSQL is behind a connection pooler in transaction mode: add pgbouncer=true to the parameters of \
                         RUNYARD_DATABASE_URL";

/// Returns the reason, the address of the server, and advice.
pub(super) fn connection(error: &sqlx::Error, options: &PgConnectOptions) -> String {
    let place = place(options);
    match error {
        sqlx::Error::Database(fault) => {
            let message = fault.message();
            let code = fault.code().unwrap_or_default();
            format!("PostgreSQL at {place} reports: {message}; {}", remedy(&code, message))
        }
        sqlx::Error::Io(error) if error.kind() == ErrorKind::TimedOut => {
            format!(
                "PostgreSQL at {place} does not answer; check the host and the port in RUNYARD_DATABASE_URL, and firewalls"
            )
        }
        sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => handshake(&error.to_string(), &place),
        sqlx::Error::Io(error) => format!(
            "PostgreSQL at {place} cannot be reached: {error}; check the host and the port in RUNYARD_DATABASE_URL, and check \
             that the server is running"
        ),
        sqlx::Error::Tls(error) if error.to_string().contains("does not support TLS") => format!(
            "RUNYARD_DATABASE_URL requires TLS, but PostgreSQL at {place} does not offer it: set ssl = on in postgresql.conf, \
             or sslmode=disable in RUNYARD_DATABASE_URL"
        ),
        sqlx::Error::Tls(error) => handshake(&error.to_string(), &place),
        error => format!("cannot connect to PostgreSQL at {place}: {error}; check RUNYARD_DATABASE_URL"),
    }
}

pub(super) fn too_old(version: &str, options: &PgConnectOptions) -> String {
    let place = place(options);
    format!("PostgreSQL at {place} is version {version}; runyard needs PostgreSQL 15 or newer: upgrade the server")
}

pub(in crate::db) fn migration(error: &DbErr) -> String {
    let Some(sqlx::Error::Database(fault)) = fault::driver(error) else {
        return error.to_string();
    };
    let message = fault.message();
    let remedy = match &*fault.code().unwrap_or_default() {
        "42501" => "allow the user of RUNYARD_DATABASE_URL to create tables: GRANT CREATE ON SCHEMA public TO …",
        "25006" => "name the primary server in RUNYARD_DATABASE_URL",
        _ if is_collision(message) => COLLISION,
        _ => return message.to_owned(),
    };
    format!("{message}; {remedy}")
}

/// True if the server or a pooler refused the start-up options. A server before version 12 refuses them too. The next
/// attempt, without options, then reports that its version is too old.
pub(super) fn refuses_options(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(fault) = error else {
        return false;
    };
    let message = fault.message();
    message.contains("startup parameter")
        || message.contains("command-line options")
        || message.contains("unrecognized configuration parameter")
}

/// True if the server refused TLS, or if the TLS handshake failed.
pub(super) fn refuses_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(fault) => is_without_tls(fault.message()),
        sqlx::Error::Io(error) => error.kind() == ErrorKind::InvalidData,
        sqlx::Error::Tls(_) => true,
        _ => false,
    }
}

// True if `pg_hba.conf` does not permit the connection with TLS. PostgreSQL 14 changed the wording of this message.
fn is_without_tls(message: &str) -> bool {
    message.contains("SSL encryption") || message.contains("SSL on")
}

fn is_collision(message: &str) -> bool {
    message.contains("prepared statement")
}

/// Host and port, or the folder of the Unix socket.
fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

// The compared texts are parts of rustls error messages.
fn handshake(error: &str, place: &str) -> String {
    let remedy = if error.contains("UnknownIssuer") {
        "set sslrootcert in RUNYARD_DATABASE_URL to the certificate file of the authority that signed the server's certificate"
    } else if error.contains("not valid for name") || error.contains("NotValidForName") {
        "use a host name from the certificate in RUNYARD_DATABASE_URL, or set sslmode=verify-ca to check only the authority"
    } else if error.contains("CaUsedAsEndEntity") {
        "give the server a certificate that is not itself an authority, or set sslmode=require to skip the check"
    } else {
        "check the certificate of the server, and sslmode, sslrootcert, sslcert and sslkey in RUNYARD_DATABASE_URL"
    };
    format!("the TLS connection to PostgreSQL at {place} failed: {error}; {remedy}")
}

// Connection poolers use few SQLSTATE codes, so their errors are recognised by message.
fn remedy(code: &str, message: &str) -> &'static str {
    if message.contains("startup parameter") || message.contains("command-line options") {
        return "remove this parameter from RUNYARD_DATABASE_URL, or add it to ignore_startup_parameters in pgbouncer.ini";
    }
    if message.contains("statement pooling mode") {
        return POOL_MODE;
    }
    if is_collision(message) {
        return COLLISION;
    }
    if message.contains("no encryption") || message.contains("SSL off") || message.contains("SSL required") {
        return WITH_TLS;
    }
    if is_without_tls(message) {
        return WITHOUT_TLS;
    }
    if message.contains("no such database") {
        return "add the database to [databases] in pgbouncer.ini, or name another database in RUNYARD_DATABASE_URL";
    }
    match code {
        "28P01" | "28000" => LOGIN,
        "3D000" => NO_DATABASE,
        _ if message.contains("authentication failed") => LOGIN,
        _ if message.starts_with("database ") && message.ends_with(" does not exist") => NO_DATABASE,
        "42501" => "grant the user of RUNYARD_DATABASE_URL the right to use the database",
        "53300" => "raise max_connections of the server, or close other connections",
        "57P03" => "retry when the server has started",
        _ => "check RUNYARD_DATABASE_URL and the server's log",
    }
}
