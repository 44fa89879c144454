//! Runyard's schema migrations for SQLite and PostgreSQL.
//!
//! The server and `runyard migrate` apply them. Never change a released migration; add a new one.

mod m0001_first;
mod m0002_money;
mod m0003_deleted_agents;
mod m0004_search;
mod m0005_indexes;
mod m0006_growth;
mod m0007_counts;
mod m0009_installation;
mod m0010_states;
mod m0011_models;
mod m0012_memories;
mod m0013_skills;
mod m0014_attachments;
mod m0015_waiting;
mod m0016_webhooks;
mod m0017_schedules;
mod m0018_triggers;
mod m0019_account_secrets;
mod m0020_stopped_by;
mod m0021_output;
mod m0022_added_messages;
mod m0023_subagents;
mod m0024_triggers;
mod m0025_questions;
mod m0026_accounts;
mod m0027_shares;
mod m0028_titles;
mod m0029_grants;
mod parts;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::MigrationTrait;

/// All migrations in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first::Migration),
            Box::new(m0002_money::Migration),
            Box::new(m0003_deleted_agents::Migration),
            Box::new(m0004_search::Migration),
            Box::new(m0005_indexes::Migration),
            Box::new(m0006_growth::Migration),
            Box::new(m0007_counts::Migration),
            Box::new(m0009_installation::Migration),
            Box::new(m0010_states::Migration),
            Box::new(m0011_models::Migration),
            Box::new(m0012_memories::Migration),
            Box::new(m0013_skills::Migration),
            Box::new(m0014_attachments::Migration),
            Box::new(m0015_waiting::Migration),
            Box::new(m0016_webhooks::Migration),
            Box::new(m0017_schedules::Migration),
            Box::new(m0018_triggers::Migration),
            Box::new(m0019_account_secrets::Migration),
            Box::new(m0020_stopped_by::Migration),
            Box::new(m0021_output::Migration),
            Box::new(m0022_added_messages::Migration),
            Box::new(m0023_subagents::Migration),
            Box::new(m0024_triggers::Migration),
            Box::new(m0025_questions::Migration),
            Box::new(m0026_accounts::Migration),
            Box::new(m0027_shares::Migration),
            Box::new(m0028_titles::Migration),
            Box::new(m0029_grants::Migration),
        ]
    }
}
