//! Queries for agents that are not deleted.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, Order as Direction, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, LikeExpr, SimpleExpr},
};
use uuid::Uuid;

use super::{
    Agent,
    default::is_default,
    table::{agent, version},
    version as versions,
};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
    ChangedFirst,
    ChangedLast,
    Name,
    NameBackwards,
}

#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Lists only agents whose name or description contains this text, ignoring case; empty for all.
    pub search: String,
    /// `true` for the default agent, `false` for the other agents, `None` for all.
    pub is_default: Option<bool>,
    /// Lists only agents with this tag; empty for all agents.
    pub tag: String,
    pub order: Order,
    pub offset: u64,
    pub limit: u64,
}

pub(super) fn live(scope: Scope) -> Select<agent::Entity> {
    of::<agent::Entity>(scope).filter(agent::Column::DeletedAt.is_null())
}

/// Builds the searchable text of an agent. Rust converts the text to lower case, because SQLite converts only ASCII
/// letters and PostgreSQL's result depends on the locale.
pub(super) fn folded(name: &str, description: Option<&str>) -> String {
    format!("{name}\n{}", description.unwrap_or_default()).to_lowercase()
}

/// Lists agents with their current versions.
pub async fn list(db: &impl ConnectionTrait, scope: Scope, listing: &Listing) -> Result<Vec<Agent>> {
    let mut query = live(scope);
    if !listing.search.is_empty() {
        let escaped = listing
            .search
            .to_lowercase()
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        let contains = LikeExpr::new(format!("%{escaped}%")).escape('\\');
        query = query.filter(agent::Column::SearchText.like(contains));
    }
    query = match listing.is_default {
        Some(true) => query.filter(is_default()),
        Some(false) => query.filter(agent::Column::IsDefault.eq(false)),
        None => query,
    };
    if !listing.tag.is_empty() {
        query = query.filter(has_tag(db.get_database_backend(), &listing.tag));
    }
    let (column, direction) = match listing.order {
        Order::NewestFirst => (agent::Column::CreatedAt, Direction::Desc),
        Order::OldestFirst => (agent::Column::CreatedAt, Direction::Asc),
        Order::ChangedFirst => (agent::Column::UpdatedAt, Direction::Desc),
        Order::ChangedLast => (agent::Column::UpdatedAt, Direction::Asc),
        Order::Name => (agent::Column::Name, Direction::Asc),
        Order::NameBackwards => (agent::Column::Name, Direction::Desc),
    };
    let rows = query
        .order_by(column, direction.clone())
        .order_by(agent::Column::Id, direction)
        .offset(listing.offset)
        .limit(listing.limit)
        .all(db)
        .await?;
    // For an empty list, SeaORM builds a condition that is always false. A database may still scan the table for it.
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.current_version_id).collect();
    let mut found: BTreeMap<Uuid, version::Model> = of::<version::Entity>(scope)
        .filter(version::Column::Id.is_in(ids))
        .all(db)
        .await?
        .into_iter()
        .map(|version| (version.id, version))
        .collect();
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            found
                .remove(&row.current_version_id)
                .map(|version| Agent { row, version })
        })
        .collect())
}

// Tags are stored as a JSON list. `@> [$1]` is not possible, because SeaQuery reads `[…]` as a quoted name.
fn has_tag(backend: DbBackend, tag: &str) -> SimpleExpr {
    match backend {
        DbBackend::Postgres => Expr::cust_with_values("tags @> jsonb_build_array($1::text)", [tag]),
        _ => Expr::cust_with_values("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)", [tag]),
    }
}

/// Fails with `AGENT_NOT_FOUND` if the agent does not exist or is deleted.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, agent_id: Uuid) -> Result<Agent> {
    let row = load_row(db, scope, agent_id).await?;
    let version = versions::current(db, scope, &row).await?;
    Ok(Agent { row, version })
}

pub(super) async fn load_row(db: &impl ConnectionTrait, scope: Scope, agent_id: Uuid) -> Result<agent::Model> {
    let found = live(scope).filter(agent::Column::Id.eq(agent_id)).one(db).await?;
    found.ok_or_else(|| Error::new(Code::AgentNotFound, "Agent not found"))
}
