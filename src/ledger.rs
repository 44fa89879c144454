//! The ledger: what an account was granted, what it was charged, and what is left. Amounts are millionths of a credit.
//!
//! Every entry moves an amount from one book to another, so that the entries sum to zero. An account's balance is kept in a
//! row of its own that is locked before anything is decided and cannot go below zero. The order of locks is: account, run,
//! balance. A running run sets aside what its next call can cost at most (`runs/reserve.rs`); the charge is written in the
//! same transaction as the usage event (`runs/journal/write.rs`), once for each step of a run.

pub mod aside;
pub mod charge;
pub mod list;
pub mod price;
pub mod table;
pub mod wallet;

pub use charge::Charge;
pub use price::Price;
pub use table::entry::Book;

/// Millionths of a credit in a credit.
pub const MICRO: i64 = 1_000_000;

/// An amount as it is shown; the exact one is in millionths.
#[expect(clippy::cast_precision_loss, reason = "balances are far below 2^52")]
pub fn in_credits(microcredits: i64) -> f64 {
    microcredits as f64 / MICRO as f64
}
