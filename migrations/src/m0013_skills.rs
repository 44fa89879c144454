//! Adds tables for skills, their versions and contents, and `agent_versions.skills`. Contents have their own table,
//! so that listing skills reads only small rows.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, blob, integer, json_binary, string, text, text_null, timestamp_with_time_zone, uuid},
};

use crate::parts::{id, index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        skills(manager).await?;
        versions(manager).await?;
        let mut attached = json_binary("skills");
        attached.default("[]");
        manager
            .alter_table(Table::alter().table("agent_versions").add_column(attached).take())
            .await
    }
}

fn child(name: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.name(format!("fk_{name}_{column}"))
        .from(name, column)
        .to(parent, "id")
        .on_delete(ForeignKeyAction::Cascade);
    key
}

async fn skills(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let skills = table("skills")
        .col(id())
        .col(uuid("account_id"))
        .col(string("name"))
        .col(uuid("current_version_id"))
        .col(integer("version_count"))
        .col(big_integer("stored_bytes"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(child("skills", "account_id", "accounts").on_delete(ForeignKeyAction::Restrict))
        .take();
    manager.create_table(skills).await?;
    for index in [
        index("skills_by_name", "skills", &["account_id", "name"])
            .unique()
            .take(),
        index("skills_by_account", "skills", &["account_id", "id"]).take(),
    ] {
        manager.create_index(index).await?;
    }
    Ok(())
}

async fn versions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let versions = table("skill_versions")
        .col(id())
        .col(uuid("skill_id"))
        .col(uuid("account_id"))
        .col(integer("number"))
        .col(text("description"))
        .col(text_null("license"))
        .col(text_null("compatibility"))
        .col(json_binary("metadata"))
        .col(json_binary("allowed_tools"))
        .col(big_integer("archive_bytes"))
        .col(big_integer("unpacked_bytes"))
        .col(string("digest"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut child("skill_versions", "skill_id", "skills"))
        .take();
    manager.create_table(versions).await?;
    let by_number = index("skill_versions_by_number", "skill_versions", &["skill_id", "number"])
        .unique()
        .take();
    manager.create_index(by_number).await?;
    let contents = table("skill_contents")
        .col(id())
        .col(uuid("account_id"))
        .col(text("instructions"))
        .col(json_binary("files"))
        .col(blob("archive"))
        .foreign_key(&mut child("skill_contents", "id", "skill_versions"))
        .take();
    manager.create_table(contents).await
}
