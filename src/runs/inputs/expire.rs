//! Decides about inputs without an answer in time.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    answer,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::Result,
};

/// Maximum number of inputs per query.
const AT_ONCE: u64 = 100;

/// Decides about all expired inputs. Returns the number of runs that had such inputs.
///
/// # Errors
/// The first error of the database; the remaining inputs are left for the next call.
pub async fn expire(app: &App) -> Result<usize> {
    let mut runs = 0;
    loop {
        let found: Vec<(Uuid, Uuid)> = of::<Entity>(Scope::system("the server decides about expired inputs"))
            .select_only()
            .columns([Column::AccountId, Column::RunId])
            .filter(Column::Decision.is_null())
            .filter(Column::ExpiresAt.lte(app.clock.now()))
            .order_by_asc(Column::ExpiresAt)
            .order_by_asc(Column::Id)
            .limit(AT_ONCE)
            .into_tuple()
            .all(app.db.read())
            .await?;
        if found.is_empty() {
            return Ok(runs);
        }
        let mut last = None;
        for (account_id, run_id) in found {
            if last.replace(run_id) != Some(run_id) {
                answer::expire(app, account_id, run_id).await?;
                runs += 1;
            }
        }
    }
}
