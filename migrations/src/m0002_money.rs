//! Adds credits, API keys and the audit log of administrators.
//!
//! The ledger is double-entry: each entry moves an amount between two books (`Book` in `src/ledger/table.rs`), so all
//! books sum to zero. An account's balance is the sum of its book `Wallet`. The table `balances` repeats the balance
//! in one row per account. A transaction can lock this row, and a check constraint prevents a negative balance.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, binary, boolean, integer, integer_null, small_integer, string, string_null, text,
        timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::parts::{id, index, keyed_table, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        balances(manager).await?;
        ledger_entries(manager).await?;
        api_keys(manager).await?;
        audit_entries(manager).await?;
        // Credits reserved for the run. They count only while the run is unfinished, so its end releases them.
        let mut held = big_integer("held_microcredits");
        held.default(0);
        manager
            .alter_table(Table::alter().table("runs").add_column(held).take())
            .await
    }
}

fn belongs(name: &'static str, parent: &'static str, key: &'static str) -> ForeignKeyCreateStatement {
    let mut foreign = ForeignKey::create();
    foreign
        .name(format!("fk_{name}_account_id"))
        .from(name, "account_id")
        .to(parent, key)
        .on_delete(ForeignKeyAction::Restrict);
    foreign
}

async fn balances(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut account_id = ColumnDef::new("account_id");
    account_id.uuid().not_null().primary_key();
    let mut microcredits = big_integer("microcredits");
    microcredits.check(Expr::col("microcredits").gte(0));
    manager
        .create_table(
            table("balances")
                .col(account_id)
                .col(microcredits)
                // Month of the last monthly credit grant: year times twelve plus the zero-based month.
                .col(integer("granted_month"))
                .foreign_key(&mut belongs("balances", "accounts", "id"))
                .take(),
        )
        .await
}

async fn ledger_entries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut amount = big_integer("microcredits");
    amount.check(Expr::col("microcredits").gte(0));
    manager
        .create_table(
            keyed_table(manager, "ledger_entries")
                .col(id())
                .col(uuid("account_id"))
                .col(small_integer("debited"))
                .col(small_integer("credited"))
                .col(amount)
                // Part of a call's cost that exceeded the balance, in millionths of a credit.
                .col(big_integer("uncollected"))
                // `run_id` and `thread_id` are not foreign keys, because entries outlive runs and threads.
                .col(uuid_null("run_id"))
                .col(integer_null("step"))
                .col(uuid_null("thread_id"))
                .col(string_null("model"))
                .col(big_integer("input_tokens"))
                .col(big_integer("output_tokens"))
                .col(boolean("estimated"))
                .col(string_null("grant_key"))
                .col(timestamp_with_time_zone("created_at"))
                // The foreign key references the balance, not the account, because every writer of entries has
                // already locked the balance.
                .foreign_key(&mut belongs("ledger_entries", "balances", "account_id"))
                .take(),
        )
        .await?;
    let one_charge = index("ledger_one_charge", "ledger_entries", &["run_id", "step"])
        .unique()
        .take();
    manager.create_index(one_charge).await?;
    let one_grant = index("ledger_one_grant", "ledger_entries", &["account_id", "grant_key"])
        .unique()
        .take();
    manager.create_index(one_grant).await?;
    manager
        .create_index(index("ledger_by_account", "ledger_entries", &["account_id", "id"]).take())
        .await?;
    manager
        .create_index(index("ledger_by_thread", "ledger_entries", &["thread_id", "id"]).take())
        .await
}

async fn api_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            table("api_keys")
                .col(id())
                .col(uuid("account_id"))
                .col(text("name"))
                // First characters of the key, for lookup.
                .col(string("prefix").unique_key().take())
                .col(binary("salt"))
                // BLAKE3 of the whole key, keyed with the salt.
                .col(binary("hash"))
                .col(small_integer("scope"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .col(timestamp_with_time_zone_null("revoked_at"))
                .foreign_key(&mut belongs("api_keys", "accounts", "id"))
                .take(),
        )
        .await?;
    manager
        .create_index(index("api_keys_by_account", "api_keys", &["account_id", "id"]).take())
        .await
}

async fn audit_entries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            table("audit_entries")
                .col(id())
                // `actor_id` is the administrator; `account_id` is the changed account.
                .col(uuid("actor_id"))
                .col(uuid("account_id"))
                .col(string("action"))
                .col(text("detail"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(&mut belongs("audit_entries", "accounts", "id"))
                .take(),
        )
        .await?;
    manager
        .create_index(index("audit_by_account", "audit_entries", &["account_id", "id"]).take())
        .await
}
