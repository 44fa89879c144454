//! Database rows of events. Only the module `runs` writes events.

use std::sync::OnceLock;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, QueryFilter, QuerySelect, QueryTrait, Statement, Value,
    entity::prelude::*,
    sea_query::{ExprTrait, IntoColumnRef},
};

use super::{Stored, page::fitting};
use crate::{
    accounts::{Owned, Scope, of},
    db::{Bound, Rows, Sql, Tx, padded},
    error::Result,
};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "run_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub terminal: bool,
    pub payload: Vec<u8>,
}

/// `SeaORM` requires this type. Joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    // Events have no account column. The calling code must have checked access to the run.
    fn owner() -> Column {
        Column::RunId
    }
}

const MAX_PAGE: i64 = 128;
/// Permitted numbers of rows in an INSERT statement on PostgreSQL. [`padded`] extends a list to the next permitted
/// number, so that the database prepares few different statements.
const SIZES: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

const INSERT: Sql = Sql::new(
    "INSERT INTO run_events (run_id, sequence, terminal, payload) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
);

const LIST: Sql = Sql::new(
    "SELECT sequence, terminal, payload FROM run_events WHERE run_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
);

const LIST_SIZES: Sql = Sql::new(
    "SELECT CAST(LENGTH(payload) AS BIGINT) FROM run_events WHERE run_id = $1 AND sequence > $2 ORDER BY sequence \
     LIMIT $3",
);

const NEWEST: Sql =
    Sql::new("SELECT sequence, terminal FROM run_events WHERE run_id = $1 ORDER BY sequence DESC LIMIT 1");

/// Inserts events of one or more runs. A row may exist already, if an earlier attempt wrote it but the response to
/// its commit was lost.
pub async fn insert(tx: &Tx, events: &[(Uuid, &Stored)]) -> Result<(), DbErr> {
    if tx.get_database_backend() != DbBackend::Postgres {
        let changes = events.iter().map(|(run_id, event)| insertion(*run_id, event));
        return tx.change_all(changes.collect()).await;
    }
    for chunk in events.chunks(SIZES[SIZES.len() - 1]) {
        let position = SIZES.iter().position(|size| chunk.len() <= *size).unwrap_or_default();
        tx.execute_raw(insert_statement(position, chunk)).await?;
    }
    Ok(())
}

/// The change that inserts one event, for functions that make several changes together.
pub fn insertion(run_id: Uuid, event: &Stored) -> Bound {
    INSERT.with(values(run_id, event))
}

fn values(run_id: Uuid, event: &Stored) -> [Value; 4] {
    [
        run_id.into(),
        event.sequence.into(),
        event.terminal.into(),
        event.bytes.to_vec().into(),
    ]
}

// `padded` repeats the last event. `ON CONFLICT DO NOTHING` ignores the duplicates.
fn insert_statement(position: usize, chunk: &[(Uuid, &Stored)]) -> Statement {
    let values = padded(chunk, &SIZES).flat_map(|(run_id, event)| values(*run_id, event));
    Statement::from_sql_and_values(DbBackend::Postgres, insert_text(position), values)
}

fn insert_text(position: usize) -> &'static str {
    static TEXTS: [OnceLock<String>; SIZES.len()] = [const { OnceLock::new() }; SIZES.len()];
    TEXTS[position].get_or_init(|| {
        let row = |row: usize| {
            let [run_id, sequence, terminal, payload] = [1, 2, 3, 4].map(|column| row * 4 + column);
            format!("(${run_id},${sequence},${terminal},${payload})")
        };
        let rows: Vec<String> = (0..SIZES[position]).map(row).collect();
        format!(
            "INSERT INTO run_events (run_id, sequence, terminal, payload) VALUES {} ON CONFLICT DO NOTHING",
            rows.join(",")
        )
    })
}

/// Lists the events of a run after a cursor, oldest first. The calling code must have checked access to the run.
async fn list(db: &impl Rows, run_id: Uuid, after: i64, limit: i64) -> Result<Vec<Stored>> {
    let query = LIST.with([run_id.into(), after.into(), limit.into()]);
    let events = db.rows(query, |row| {
        Ok(Stored {
            sequence: row.take()?,
            terminal: row.take()?,
            bytes: row.take::<Vec<u8>>()?.into(),
        })
    });
    Ok(events.await?)
}

/// Lists as many events after a cursor as fit into `max_bytes`, but at least one if an event exists, oldest first.
/// The calling code must have checked access to the run.
pub async fn page(db: &impl Rows, run_id: Uuid, after: i64, max_bytes: usize) -> Result<Vec<Stored>> {
    if max_bytes == 0 {
        return list(db, run_id, after, 1).await;
    }
    // Read the sizes first: the size of an event ranges from a few bytes to a megabyte.
    let query = LIST_SIZES.with([run_id.into(), after.into(), MAX_PAGE.into()]);
    let sizes = db.rows(query, |row| {
        let size: i64 = row.take()?;
        Ok(usize::try_from(size).unwrap_or(usize::MAX))
    });
    match i64::try_from(fitting(sizes.await?, max_bytes)) {
        Ok(0) => Ok(Vec::new()),
        limit => list(db, run_id, after, limit.unwrap_or(MAX_PAGE)).await,
    }
}

/// Returns an expression for queries of runs: the sequence number of the run's newest event, or NULL if the run has
/// no events. `run_id` is the column of the outer query that contains the run's id. The database reads only one index
/// entry per run.
pub fn newest_of(run_id: impl IntoColumnRef) -> Expr {
    let newest = of::<Entity>(Scope::system("the outer query is limited to a scope"))
        .select_only()
        .expr(Expr::col((Entity, Column::Sequence)).max())
        .filter(Expr::col((Entity, Column::RunId)).equals(run_id))
        .into_query();
    Expr::from(newest)
}

/// Sequence number of a run's newest event; 0 without events.
pub async fn last_sequence(db: &impl Rows, run_id: Uuid) -> Result<i64> {
    Ok(newest(db, run_id).await?.map_or(0, |(sequence, _)| sequence))
}

/// Sequence number of a run's newest event, and whether this event is terminal; `None` without events.
pub async fn newest(db: &impl Rows, run_id: Uuid) -> Result<Option<(i64, bool)>> {
    let query = NEWEST.with([run_id.into()]);
    Ok(db.row(query, |row| Ok((row.take()?, row.take()?))).await?)
}
