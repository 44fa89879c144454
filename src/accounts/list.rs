//! Lists accounts for administrators, and notes the activity of an account.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    Account, Scope, of,
    table::{Column, Entity},
};
use crate::{db::Tx, error::Result};

/// The last activity is stored again after this time, so that most starts do not write it.
const ACCURACY: TimeDelta = TimeDelta::hours(1);
/// Greater than every other character.
const LAST_CHARACTER: char = '\u{10ffff}';

/// The accounts to list. Each variant has its own index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Newest first, as the next three.
    All,
    Subject(String),
    Tier(String),
    Suspended,
    /// Sorted by subject.
    SubjectPrefix(String),
    /// Sorted by the last activity, newest first.
    Active {
        after: Option<DateTime<Utc>>,
        before: Option<DateTime<Utc>>,
    },
}

/// The last account of the previous page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    pub id: Uuid,
    pub last_active_at: DateTime<Utc>,
    pub subject: String,
}

impl From<&Account> for After {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            last_active_at: account.last_active_at(),
            subject: account.subject.clone(),
        }
    }
}

impl Account {
    pub fn last_active_at(&self) -> DateTime<Utc> {
        self.last_active_at.unwrap_or(self.created_at)
    }
}

pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<After>,
    limit: u64,
) -> Result<Vec<Account>> {
    let mut query = of::<Entity>(Scope::system("an administrator lists accounts"));
    let column = |column| Expr::col((Entity, column));
    // The index of the subjects has this order on PostgreSQL.
    let subject = || match db.get_database_backend() {
        DbBackend::Postgres => Expr::cust("\"accounts\".\"subject\" COLLATE \"C\""),
        _ => Expr::col((Entity, Column::Subject)),
    };
    query = match filter {
        Filter::SubjectPrefix(prefix) => {
            let end = format!("{prefix}{LAST_CHARACTER}");
            query = query.filter(subject().gte(prefix.as_str())).filter(subject().lt(end));
            if let Some(after) = after {
                let place = Expr::tuple([subject(), column(Column::Id)]);
                query = query.filter(place.gt(Expr::tuple([Expr::value(after.subject), Expr::value(after.id)])));
            }
            query.order_by(subject(), Order::Asc).order_by_asc(Column::Id)
        }
        Filter::Active { after: from, before } => {
            if let Some(from) = from {
                query = query.filter(Column::LastActiveAt.gte(*from));
            }
            if let Some(before) = before {
                query = query.filter(Column::LastActiveAt.lt(*before));
            }
            if let Some(after) = after {
                let place = Expr::tuple([column(Column::LastActiveAt), column(Column::Id)]);
                let last = Expr::tuple([Expr::value(after.last_active_at), Expr::value(after.id)]);
                query = query.filter(place.lt(last));
            }
            query.order_by_desc(Column::LastActiveAt).order_by_desc(Column::Id)
        }
        newest_first => {
            query = match newest_first {
                Filter::Subject(text) => query.filter(subject().eq(text.as_str())),
                Filter::Tier(tier) => query.filter(Column::Tier.eq(tier.as_str())),
                Filter::Suspended => query.filter(Column::SuspendedAt.is_not_null()),
                _ => query,
            };
            // The condition makes the first page a search in the index, as the others are.
            let before = after.map_or(Uuid::max(), |after| after.id);
            query = query.filter(Column::Id.lt(before));
            query.order_by_desc(Column::Id)
        }
    };
    Ok(query.limit(limit).all(db).await?)
}

/// Stores the time of the last activity, unless a recent time is stored. The calling function must have locked the
/// account.
pub async fn note_activity(tx: &Tx, account_id: Uuid, stored: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<()> {
    if stored.is_some_and(|stored| now - stored < ACCURACY) {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::LastActiveAt, Expr::value(now))
        .filter(Column::Id.eq(account_id))
        .exec(tx)
        .await?;
    Ok(())
}
