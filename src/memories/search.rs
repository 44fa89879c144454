//! Full-text search of memories: best match first, then most recently changed first.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, QueryFilter, Statement, Value};
use uuid::Uuid;

use super::{
    Holder,
    list::within,
    table::{Column, Model},
    words,
};
use crate::{accounts::Scope, error::Result};

/// Builds a query for SQLite and one for PostgreSQL. Both find the ids of the memories that match a search
/// expression. `$holder` is an additional condition on the agent.
macro_rules! ranked {
    ($holder:literal, $limit:literal) => {
        (
            // CROSS JOIN fixes the join order, so that SQLite reads the index of words first.
            concat!(
                "SELECT m.id FROM memories_words w CROSS JOIN memories m ON m.number = w.rowid \
                 WHERE w.words MATCH $1 AND m.account_id = $2",
                $holder,
                " ORDER BY w.rank, m.updated_at DESC, m.id DESC ",
                $limit
            ),
            concat!(
                "SELECT m.id FROM memories m WHERE m.words @@ CAST($1 AS tsquery) AND m.account_id = $2",
                $holder,
                " ORDER BY ts_rank(m.words, CAST($1 AS tsquery)) DESC, m.updated_at DESC, m.id DESC ",
                $limit
            ),
        )
    };
}

const OF_ALL: (&str, &str) = ranked!("", "LIMIT $3 OFFSET $4");
const OF_AGENT: (&str, &str) = ranked!(" AND m.agent_id = $3", "LIMIT $4 OFFSET $5");
const OF_ACCOUNT: (&str, &str) = ranked!(" AND m.agent_id IS NULL", "LIMIT $3 OFFSET $4");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub offset: u32,
    pub limit: u64,
}

/// Finds memories with one or more words of a text.
pub async fn search(
    db: &impl ConnectionTrait,
    scope: Scope,
    holder: Option<Holder>,
    text: &str,
    part: Part,
) -> Result<Vec<Model>> {
    // A search without an account is not possible, because words are stored per account.
    let Some(account_id) = scope.account_id() else {
        return Ok(Vec::new());
    };
    let backend = db.get_database_backend();
    let Some(query) = words::query(backend, account_id, text) else {
        return Ok(Vec::new());
    };
    let mut values: Vec<Value> = vec![query.into(), account_id.into()];
    let (sqlite, postgres) = match holder {
        None => OF_ALL,
        Some(Holder::Agent(agent_id)) => {
            values.push(agent_id.into());
            OF_AGENT
        }
        Some(Holder::Account) => OF_ACCOUNT,
    };
    let limit = i64::try_from(part.limit).unwrap_or(i64::MAX);
    values.extend([limit.into(), i64::from(part.offset).into()]);
    let sql = if backend == DbBackend::Postgres {
        postgres
    } else {
        sqlite
    };
    let found = db
        .query_all_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    let ids: Vec<Uuid> = found
        .iter()
        .map(|row| row.try_get_by_index(0))
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // These rows already belong to the holder. With another condition on the holder, PostgreSQL would not use the
    // index of ids.
    let rows = within(scope, None)
        .filter(Column::Id.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    let mut rows: HashMap<Uuid, Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
}
