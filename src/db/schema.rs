//! Applies migrations, one process at a time.

use std::collections::BTreeSet;

use runyard_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, TransactionTrait};

use super::fault;
use crate::error::{Code, Error, Result};

/// Key of the PostgreSQL advisory lock for migrations: "runyard" in ASCII.
const LOCK: i64 = 0x0072_756e_7961_7264;
/// Maximum wait for another process that is applying migrations.
const LOCK_TIMEOUT_SECONDS: u32 = 60;

/// Removes all named prepared statements of a server connection. Behind a pooler, several clients share a connection.
/// The names of their statements could collide with the names that SeaORM uses for migrations.
const NO_STATEMENTS: &str = "DEALLOCATE ALL";

/// The lock of the data folder excludes other processes.
///
/// # Errors
/// UNAVAILABLE; the message says why the schema cannot be updated.
pub(super) async fn bring_sqlite_up_to_date(db: &DatabaseConnection) -> Result<()> {
    if is_up_to_date(db).await? {
        return Ok(());
    }
    // One transaction is faster than one for each statement.
    let tx = db.begin().await.map_err(failed)?;
    Migrator::up(&tx, None).await.map_err(failed)?;
    tx.commit().await.map_err(failed)
}

/// Closes the connection afterwards. If several processes start at the same time, one applies the migrations while
/// the others wait.
///
/// # Errors
/// UNAVAILABLE; the message says why the schema cannot be updated.
pub(super) async fn bring_postgres_up_to_date(db: DatabaseConnection) -> Result<()> {
    let outcome = migrate_alone(&db).await;
    // The migration is complete, so an error on closing does not matter.
    drop(db.close().await);
    outcome
}

async fn migrate_alone(db: &DatabaseConnection) -> Result<()> {
    let tx = db.begin().await.map_err(failed)?;
    // The lock belongs to the transaction, not to the connection, so it also works behind a pooler that shares
    // connections.
    let bounds = format!(
        "{NO_STATEMENTS}; SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'; \
         SET LOCAL idle_in_transaction_session_timeout = 0"
    );
    tx.execute_unprepared(&bounds).await.map_err(failed)?;
    let lock = Statement::from_string(DbBackend::Postgres, format!("SELECT pg_advisory_xact_lock({LOCK})"));
    tx.execute_raw(lock).await.map_err(lock_failed)?;
    if !is_up_to_date(&tx).await? {
        Migrator::up(&tx, None).await.map_err(failed)?;
    }
    tx.execute_unprepared(NO_STATEMENTS).await.map_err(failed)?;
    tx.commit().await.map_err(failed)
}

/// Returns whether all migrations were applied. Refuses a database that a newer version has migrated, because an older
/// version must not write to it.
async fn is_up_to_date(db: &impl ConnectionTrait) -> Result<bool> {
    let applied = Migrator::get_migration_models(db).await.map_err(failed)?;
    let known: BTreeSet<String> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    match applied.iter().find(|applied| !known.contains(&applied.version)) {
        None => Ok(applied.len() == known.len()),
        Some(newer) => Err(Error::new(
            Code::Unavailable,
            format!(
                "a newer version of runyard has changed this database (migration {}): start that version or a later one, or restore \
                 a backup that was made before the upgrade",
                newer.version
            ),
        )),
    }
}

fn lock_failed(error: DbErr) -> Error {
    if fault::is_lost_race(&error) {
        let message = format!(
            "another runyard process has been changing the database schema for {LOCK_TIMEOUT_SECONDS} s; start again when it has finished"
        );
        return Error::new(Code::Unavailable, message).caused_by(error);
    }
    failed(error)
}

fn failed(error: DbErr) -> Error {
    let why = super::postgres::explain_migration(&error);
    Error::new(Code::Unavailable, format!("cannot update the database schema: {why}")).caused_by(error)
}
