//! Connections of runs to the MCP servers of their agents.
//!
//! At the start of a run, [`offer`] lists the tools of all servers of the agent's version. Each listed tool becomes a
//! tool of the run ([`McpTool`]). If a server fails, the run continues without that server's tools, and a notice says
//! so. The connections and server processes stay open until the run's tools are dropped. A connection without a
//! session then waits for the next run of the same agent version. Stdio servers run only in the sandbox. [`ahead`] lists
//! the tools of HTTP servers before the first run.

pub mod ahead;
mod idle;
mod lists;
mod offer;
mod process;
mod questions;
mod remote;
mod saved;
mod tool;

use runyard_mcp::{Http, Limits};

use crate::{
    accounts::AccountQueues,
    addresses, config,
    error::{Error, Result},
};
use ahead::Ahead;
use idle::Idle;
use lists::Lists;
pub use offer::{Failure, Offer, Servers, offer, preview, try_out};
pub use process::quoted;
pub use remote::Place;
pub use tool::McpTool;

/// Maximum numbers per account: calls of `preview` and `try_out` that run at the same time, and calls that wait.
const TRIALS: (usize, usize) = (2, 20);

/// State that all connections of this process share.
pub struct Mcp {
    http: Http,
    limits: Limits,
    lists: Lists,
    idle: Idle,
    ahead: Ahead,
    /// Queues of previews and trials, one per account.
    trials: AccountQueues,
}

impl Mcp {
    /// Fails with INTERNAL if the TLS library cannot be set up.
    pub fn new(config: &config::Mcp) -> Result<Self> {
        let permits = if config.allow_private_addresses {
            |_| true
        } else {
            addresses::is_public
        };
        let broken = |error| Error::internal("could not build the HTTP client for MCP servers", error);
        Ok(Self {
            http: Http::new(permits).map_err(broken)?,
            limits: config.limits(),
            lists: Lists::default(),
            idle: Idle::default(),
            ahead: Ahead::default(),
            trials: AccountQueues::new(TRIALS.0, TRIALS.1),
        })
    }
}
