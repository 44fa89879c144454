//! Deletes a skill or one of its versions.
//!
//! An agent version never changes, so it keeps the name of a deleted skill. Runs of this version continue without the
//! skill. The sweeper (`background/sweeper.rs`) removes the unpacked files.

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::{
    list,
    table::{skill, version},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
};

/// Deletes one version, or the whole skill if `number` is `None`. The newest remaining version becomes current.
/// Deleting the last version deletes the skill.
pub async fn delete(app: &App, caller: &Caller, skill_id: Uuid, number: Option<i32>) -> Result<()> {
    list::load(app.db.read(), caller.scope(), skill_id, number).await?;
    let now = app.clock.now();
    let tx = queue::begin_locked(app, caller.account_id, "skills.delete").await?;
    let gone = list::load(&tx, caller.scope(), skill_id, number).await?;
    let mut left = list::versions(&tx, caller.scope(), skill_id).await?;
    left.retain(|version| number.is_some() && version.id != gone.version.id);
    if let Some(newest) = left.first() {
        version::Entity::delete_many()
            .filter(version::Column::AccountId.eq(caller.account_id))
            .filter(version::Column::Id.eq(gone.version.id))
            .exec(&tx)
            .await?;
        let mut row = gone.row;
        row.current_version_id = newest.id;
        row.stored_bytes -= gone.version.archive_bytes;
        row.updated_at = now;
        skill::Entity::update(row.into_active_model().reset_all())
            .exec(&tx)
            .await?;
    } else {
        skill::Entity::delete_many()
            .filter(skill::Column::AccountId.eq(caller.account_id))
            .filter(skill::Column::Id.eq(skill_id))
            .exec(&tx)
            .await?;
    }
    tx.commit().await
}
