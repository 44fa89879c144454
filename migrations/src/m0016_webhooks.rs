//! Adds webhooks, their deliveries, and triggers that queue a delivery when the status of a run changes.
//!
//! The trigger runs in the transaction that changes the status, whichever part of the server makes the change. An
//! account without webhooks costs one search in an index. Bit N of `webhooks.events` subscribes to the event N.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, boolean, integer, integer_null, small_integer, text, text_null,
        timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
    sea_orm::DbBackend,
};

use crate::parts::{id, index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        webhooks(manager).await?;
        deliveries(manager).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        let triggers = match manager.get_database_backend() {
            DbBackend::Postgres => postgres(),
            _ => sqlite(),
        };
        for trigger in triggers {
            manager.get_connection().execute_unprepared(&trigger).await?;
        }
        Ok(())
    }
}

async fn webhooks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut of_account = ForeignKey::create();
    of_account.from("webhooks", "account_id").to("accounts", "id");
    let webhooks = table("webhooks")
        .col(id())
        .col(uuid("account_id"))
        .col(text("url"))
        .col(integer("events"))
        .col(boolean("enabled"))
        .col(text_null("disabled_reason"))
        .col(text("secret"))
        .col(text_null("earlier_secret"))
        .col(timestamp_with_time_zone_null("earlier_until"))
        .col(integer("failures"))
        // NULL if no delivery is queued.
        .col(timestamp_with_time_zone_null("due_at"))
        .col(uuid_null("lease_owner"))
        .col(timestamp_with_time_zone_null("lease_until"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut of_account)
        .take();
    manager.create_table(webhooks).await
}

async fn deliveries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut number = ColumnDef::new("number");
    number.big_integer().not_null().auto_increment().primary_key();
    let mut of_webhook = ForeignKey::create();
    of_webhook
        .from("webhook_deliveries", "webhook_id")
        .to("webhooks", "id")
        .on_delete(ForeignKeyAction::Cascade);
    let deliveries = table("webhook_deliveries")
        .col(number)
        .col(uuid("id").unique_key().take())
        .col(uuid("webhook_id"))
        .col(uuid("account_id"))
        // The run's new status; 0 for a test.
        .col(small_integer("event"))
        // Not foreign keys, because the run may be deleted before the delivery.
        .col(uuid_null("run_id"))
        .col(uuid_null("thread_id"))
        .col(uuid_null("project_id"))
        .col(uuid_null("agent_id"))
        .col(big_integer("sequence"))
        // 0: new, 1: queued, 2: succeeded, 3: failed.
        .col(small_integer("state"))
        .col(integer("attempts"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("queued_at"))
        .col(timestamp_with_time_zone("due_at"))
        .col(timestamp_with_time_zone_null("attempted_at"))
        .col(timestamp_with_time_zone_null("finished_at"))
        .col(integer_null("response_status"))
        .col(big_integer_null("duration_ms"))
        .col(text_null("response"))
        .col(text_null("error"))
        .foreign_key(&mut of_webhook)
        .take();
    manager.create_table(deliveries).await
}

fn indexes() -> Vec<IndexCreateStatement> {
    let (webhooks, deliveries) = ("webhooks", "webhook_deliveries");
    let in_state = |state: i32| Expr::col("state").eq(Expr::val(state));
    vec![
        index("webhooks_by_account", webhooks, &["account_id", "id"]),
        index("webhooks_due", webhooks, &["due_at"])
            .and_where(Expr::col("due_at").is_not_null())
            .take(),
        index(
            "webhook_deliveries_by_webhook",
            deliveries,
            &["webhook_id", "account_id", "number"],
        ),
        index("webhook_deliveries_new", deliveries, &["number"])
            .and_where(in_state(0))
            .take(),
        index(
            "webhook_deliveries_queued",
            deliveries,
            &["webhook_id", "due_at", "number"],
        )
        .and_where(in_state(1))
        .take(),
        index("webhook_deliveries_finished", deliveries, &["finished_at"])
            .and_where(Expr::col("finished_at").is_not_null())
            .take(),
    ]
}

/// Status 1 is `running`, which no webhook can subscribe to.
/// A run ends, or begins to wait. A waiting run keeps the status 1.
const CHANGED: &str = "(NEW.status <> OLD.status AND NEW.status <> 1) OR \
                       (NEW.waiting_since IS NOT NULL AND OLD.waiting_since IS NULL)";
/// Number of the event: the status of a run that has ended, and 5 for a run that waits.
const EVENT: &str = "CASE WHEN NEW.status = 1 THEN 5 ELSE NEW.status END";

fn insert(new_id: &str, now: &str) -> String {
    let at = format!("COALESCE(NEW.finished_at, NEW.waiting_since, {now})");
    format!(
        "INSERT INTO webhook_deliveries (id, webhook_id, account_id, event, run_id, thread_id, project_id, agent_id, \
         sequence, state, attempts, created_at, queued_at, due_at) \
         SELECT {new_id}, w.id, NEW.account_id, {EVENT}, NEW.id, NEW.thread_id, NEW.project_id, NEW.agent_id, \
         (SELECT COALESCE(MAX(e.sequence), 0) FROM run_events e WHERE e.run_id = NEW.id), 0, 0, \
         {at}, {at}, {at} \
         FROM webhooks w WHERE w.account_id = NEW.account_id AND w.enabled = TRUE AND ((w.events >> {EVENT}) & 1) = 1"
    )
}

fn sqlite() -> Vec<String> {
    // A random id (RFC 9562, version 4).
    let new_id = "unhex(hex(randomblob(6)) || '4' || substr(hex(randomblob(2)), 2) || 'A' || substr(hex(randomblob(2)), 2) \
                  || hex(randomblob(6)))";
    let insert = insert(new_id, "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')");
    vec![format!(
        "CREATE TRIGGER webhooks_notified AFTER UPDATE OF status, waiting_since ON runs WHEN {CHANGED} BEGIN {insert}; END"
    )]
}

pub fn postgres_insert() -> String {
    insert("gen_random_uuid()", "now()")
}

fn postgres() -> Vec<String> {
    let insert = postgres_insert();
    vec![
        format!(
            "CREATE FUNCTION webhooks_notified() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {insert}; RETURN NULL; END $$"
        ),
        format!(
            "CREATE TRIGGER webhooks_notified AFTER UPDATE OF status, waiting_since ON runs FOR EACH ROW WHEN ({CHANGED}) \
             EXECUTE FUNCTION webhooks_notified()"
        ),
    ]
}
