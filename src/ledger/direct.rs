//! Charges for model calls outside of runs, such as icon suggestions. Their ledger entries have no run, thread or
//! step.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    price::Price,
    table::{
        balance,
        entry::{self, Book},
    },
    wallet,
};
use crate::{accounts::queue, app::App, error::Result, llm::TokenUsage};

/// A charge to the wallet never exceeds the wallet's balance.
pub async fn charge(
    app: &App,
    account_id: Uuid,
    book: Book,
    (model, price): (&str, Price),
    (usage, estimated): (TokenUsage, bool),
) -> Result<()> {
    let tx = queue::begin_locked(app, account_id, "ledger.aside").await?;
    let cost = price.cost_of(usage);
    let taken = match book {
        Book::Wallet => {
            let left = wallet::lock(app, &tx, account_id).await?;
            let taken = cost.clamp(0, left.max(0));
            balance::Entity::update_many()
                .col_expr(balance::Column::Microcredits, Expr::value(left - taken))
                .filter(balance::Column::AccountId.eq(account_id))
                .exec(&tx)
                .await?;
            taken
        }
        Book::Granted | Book::Used | Book::Free => {
            wallet::make(&tx, account_id).await?;
            cost
        }
    };
    let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (entry_id, now) = app.clock.stamp();
    let row = entry::ActiveModel {
        id: Set(entry_id),
        account_id: Set(account_id),
        debited: Set(book),
        credited: Set(Book::Used),
        microcredits: Set(taken),
        uncollected: Set(cost - taken),
        run_id: Set(None),
        step: Set(None),
        thread_id: Set(None),
        model: Set(Some(model.to_owned())),
        input_tokens: Set(tokens(usage.input)),
        output_tokens: Set(tokens(usage.output)),
        estimated: Set(estimated),
        grant_key: Set(None),
        created_at: Set(now),
    };
    entry::Entity::insert(row).exec_without_returning(&tx).await?;
    tx.commit().await
}
