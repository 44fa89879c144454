//! Adds memories of agents and accounts, their full-text index, and the memory settings of agent versions.
//!
//! The server splits texts into words (`src/memories/words.rs`), so that both databases find the same memories.
//! PostgreSQL stores the words in `memories.words`. A GIN index would be useless there, because the server turns
//! bitmap scans off. A search reads all memories of one agent or account, whose number is limited.
//!
//! SQLite stores the words in the FTS5 table `memories_words`, with `memories.number` as row id. A trigger deletes
//! the words of deleted memories. Without `secure-delete`, deleted words would stay in the file until FTS5 merges the
//! index.

use sea_orm_migration::{
    prelude::*,
    schema::{text, timestamp_with_time_zone, uuid, uuid_null},
    sea_orm::DbBackend,
};

use crate::parts::{index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const SQLITE: [&str; 3] = [
    "CREATE VIRTUAL TABLE memories_words USING fts5(words, tokenize = 'ascii')",
    "INSERT INTO memories_words (memories_words, rank) VALUES ('secure-delete', 1)",
    "CREATE TRIGGER memories_words_deleted AFTER DELETE ON memories \
     BEGIN DELETE FROM memories_words WHERE rowid = OLD.number; END",
];

const POSTGRES: [&str; 1] = ["ALTER TABLE memories ADD COLUMN words tsvector NOT NULL DEFAULT ''"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        memories(manager).await?;
        let words: &[&str] = match manager.get_database_backend() {
            DbBackend::Postgres => &POSTGRES,
            _ => &SQLITE,
        };
        for statement in words {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        let mut settings = ColumnDef::new("memory");
        settings.json_binary().not_null().default("{}");
        manager
            .alter_table(Table::alter().table("agent_versions").add_column(settings).take())
            .await
    }
}

async fn memories(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut number = ColumnDef::new("number");
    number.big_integer().not_null().auto_increment().primary_key();
    let mut of_account = ForeignKey::create();
    of_account.from("memories", "account_id").to("accounts", "id");
    let mut of_agent = ForeignKey::create();
    of_agent
        .from("memories", "agent_id")
        .to("agents", "id")
        .on_delete(ForeignKeyAction::Cascade);
    manager
        .create_table(
            table("memories")
                .col(number)
                .col(uuid("id").unique_key().take())
                .col(uuid("account_id"))
                // NULL for a memory of the account.
                .col(uuid_null("agent_id"))
                .col(text("text"))
                // Not a foreign key, because the run may be deleted before the memory.
                .col(uuid_null("run_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut of_account)
                .foreign_key(&mut of_agent)
                .take(),
        )
        .await?;
    for (name, columns) in [
        ("memories_by_change", &["account_id", "updated_at", "id"][..]),
        (
            "memories_of_agent_by_change",
            &["account_id", "agent_id", "updated_at", "id"],
        ),
        // The foreign key finds the memories of a deleted agent through this index.
        ("memories_by_agent", &["agent_id"]),
    ] {
        manager.create_index(index(name, "memories", columns).take()).await?;
    }
    // PostgreSQL does not use the order of `memories_of_agent_by_change` for `agent_id IS NULL`.
    let mut of_account = index(
        "memories_of_account_by_change",
        "memories",
        &["account_id", "updated_at", "id"],
    );
    manager
        .create_index(of_account.and_where(Expr::col("agent_id").is_null()).take())
        .await
}
