//! Connects to the PostgreSQL server, and detects a connection pooler in front of it.
//!
//! A direct connection receives its settings as start-up options. A connection pooler refuses or drops these options,
//! which is how this module detects the pooler. The URL parameter `pgbouncer=true` skips the detection.

mod address;
mod explain;
mod pool;

use std::{io::ErrorKind, time::Duration};

use sea_orm::DatabaseConnection;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::info;

use super::ACQUIRE_TIMEOUT;
use crate::error::{Code, Error, Result};
use address::Address;
pub(super) use explain::migration as explain_migration;
pub(super) use pool::{Pool, Transaction};

/// Settings of every connection. The idle timeout makes a stuck process release its locks. The last three settings
/// keep the plan of a statement independent of its values and of the table sizes. With `enable_bitmapscan` and
/// `enable_seqscan` off, PostgreSQL prefers index scans, which return rows in order and stop at LIMIT. Other scans
/// would read and sort all matching rows first.
const SETTINGS: [(&str, &str); 5] = [
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_bitmapscan", "off"),
    ("enable_seqscan", "off"),
];
/// Servers before version 12 have no `plan_cache_mode`. The argument `true` then makes `current_setting` return NULL
/// instead of an error.
const CHECK: &str = "SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version, \
                     current_setting('plan_cache_mode', true) AS plan_cache_mode";
/// Oldest supported version, in the format of `server_version_num`.
const OLDEST: u32 = 150_000;
/// Maximum wait for a server that is starting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// How connections reach the server. The route determines how long the state of a connection lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// Settings and prepared statements last as long as the connection.
    Direct,
    /// A pooler may use a different server connection for each transaction. No state outlasts a transaction.
    Pooler,
}

/// A server that has accepted a connection.
pub(super) struct Server {
    options: PgConnectOptions,
    route: Route,
}

/// The result of [`CHECK`]. `has_settings` is true if the server has applied [`SETTINGS`].
struct Checked {
    number: u32,
    version: String,
    has_settings: bool,
}

impl Server {
    /// Waits if the server is starting.
    ///
    /// # Errors
    /// INVALID_REQUEST if the URL is invalid, otherwise UNAVAILABLE. The message contains the server's reason and says
    /// what to do.
    pub(super) async fn find(url: &str) -> Result<Self> {
        let Address { options, is_pooler } = address::parse(url)?;
        let route = if is_pooler { Route::Pooler } else { Route::Direct };
        let mut server = Self { options, route };
        let until = Instant::now() + CONNECT_TIMEOUT;
        loop {
            let error = match timeout_at(until, server.check()).await {
                Ok(Ok(checked)) if checked.number < OLDEST => {
                    return Err(unavailable(explain::too_old(&checked.version, &server.options)));
                }
                Ok(Ok(checked)) if server.route == Route::Pooler || checked.has_settings => {
                    server.announce();
                    return Ok(server);
                }
                Ok(Ok(_)) => {
                    server.route = Route::Pooler;
                    continue;
                }
                Ok(Err(error)) => error,
                Err(_) => sqlx::Error::Io(ErrorKind::TimedOut.into()),
            };
            if server.adapt(&error) {
                continue;
            }
            if !is_starting(&error) || Instant::now() + PAUSE > until {
                return Err(unavailable(explain::connection(&error, &server.options)));
            }
            sleep(PAUSE).await;
        }
    }

    /// Opens connections on demand.
    pub(super) fn pool(&self, connections: u32) -> Pool {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(self.start_up());
        Pool::new(pool, self.route)
    }

    /// Returns a connection for migrations. SeaORM uses named prepared statements. Behind a pooler, they work only
    /// within one transaction.
    pub(super) fn migrator(&self) -> DatabaseConnection {
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(self.start_up())
            .into()
    }

    fn start_up(&self) -> PgConnectOptions {
        match self.route {
            Route::Direct => self.options.clone().options(SETTINGS),
            Route::Pooler => self.options.clone(),
        }
    }

    async fn check(&self) -> Result<Checked, sqlx::Error> {
        let mut connection = self.start_up().connect().await?;
        if self.route == Route::Pooler {
            // A pooler in statement mode refuses transactions, so this transaction detects that mode at start.
            let begun = connection.begin_with(AssertSqlSafe(pool::begin(self.route))).await?;
            begun.commit().await?;
        }
        let checked = Checked::read(&mut connection).await?;
        // The check is complete, so an error on closing does not matter.
        drop(connection.close().await);
        Ok(checked)
    }

    /// Changes the route or the TLS mode if the next attempt may then succeed. Returns true after a change.
    fn adapt(&mut self, error: &sqlx::Error) -> bool {
        if self.route == Route::Direct && explain::refuses_options(error) {
            self.route = Route::Pooler;
            return true;
        }
        // `sslmode=prefer`, the default, permits connections without TLS.
        let may_fall_back = matches!(self.options.get_ssl_mode(), PgSslMode::Prefer);
        if may_fall_back && explain::refuses_tls(error) {
            self.options = self.options.clone().ssl_mode(PgSslMode::Disable);
            return true;
        }
        false
    }

    fn announce(&self) {
        if self.route == Route::Pooler {
            info!(
                "PostgreSQL is behind a connection pooler: prepared statements are not reused, and settings are sent with each transaction"
            );
        }
    }
}

impl Checked {
    async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let row = sqlx::raw_sql(CHECK).fetch_one(connection).await?;
        let number: String = row.try_get("number")?;
        let setting: Option<String> = row.try_get("plan_cache_mode")?;
        Ok(Self {
            // A server whose version number cannot be parsed is accepted.
            number: number.parse().unwrap_or(OLDEST),
            version: row.try_get("version")?,
            has_settings: SETTINGS.contains(&("plan_cache_mode", setting.as_deref().unwrap_or_default())),
        })
    }
}

fn unavailable(message: String) -> Error {
    Error::new(Code::Unavailable, message)
}

// True if the server does not listen yet, is starting, or has no free connection slot.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        sqlx::Error::Database(fault) => fault
            .code()
            .is_some_and(|code| ["57P03", "53300"].contains(&code.as_ref())),
        _ => false,
    }
}
