//! Locks the account of a `StartRun` request.

use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    accounts::{Caller, ensure, list::note_activity, suspension},
    agents::version::Pinned,
    db::{Row, Rows, Sql, Tx, locking},
    error::{Error, Result},
};

// One statement reads the data that most requests need. The lock mode is that of `ensure::lock`.
const FIND: Sql = locking!(
    "SELECT a.tier, a.threads, a.projects, a.suspended_at, a.last_active_at, g.id AS agent_id, v.id AS version_id, v.model FROM accounts a \
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
    ///
    /// # Errors
    /// ACCOUNT_SUSPENDED; database errors.
    pub(super) async fn lock(tx: &Tx, caller: &Caller, agent_id: Option<Uuid>, now: DateTime<Utc>) -> Result<Self> {
        if agent_id.is_none() {
            return lock_with_agent(tx, caller.account_id, now).await;
        }
        let account = ensure::lock(tx, caller.account_id).await?;
        admit(
            tx,
            caller.account_id,
            (account.suspended_at, account.last_active_at),
            now,
        )
        .await?;
        Ok(Self {
            tier: account.tier,
            threads: account.threads,
            projects: account.projects,
            default_agent: None,
        })
    }
}

/// Refuses a suspended account. Otherwise, notes its activity.
async fn admit(
    tx: &Tx,
    account_id: Uuid,
    (suspended_at, last_active_at): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    now: DateTime<Utc>,
) -> Result<()> {
    if suspended_at.is_some() {
        return Err(suspension::refusal());
    }
    note_activity(tx, account_id, last_active_at, now).await
}

async fn lock_with_agent(tx: &Tx, account_id: Uuid, now: DateTime<Utc>) -> Result<StartAccount> {
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
    admit(tx, account_id, (row.suspended_at, row.last_active_at), now).await?;
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
    suspended_at: Option<DateTime<Utc>>,
    last_active_at: Option<DateTime<Utc>>,
    /// The default agent, its current version, and that version's model.
    agent: Option<(Uuid, Option<(Uuid, String)>)>,
}

fn read(row: &mut Row<'_>) -> Result<Found, DbErr> {
    let (tier, threads, projects) = (row.take()?, row.take()?, row.take()?);
    let (suspended_at, last_active_at) = (row.take()?, row.take()?);
    let (agent_id, version_id, model): (Option<Uuid>, Option<Uuid>, Option<String>) =
        (row.take()?, row.take()?, row.take()?);
    Ok(Found {
        tier,
        threads,
        projects,
        suspended_at,
        last_active_at,
        agent: agent_id.map(|agent_id| (agent_id, version_id.zip(model))),
    })
}
