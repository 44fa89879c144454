//! The ledger: grants, charges and balances of accounts. Amounts are millionths of a credit.
//!
//! Accounting is double-entry: every entry debits one book and credits another, so all books together sum to zero. The
//! balance of each account has its own row, which is locked before any decision about credits. A balance cannot go
//! below zero. Locks are acquired in the order account, run, balance. An unfinished run reserves credits for its next
//! model call (`runs/reserve.rs`). The charge is written once per model call of a run, in the same transaction as the
//! usage event (`runs/journal/write.rs`).

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

/// Number of millionths in one credit.
pub const MICRO: i64 = 1_000_000;

/// Converts an amount from millionths to credits, for display. The result may be rounded.
#[expect(clippy::cast_precision_loss, reason = "balances are far below 2^52")]
pub fn in_credits(microcredits: i64) -> f64 {
    microcredits as f64 / MICRO as f64
}
