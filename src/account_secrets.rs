//! Secrets of an account: named values that the service uses for its agents.
//!
//! Invariants: a value is stored encrypted, and only `reference` decrypts it. No answer, event, log or error
//! contains it, and it never enters a sandbox. It is sent only to the hosts of the secret, and for a command only over
//! TLS.

mod change;
mod create;
mod list;
mod reference;
mod table;

pub use change::{Changes, delete, update};
pub use create::{NewSecret, create};
pub use list::list;
pub use reference::{ForCommands, fill};
pub use table::Model as AccountSecret;

use uuid::Uuid;

use crate::{app::App, error::Result};

/// The encryption context of a secret's value.
fn context(account_id: Uuid, name: &str) -> Vec<u8> {
    [b"account secret ", account_id.as_bytes().as_slice(), name.as_bytes()].concat()
}

fn sealed(app: &App, account_id: Uuid, name: &str, value: &str) -> Result<String> {
    app.secrets.seal(&context(account_id, name), value)
}
