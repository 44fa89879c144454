//! Webhooks: URLs that receive a signed request when a run changes its status.
//!
//! A database trigger (`migrations/src/m0016_webhooks.rs`) inserts a delivery in the transaction that changes the
//! status. [`dispatch`] sends the deliveries. Invariants: a delivery is sent at least once, and by one server at a time,
//! because a server holds a lease on the webhook. All attempts of a delivery have the same id and body. A request goes
//! only to an address that was checked, and no redirect is followed.

mod attempt;
mod claim;
pub mod create;
mod delete;
mod deliver;
pub mod deliveries;
pub mod dispatch;
pub mod event;
mod list;
mod outcome;
pub mod redeliver;
mod rotate;
mod table;
mod target;
mod update;

pub use attempt::Sender;
pub use create::create;
pub use delete::delete;
pub use deliveries::purge;
pub use dispatch::dispatch;
pub use list::{list, load};
pub use redeliver::{redeliver, test};
pub use rotate::rotate;
pub use table::{delivery::Model as Delivery, delivery::State, webhook::Model as Webhook};
pub use update::{Changes, update};

use secrecy::SecretString;
use uuid::Uuid;

use crate::{app::App, error::Result};

/// A webhook with its new secret, which only its creation and a rotation return.
pub struct WithSecret {
    pub webhook: Webhook,
    pub secret: SecretString,
}

/// The encryption context of a webhook's secrets.
fn context(account_id: Uuid, webhook_id: Uuid) -> Vec<u8> {
    [b"webhook ".as_slice(), account_id.as_bytes(), webhook_id.as_bytes()].concat()
}

fn sealed(app: &App, account_id: Uuid, webhook_id: Uuid, secret: &SecretString) -> Result<String> {
    use secrecy::ExposeSecret;
    app.secrets
        .seal(&context(account_id, webhook_id), secret.expose_secret())
}
