//! Settings of triggers.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// Maximum number of triggers per account.
    pub max_per_account: u64,
    /// Maximum size of the body of a request to a trigger.
    pub max_body_bytes: usize,
}
