//! Locks the account of a `StartRun` request, and finds the account's default agent.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use crate::{
    accounts::{Caller, ensure},
    agents::version::Pinned,
    db::Tx,
    error::{Error, Result},
};

// One statement reads the data that most requests need, because each statement costs a thread hop on SQLite.
const FIND: &str = "SELECT a.tier, a.threads, a.projects, g.id AS agent_id, v.id AS version_id, v.model FROM accounts a \
    LEFT JOIN agents g ON g.account_id = a.id AND g.is_default = TRUE \
    LEFT JOIN agent_versions v ON v.id = g.current_version_id AND v.account_id = a.id WHERE a.id = $1{lock}";

/// The account of a `StartRun` request.
pub(super) struct StartAccount {
    /// The name of the account's tier.
    pub(super) tier: String,
    /// Number of threads.
    pub(super) threads: i64,
    /// Number of projects.
    pub(super) projects: i64,
    /// Current version of the account's default agent; `None` if the request names an agent, or if the account has no
    /// default agent.
    pub(super) default_agent: Option<Pinned>,
}

impl StartAccount {
    /// Locks the account in the same way as [`ensure::lock`]. Finds the default agent if the request names no agent.
    pub(super) async fn lock(tx: &Tx, caller: &Caller, agent_id: Option<Uuid>) -> Result<Self> {
        if agent_id.is_none() {
            return lock_with_agent(tx, caller.account_id).await;
        }
        let account = ensure::lock(tx, caller.account_id).await?;
        Ok(Self {
            tier: account.tier,
            threads: account.threads,
            projects: account.projects,
            default_agent: None,
        })
    }
}

async fn lock_with_agent(tx: &Tx, account_id: Uuid) -> Result<StartAccount> {
    let backend = tx.get_database_backend();
    let text = match backend {
        // The lock mode is the same as in `ensure::lock`.
        DbBackend::Postgres => FIND.replace("{lock}", " FOR NO KEY UPDATE OF a"),
        // SQLite needs no row lock, because only one write transaction runs at a time.
        _ => FIND.replace("{lock}", ""),
    };
    let statement = Statement::from_sql_and_values(backend, text, [account_id.into()]);
    let row = tx.query_one_raw(statement).await?.ok_or_else(|| {
        Error::internal(
            "the account could not be loaded",
            format!("the account {account_id} does not exist"),
        )
    })?;
    let default_agent = match row.try_get::<Option<Uuid>>("", "agent_id")? {
        Some(agent_id) => {
            let version_id: Option<Uuid> = row.try_get("", "version_id")?;
            let lost = || {
                Error::internal(
                    "the agent could not be loaded",
                    format!("the current version of the agent {agent_id} is missing"),
                )
            };
            Some(Pinned {
                agent_id,
                version_id: version_id.ok_or_else(lost)?,
                model: row.try_get("", "model")?,
            })
        }
        None => None,
    };
    Ok(StartAccount {
        tier: row.try_get("", "tier")?,
        threads: row.try_get("", "threads")?,
        projects: row.try_get("", "projects")?,
        default_agent,
    })
}
