//! The web for runs: the tools `web_fetch` and `web_search`.
//!
//! The operator turns the tools on (`config::Web`). A page is data of a stranger. Invariants: a fetch connects only to an
//! address that was checked, also after a redirect; its size and its time are limited; the result marks the text of a
//! page as data. A search contacts only the configured provider.

pub(crate) mod client;
mod fetch;
mod page;
mod search;
pub mod tools;

use std::time::Duration;

use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use crate::{accounts::AccountQueues, config, error::Result};
use fetch::{Fetched, Fetcher};
use search::{Hit, Searcher};

/// Maximum numbers of fetches and searches per account: at the same time, and waiting.
const PER_ACCOUNT: (usize, usize) = (8, 64);
/// Maximum number of fetches and searches of this process at the same time. It bounds the memory for their responses.
const MAX_RUNNING: usize = 64;

const BUSY: &str = "too many fetches and searches are running; try again later";
const OFF: &str = "this server does not offer the tool";

/// State that all fetches and searches of this process share.
pub struct Web {
    fetcher: Option<Fetcher>,
    searcher: Option<Searcher>,
    account_queues: AccountQueues,
    running: Semaphore,
    timeout: Duration,
}

impl Web {
    /// Sets up the HTTP clients of the configured tools.
    ///
    /// # Errors
    /// INTERNAL if the TLS library cannot be set up.
    pub fn new(config: &config::Web) -> Result<Self> {
        let search = config.search.as_ref();
        Ok(Self {
            fetcher: config.fetch.then(|| Fetcher::new(config)).transpose()?,
            searcher: search.map(|search| Searcher::new(config, search)).transpose()?,
            account_queues: AccountQueues::new(PER_ACCOUNT.0, PER_ACCOUNT.1),
            running: Semaphore::new(MAX_RUNNING),
            timeout: config.timeout(),
        })
    }

    /// # Errors
    /// The reason for the model.
    async fn fetch(&self, account_id: Uuid, url: &str) -> Result<Fetched, String> {
        let Some(fetcher) = &self.fetcher else {
            return Err(OFF.to_owned());
        };
        self.limited(account_id, fetcher.fetch(url)).await
    }

    /// # Errors
    /// The reason for the model.
    async fn search(&self, account_id: Uuid, query: &str) -> Result<Vec<Hit>, String> {
        let Some(searcher) = &self.searcher else {
            return Err(OFF.to_owned());
        };
        self.limited(account_id, searcher.search(query)).await
    }

    /// Runs `work` when the account and the process have a free place. The time limit includes the wait.
    ///
    /// # Errors
    /// The reason for the model.
    async fn limited<T>(&self, account_id: Uuid, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let limited = async {
            let turn = self.account_queues.take_within(account_id, self.timeout).await;
            let _turn = turn.map_err(|_| BUSY.to_owned())?;
            let _place = self.running.acquire().await.map_err(|_| BUSY.to_owned())?;
            work.await
        };
        let seconds = self.timeout.as_secs();
        let late = |_| Err(format!("no complete answer within {seconds} seconds"));
        timeout(self.timeout, limited).await.unwrap_or_else(late)
    }
}
