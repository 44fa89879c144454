//! Settings of the secrets of accounts.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Maximum number of secrets per account.
    pub max_per_account: u64,
}
