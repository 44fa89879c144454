//! Inspects a database without changing it, for `runyard doctor`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use runyard_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement};
use secrecy::ExposeSecret;

use super::{postgres, sqlite};
use crate::{config::Config, data_folder, error::Result};

/// The schema of a database, compared with the schema of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// The database has no tables yet.
    New,
    Current,
    /// Number of migrations that the database lacks.
    Behind(usize),
    /// Name of a migration that this version does not have: a newer version has applied it.
    Newer(String),
}

pub struct Inspected {
    connection: Connection,
}

enum Connection {
    Sqlite(DatabaseConnection),
    Postgres(postgres::Pool),
}

impl Inspected {
    /// Returns `None` if the SQLite database does not exist yet.
    pub async fn open(config: &Config) -> Result<Option<Self>> {
        let connection = if let Some(url) = &config.database_url {
            Connection::Postgres(postgres::Server::find(url.expose_secret()).await?.pool(1))
        } else {
            let file = config.data_dir.join(data_folder::DATABASE);
            if !file.exists() {
                return Ok(None);
            }
            Connection::Sqlite(sqlite::inspect(&file).await?)
        };
        Ok(Some(Self { connection }))
    }

    pub async fn schema(&self) -> Schema {
        // A database without this table has not been migrated yet.
        let Ok(rows) = self.connection.rows("SELECT version FROM seaql_migrations").await else {
            return Schema::New;
        };
        let applied: BTreeSet<String> = rows.iter().filter_map(|row| row.try_get("", "version").ok()).collect();
        let known: BTreeSet<String> = Migrator::migrations()
            .iter()
            .map(|migration| migration.name().to_owned())
            .collect();
        match (applied.difference(&known).next(), known.difference(&applied).count()) {
            (Some(newer), _) => Schema::Newer(newer.clone()),
            (None, 0) => Schema::Current,
            (None, _) if applied.is_empty() => Schema::New,
            (None, missing) => Schema::Behind(missing),
        }
    }

    /// `None` on SQLite.
    pub async fn time(&self) -> Result<Option<DateTime<Utc>>, DbErr> {
        self.read("SELECT clock_timestamp() AS value").await
    }

    /// Returns the column `value` of the first row. `None` for NULL, for no row, and always on SQLite.
    pub async fn read<T: sea_orm::TryGetable>(&self, sql: &'static str) -> Result<Option<T>, DbErr> {
        if matches!(self.connection, Connection::Sqlite(_)) {
            return Ok(None);
        }
        match self.connection.rows(sql).await?.first() {
            Some(row) => row.try_get("", "value"),
            None => Ok(None),
        }
    }
}

impl Connection {
    async fn rows(&self, sql: &'static str) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(connection) => {
                let statement = Statement::from_string(DbBackend::Sqlite, sql);
                connection.query_all_raw(statement).await
            }
            Self::Postgres(pool) => {
                let statement = Statement::from_string(DbBackend::Postgres, sql);
                pool.query_all_raw(statement).await
            }
        }
    }
}
