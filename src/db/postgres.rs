//! Connects to PostgreSQL and explains why a connection failed.

use std::{io::ErrorKind, str::FromStr, time::Duration};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbErr,
    sqlx::{self, ConnectOptions as _, Connection, postgres::PgConnectOptions},
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{ACQUIRE_TIMEOUT, fault};
use crate::error::{Code, Error, Result};

/// Maximum number of connections.
const CONNECTIONS: u32 = 16;
/// Settings of every connection. The first two limit how long a statement waits for a lock and how long a transaction
/// may be idle, so that a hung process releases its locks. The other three force plans that suit all values and table
/// sizes: such a plan reads a list in index order and stops at the list's limit. A bitmap scan or a sequential scan
/// would read all matching rows before the first row is returned. The planner would prefer a sequential scan while a
/// table is small.
const SETTINGS: [(&str, &str); 5] = [
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_bitmapscan", "off"),
    ("enable_seqscan", "off"),
];
/// Maximum time to wait for a database server that is starting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(200);

/// Advice for a server that requires TLS.
const WITHOUT_TLS: &str = "runyard does not support TLS to PostgreSQL yet: allow this host to connect without it in pg_hba.conf and leave \
                           sslmode out, or put a TLS proxy such as stunnel on this host";

/// Connects, and waits if the server is starting.
///
/// # Errors
/// INVALID_REQUEST if the URL is invalid; otherwise UNAVAILABLE. The message contains the reason from the server and
/// says what to do.
pub(super) async fn connect(url: &str) -> Result<DatabaseConnection> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Error::invalid(
            "the database URL must start with postgres:// (unset it to use SQLite in the data folder)",
        ));
    }
    // An invalid URL may contain the password, and so may the parser's message. Neither is shown.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Error::invalid("RUNYARD_DATABASE_URL is not a URL such as postgres://user:password@host:5432/runyard")
    })?;
    // If a connection fails, a pool reports only a timeout. The first connection is therefore made without a pool, to
    // get the real error.
    try_out(&options.clone().options(SETTINGS)).await?;
    let mut pool = ConnectOptions::new(url.to_owned());
    pool.max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .map_sqlx_postgres_opts(|options| options.options(SETTINGS))
        .sqlx_logging(false);
    Database::connect(pool).await.map_err(|error| {
        let why = fault::driver(&error).map_or_else(|| error.to_string(), |error| explain(error, &options));
        Error::new(Code::Unavailable, why)
    })
}

async fn try_out(options: &PgConnectOptions) -> Result<()> {
    let until = Instant::now() + CONNECT_TIMEOUT;
    loop {
        let error = match timeout_at(until, options.connect()).await {
            Ok(Ok(connection)) => {
                // The connection worked, so an error while closing it does not matter.
                drop(connection.close().await);
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::Io(ErrorKind::TimedOut.into()),
        };
        if !is_starting(&error) || Instant::now() + PAUSE > until {
            return Err(Error::new(Code::Unavailable, explain(&error, options)));
        }
        sleep(PAUSE).await;
    }
}

// Returns true if the server does not listen yet, is still starting, or has no free connection slot.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        sqlx::Error::Database(fault) => fault
            .code()
            .is_some_and(|code| ["57P03", "53300"].contains(&code.as_ref())),
        _ => false,
    }
}

/// Explains why a connection failed. The text contains the server's message and says what to do.
fn explain(error: &sqlx::Error, options: &PgConnectOptions) -> String {
    let place = format!("{}:{}", options.get_host(), options.get_port());
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
        sqlx::Error::Io(error) => format!(
            "PostgreSQL at {place} cannot be reached: {error}; check the host and the port in RUNYARD_DATABASE_URL, and check \
             that the server is running"
        ),
        sqlx::Error::Tls(_) => format!("RUNYARD_DATABASE_URL requests TLS to PostgreSQL at {place}; {WITHOUT_TLS}"),
        error => format!("cannot connect to PostgreSQL at {place}: {error}; check RUNYARD_DATABASE_URL"),
    }
}

// Returns the remedy for an SQLSTATE code. Connection poolers use few of these codes, so their errors are recognised by
// message.
fn remedy(code: &str, message: &str) -> &'static str {
    if message.contains("unsupported startup parameter") {
        return "PostgreSQL is behind a connection pooler: set ignore_startup_parameters = extra_float_digits,options and pool_mode = session \
                in pgbouncer.ini, or connect to PostgreSQL directly";
    }
    if message.contains("no encryption") || message.contains("SSL off") || message.contains("SSL required") {
        return WITHOUT_TLS;
    }
    match code {
        "28P01" | "28000" => "check the user and the password in RUNYARD_DATABASE_URL, and the server's pg_hba.conf",
        "3D000" => "create the database with createdb, or name another database in RUNYARD_DATABASE_URL",
        "42501" => "grant the user of RUNYARD_DATABASE_URL the right to use the database",
        "53300" => "raise max_connections of the server, or close other connections",
        "57P03" => "retry when the server has started",
        _ => "check RUNYARD_DATABASE_URL and the server's log",
    }
}

/// Returns the error message of the database, with advice if a connection pooler caused the error.
pub(super) fn sentence(error: &DbErr) -> String {
    match fault::driver(error) {
        Some(sqlx::Error::Database(fault)) if fault.message().contains("prepared statement") => format!(
            "{}; PostgreSQL is behind a connection pooler in transaction mode: set pool_mode = session in pgbouncer.ini, or connect to \
             PostgreSQL directly",
            fault.message()
        ),
        Some(sqlx::Error::Database(fault)) => fault.message().to_owned(),
        _ => error.to_string(),
    }
}
