//! Triggers: addresses that start a run when they receive an HTTP request.
//!
//! `wire/triggers/fire.rs` serves the requests. Invariants: a request proves that its sender knows the trigger's secret,
//! which the database stores encrypted; an unknown trigger and a wrong secret get the same answer; requests with the
//! same idempotency key start one run.

mod change;
mod create;
mod fire;
mod list;
mod table;
mod template;

pub use change::{Changes, delete, rotate, update};
pub use create::{NewTrigger, create};
pub use fire::{Firing, MAX_KEY, Proof, authenticate, caller, fire};
pub use list::{list, load};
pub use table::Model as Trigger;
pub use template::Headers;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::{app::App, error::Result};

/// A trigger with its new secret, which only its creation and a rotation return.
pub struct WithSecret {
    pub trigger: Trigger,
    pub secret: SecretString,
}

/// The encryption context of a trigger's secrets.
fn context(account_id: Uuid, trigger_id: Uuid) -> Vec<u8> {
    [b"trigger ".as_slice(), account_id.as_bytes(), trigger_id.as_bytes()].concat()
}

fn sealed(app: &App, account_id: Uuid, trigger_id: Uuid, secret: &SecretString) -> Result<String> {
    app.secrets
        .seal(&context(account_id, trigger_id), secret.expose_secret())
}
