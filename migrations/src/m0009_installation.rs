//! Adds the table `installation`, whose only row contains the id of the database's data folder. The health check
//! (`src/db/health.rs`) writes its column `probes` (PostgreSQL) or `probe` (SQLite).

use sea_orm_migration::prelude::*;

use crate::parts::table;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let installation = table("installation")
            .col(ColumnDef::new("id").integer().not_null().primary_key())
            .col(ColumnDef::new("data_folder").uuid())
            .col(ColumnDef::new("described_as").string().not_null().default(""))
            .col(ColumnDef::new("seen_at").timestamp_with_time_zone())
            .col(ColumnDef::new("probes").big_integer().not_null().default(0))
            .col(ColumnDef::new("probe").binary())
            .take();
        manager.create_table(installation).await?;
        let row = Query::insert()
            .into_table("installation")
            .columns(["id"])
            .values_panic([1.into()])
            .take();
        manager.execute(row).await
    }
}
