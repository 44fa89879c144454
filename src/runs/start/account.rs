//! Locks the account of a `StartRun` request.

use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    accounts::{Caller, ensure},
    agents::version::Pinned,
    db::{Row, Rows, Sql, Tx, locking},
    error::{Error, Result},
};

// One statement reads the data that most requests need. The lock mode is that of `ensure::lock`.
const FIND: Sql = locking!(
    "SELECT a.tier, a.threads, a.projects, g.id AS agent_id, v.id AS version_id, v.model FROM accounts a \
     LEFT JOIN agents g ON g.account_id = a.id AND g.is_default = TRUE \
     LEFT JOIN agent_versions v ON v.id = g.current_version_id AND v.account_id = a.id WHERE a.id = $1",
    " FOR NO KEY UPDATE OF a"
);

pub(super) struct StartAccount {
    pub(super) tier: String,
    pub(super) threads: i64,
    pub(super) projects: i64,
    /// `None` if the request names an agent, or if the account has no default agent.
    pub(super) default_agent: Option<Pinned>,
}

impl StartAccount {
    /// Finds the default agent only if the request names no agent.
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
    let missing = || {
        Error::internal(
            "the account could not be loaded",
            format!("the account {account_id} does not exist"),
        )
    };
    let row = tx
        .row(FIND.with([account_id.into()]), read)
        .await?
        .ok_or_else(missing)?;
    let default_agent = match row.agent {
        None => None,
        Some((agent_id, Some((version_id, model)))) => Some(Pinned {
            agent_id,
            version_id,
            model,
        }),
        Some((agent_id, None)) => {
            let cause = format!("the current version of the agent {agent_id} is missing");
            return Err(Error::internal("the agent could not be loaded", cause));
        }
    };
    Ok(StartAccount {
        tier: row.tier,
        threads: row.threads,
        projects: row.projects,
        default_agent,
    })
}

struct Found {
    tier: String,
    threads: i64,
    projects: i64,
    /// The default agent, its current version, and that version's model.
    agent: Option<(Uuid, Option<(Uuid, String)>)>,
}

fn read(row: &mut Row<'_>) -> Result<Found, DbErr> {
    let (tier, threads, projects) = (row.take()?, row.take()?, row.take()?);
    let (agent_id, version_id, model): (Option<Uuid>, Option<Uuid>, Option<String>) =
        (row.take()?, row.take()?, row.take()?);
    Ok(Found {
        tier,
        threads,
        projects,
        agent: agent_id.map(|agent_id| (agent_id, version_id.zip(model))),
    })
}
