//! The ledger: grants, charges and balances of accounts. Amounts are millionths of a credit.
//!
//! Accounting is double-entry: every entry debits one book and credits another, so all books together sum to zero.
//! Each account has a balance row, which is locked before any decision about credits and never goes below zero. Locks
//! are acquired in the order account, run, balance. An unfinished run reserves credits for its next model call
//! (`runs/reserve.rs`). The charge for a call is written in the same transaction as its usage event
//! (`runs/journal/write.rs`).

pub mod billing;
pub mod charge;
pub mod direct;
pub mod list;
pub mod price;
mod table;
pub mod wallet;

pub use billing::Billing;
pub use charge::Charge;
pub use price::Price;
pub use table::entry::{Book, Model as LedgerEntry};

/// Millionths in one credit.
pub const MICRO: i64 = 1_000_000;

/// For display; the result may be rounded.
#[expect(clippy::cast_precision_loss, reason = "balances are far below 2^52")]
pub fn in_credits(microcredits: i64) -> f64 {
    microcredits as f64 / MICRO as f64
}
