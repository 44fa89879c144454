//! The initial schema: accounts, agents, projects, sandboxes, threads, messages, uploads, runs and events.
//!
//! Foreign keys prevent the deletion of an account that owns agents, projects, threads, runs or uploads. Deleting a
//! thread also deletes its messages, runs and events. Deleting an agent also deletes its versions, but keeps its
//! runs: `runs.agent_id` is not a foreign key.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, boolean, boolean_null, integer, json_binary, json_binary_null, small_integer,
        string, string_null, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::parts::{id, index, keyed_table, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        accounts(manager).await?;
        agents(manager).await?;
        projects(manager).await?;
        threads(manager).await?;
        runs(manager).await?;
        uploads(manager).await
    }
}

fn child(
    name: &'static str,
    column: &'static str,
    parent: &'static str,
    gone: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.name(format!("fk_{name}_{column}"))
        .from(name, column)
        .to(parent, "id")
        .on_delete(gone);
    key
}

async fn accounts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            table("accounts")
                .col(id())
                .col(string("issuer"))
                .col(string("subject"))
                .col(string("tier"))
                .col(timestamp_with_time_zone("created_at"))
                .take(),
        )
        .await?;
    manager
        .create_index(
            index("accounts_by_subject", "accounts", &["issuer", "subject"])
                .unique()
                .take(),
        )
        .await
}

async fn agents(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            table("agents")
                .col(id())
                .col(uuid("account_id"))
                .col(string("name"))
                .col(text_null("description"))
                .col(string("icon_name"))
                .col(string("icon_color"))
                .col(string("icon_background"))
                .col(boolean("is_default"))
                .col(boolean("is_public"))
                .col(json_binary("tags"))
                .col(uuid("current_version_id"))
                .col(integer("version_count"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut child(
                    "agents",
                    "account_id",
                    "accounts",
                    ForeignKeyAction::Restrict,
                ))
                .take(),
        )
        .await?;
    manager
        .create_index(index("agents_by_account", "agents", &["account_id", "created_at"]).take())
        .await?;
    // At most one default agent per account, even if two requests race.
    manager
        .create_index(
            index("agents_one_default", "agents", &["account_id"])
                .unique()
                .and_where(Expr::col("is_default").eq(true))
                .take(),
        )
        .await?;
    manager
        .create_table(
            table("agent_versions")
                .col(id())
                .col(uuid("agent_id"))
                .col(uuid("account_id"))
                .col(integer("number"))
                .col(text("system_prompt"))
                .col(string("model"))
                .col(json_binary("configured_mcps"))
                .col(json_binary("custom_mcps"))
                .col(json_binary("tools"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut child(
                    "agent_versions",
                    "agent_id",
                    "agents",
                    ForeignKeyAction::Cascade,
                ))
                .take(),
        )
        .await?;
    manager
        .create_index(
            index("agent_versions_by_number", "agent_versions", &["agent_id", "number"])
                .unique()
                .take(),
        )
        .await
}

async fn projects(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            keyed_table(manager, "projects")
                .col(id())
                .col(uuid("account_id"))
                .col(text("name"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut child(
                    "projects",
                    "account_id",
                    "accounts",
                    ForeignKeyAction::Restrict,
                ))
                .take(),
        )
        .await?;
    manager
        .create_index(index("projects_by_account", "projects", &["account_id", "id"]).take())
        .await?;
    // The user id (uid) of a project's commands is derived from this number, so numbers are never reused.
    let mut number = ColumnDef::new("number");
    number.integer().not_null().auto_increment().primary_key();
    manager
        .create_table(
            table("sandboxes")
                .col(number)
                .col(uuid("id").unique_key().take())
                .col(uuid("project_id").unique_key().take())
                .col(uuid("account_id"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(&mut child(
                    "sandboxes",
                    "project_id",
                    "projects",
                    ForeignKeyAction::Cascade,
                ))
                .take(),
        )
        .await
}

async fn threads(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            keyed_table(manager, "threads")
                .col(id())
                .col(uuid("account_id"))
                .col(uuid("project_id"))
                .col(text("name"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut child(
                    "threads",
                    "account_id",
                    "accounts",
                    ForeignKeyAction::Restrict,
                ))
                .foreign_key(&mut child(
                    "threads",
                    "project_id",
                    "projects",
                    ForeignKeyAction::Cascade,
                ))
                .take(),
        )
        .await?;
    manager
        .create_index(index("threads_by_account", "threads", &["account_id", "id"]).take())
        .await?;
    manager
        .create_index(index("threads_by_project", "threads", &["project_id"]).take())
        .await?;
    manager
        .create_table(
            table("messages")
                .col(id())
                .col(uuid("account_id"))
                .col(uuid("thread_id"))
                .col(uuid_null("run_id"))
                // The id of the message's run, or of the message itself if it has no run. Messages are sorted by this
                // column, so that the messages of a queued run follow the messages of all earlier runs.
                .col(uuid("turn"))
                .col(small_integer("role"))
                .col(text("content"))
                .col(json_binary_null("tool_calls"))
                .col(string_null("tool_call_id"))
                .col(json_binary_null("files"))
                .col(boolean("is_error"))
                .col(boolean("partial"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(&mut child(
                    "messages",
                    "thread_id",
                    "threads",
                    ForeignKeyAction::Cascade,
                ))
                .take(),
        )
        .await?;
    manager
        .create_index(index("messages_by_thread", "messages", &["thread_id", "turn", "id"]).take())
        .await
}

async fn runs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            keyed_table(manager, "runs")
                .col(id())
                .col(uuid("account_id"))
                .col(uuid("thread_id"))
                .col(uuid("project_id"))
                .col(uuid_null("agent_id"))
                .col(uuid_null("agent_version_id"))
                .col(small_integer("status"))
                .col(string("mode"))
                .col(string_null("model_requested"))
                .col(string("model_used"))
                .col(boolean_null("memory_enabled"))
                .col(string_null("request_key"))
                .col(string_null("request_hash"))
                .col(uuid_null("lease_owner"))
                .col(big_integer("lease_epoch"))
                .col(timestamp_with_time_zone_null("lease_expires_at"))
                .col(boolean("stop_requested"))
                .col(string_null("error_code"))
                .col(text_null("error_message"))
                .col(integer("steps"))
                .col(big_integer("input_tokens"))
                .col(big_integer("output_tokens"))
                .col(big_integer("microcredits"))
                // Sequence number of the last event; null until the run has ended.
                .col(big_integer_null("last_sequence"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("started_at"))
                .col(timestamp_with_time_zone_null("finished_at"))
                .foreign_key(&mut child("runs", "account_id", "accounts", ForeignKeyAction::Restrict))
                .foreign_key(&mut child("runs", "thread_id", "threads", ForeignKeyAction::Cascade))
                .take(),
        )
        .await?;
    manager
        .create_index(index("runs_by_account", "runs", &["account_id", "id"]).take())
        .await?;
    manager
        .create_index(index("runs_by_thread", "runs", &["thread_id", "id"]).take())
        .await?;
    // The unfinished runs (status 1, `running`) of an account, which count toward the limit on concurrent runs.
    manager
        .create_index(
            index("runs_unfinished", "runs", &["account_id"])
                .and_where(Expr::col("status").eq(1))
                .take(),
        )
        .await?;
    manager
        .create_index(
            index("runs_claimable", "runs", &["lease_expires_at", "id"])
                .and_where(Expr::col("status").eq(1))
                .take(),
        )
        .await?;
    manager
        .create_index(
            index("runs_by_request_key", "runs", &["account_id", "request_key"])
                .unique()
                .and_where(Expr::col("request_key").is_not_null())
                .take(),
        )
        .await?;
    run_events(manager).await
}

async fn run_events(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            keyed_table(manager, "run_events")
                .col(uuid("run_id"))
                .col(big_integer("sequence"))
                .col(boolean("terminal"))
                .col(ColumnDef::new("payload").binary().not_null())
                .primary_key(Index::create().col("run_id").col("sequence"))
                .foreign_key(&mut child("run_events", "run_id", "runs", ForeignKeyAction::Cascade))
                .take(),
        )
        .await
}

async fn uploads(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            table("uploads")
                .col(id())
                .col(uuid("account_id"))
                .col(text("name"))
                .col(big_integer("size"))
                .col(big_integer("received"))
                // BLAKE3 hash of the content; null until the upload is complete.
                .col(string_null("digest"))
                .col(uuid_null("run_id"))
                // File name in the workspace; null until a run uses the upload.
                .col(text_null("placed_as"))
                .col(boolean("placed"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(&mut child(
                    "uploads",
                    "account_id",
                    "accounts",
                    ForeignKeyAction::Restrict,
                ))
                .foreign_key(&mut child("uploads", "run_id", "runs", ForeignKeyAction::Cascade))
                .take(),
        )
        .await?;
    manager
        .create_index(index("uploads_by_run", "uploads", &["run_id"]).take())
        .await?;
    manager
        .create_index(index("uploads_by_age", "uploads", &["created_at"]).take())
        .await
}
