//! Administrator operations on accounts. A change and its audit entry are written in one transaction. `wire::admin`
//! has checked that the caller is an administrator.

mod audit;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    accounts::{
        self, Account, Caller, ensure,
        list::{After, Filter},
        queue, suspension, tier,
    },
    app::App,
    db::Tx,
    error::{Code, Error, Result},
    ledger::{MICRO, wallet},
};

const MAX_GRANT: i64 = 1_000_000_000;
/// Maximum length of a grant's request key, in characters.
const MAX_KEY: usize = 100;
/// Maximum length of a reason, in characters.
const MAX_REASON: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub account: Account,
    /// Balance in millionths of a credit.
    pub microcredits: i64,
}

/// If the subject already has an account, returns that account.
pub async fn create(app: &App, caller: &Caller, issuer: &str, subject: &str) -> Result<Known> {
    if let Some(account_id) = ensure::find(app, issuer, subject).await? {
        return load(app, account_id).await;
    }
    let tx = app.db.begin("admin.create").await?;
    let account_id = ensure::insert(app, &tx, issuer, subject).await?;
    finish(app, tx, caller, account_id, ("account.create", "")).await
}

/// Loads an account and its balance. If the monthly grant is due, its credits are added first.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`.
pub async fn load(app: &App, account_id: Uuid) -> Result<Known> {
    let account = find(app.db.read(), account_id).await?;
    let microcredits = wallet::load(app, account_id).await?;
    Ok(Known { account, microcredits })
}

/// The balance stays unchanged. The next monthly grant uses the new tier's amount.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`; INVALID_REQUEST if the tier does not exist.
pub async fn set_tier(app: &App, caller: &Caller, account_id: Uuid, tier: &str) -> Result<Known> {
    let new = app.tiers.find(tier).ok_or_else(|| {
        let message = format!(
            "tier_name must be one of {}",
            app.tiers.names().collect::<Vec<_>>().join(", ")
        );
        Error::invalid_field("tier_name", message)
    })?;
    find(app.db.read(), account_id).await?;
    let tx = queue::begin(app, account_id, "admin.set_tier").await?;
    // Read the old tier under the lock, so that the audit entry names the tier that this change replaces.
    let before = ensure::lock(&tx, account_id).await?;
    tier::set(&tx, account_id, new).await?;
    let detail = format!("from {} to {}", before.tier, new.name);
    finish(app, tx, caller, account_id, ("account.tier", &detail)).await
}

/// Lists accounts with their balances, which include the credits of this month.
pub async fn list(app: &App, filter: &Filter, after: Option<After>, limit: u64) -> Result<Vec<Known>> {
    let accounts = accounts::list::list(app.db.read(), filter, after, limit).await?;
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.id).collect();
    let balances = wallet::stored(app, &ids).await?;
    let known = accounts.into_iter().map(|account| {
        let stored = balances.get(&account.id);
        // The credits of a month are stored when the account next spends or reads them.
        let due = match stored {
            Some(stored) if !stored.is_grant_due => 0,
            Some(_) | None => wallet::monthly(app.tiers.load(&account.tier)),
        };
        let microcredits = stored.map_or(0, |stored| stored.microcredits).saturating_add(due);
        Known { account, microcredits }
    });
    Ok(known.collect())
}

/// Suspends an account. The caller then stops the account's runs.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`; CONFLICT for the caller's own account; INVALID_REQUEST for a long reason.
pub async fn suspend(app: &App, caller: &Caller, account_id: Uuid, reason: &str) -> Result<Known> {
    if account_id == caller.account_id {
        return Err(Error::new(Code::Conflict, "you cannot suspend your own account"));
    }
    check_reason(reason)?;
    find(app.db.read(), account_id).await?;
    let tx = queue::begin(app, account_id, "admin.suspend").await?;
    if ensure::lock(&tx, account_id).await?.suspended_at.is_some() {
        drop(tx);
    } else {
        suspension::set(&tx, account_id, Some((app.clock.now(), reason))).await?;
        commit(app, tx, caller, account_id, ("account.suspend", reason)).await?;
    }
    app.accounts.suspensions.note(account_id, true);
    load(app, account_id).await
}

/// Ends the suspension of an account.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`.
pub async fn resume(app: &App, caller: &Caller, account_id: Uuid) -> Result<Known> {
    find(app.db.read(), account_id).await?;
    let tx = queue::begin(app, account_id, "admin.resume").await?;
    if ensure::lock(&tx, account_id).await?.suspended_at.is_some() {
        suspension::set(&tx, account_id, None).await?;
        commit(app, tx, caller, account_id, ("account.resume", "")).await?;
    } else {
        drop(tx);
    }
    app.accounts.suspensions.note(account_id, false);
    load(app, account_id).await
}

fn check_reason(reason: &str) -> Result<()> {
    if reason.chars().count() > MAX_REASON || reason.contains('\0') {
        let message = format!("reason must have at most {MAX_REASON} characters");
        return Err(Error::invalid_field("reason", message));
    }
    Ok(())
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub credits: i64,
    /// Idempotency key: a second grant with the same key adds no credits. Empty if there is no key.
    pub request_key: String,
    pub reason: String,
}

/// Grants credits to an account, once per request key.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`; INVALID_REQUEST; `REQUEST_KEY_REUSED` if the key was used for a different amount.
pub async fn grant(app: &App, caller: &Caller, account_id: Uuid, new: Grant) -> Result<Known> {
    let Grant {
        credits,
        request_key,
        reason,
    } = new;
    if !(1..=MAX_GRANT).contains(&credits) {
        let message = format!("credits must be 1 to {MAX_GRANT}");
        return Err(Error::invalid_field("credits", message));
    }
    if request_key.chars().count() > MAX_KEY || request_key.contains('\0') {
        let message = format!("request_id must have at most {MAX_KEY} characters");
        return Err(Error::invalid_field("request_id", message));
    }
    check_reason(&reason)?;
    find(app.db.read(), account_id).await?;
    let key = if request_key.is_empty() {
        format!("admin {}", crate::id::new())
    } else {
        format!("asked {request_key}")
    };
    let tx = queue::begin_locked(app, account_id, "admin.grant").await?;
    wallet::lock(app, &tx, account_id).await?;
    if wallet::grant(app, &tx, account_id, credits.saturating_mul(MICRO), &key).await? == 0 {
        // The key was used before, so nothing changes and no audit entry is recorded.
        let earlier = wallet::granted(&tx, account_id, &key).await?;
        drop(tx);
        if earlier != Some(credits.saturating_mul(MICRO)) {
            let message = "this request_id was used for a different grant; use a new one";
            return Err(Error::new(Code::RequestKeyReused, message));
        }
        return load(app, account_id).await;
    }
    let detail = format!("{credits} credits: {reason}");
    finish(app, tx, caller, account_id, ("account.credits", &detail)).await
}

async fn finish(app: &App, tx: Tx, caller: &Caller, account_id: Uuid, what: (&str, &str)) -> Result<Known> {
    commit(app, tx, caller, account_id, what).await?;
    load(app, account_id).await
}

async fn commit(app: &App, tx: Tx, caller: &Caller, account_id: Uuid, what: (&str, &str)) -> Result<()> {
    audit::record(app, &tx, caller, account_id, what).await?;
    tx.commit().await?;
    let (action, detail) = what;
    tracing::info!(actor_id = %caller.account_id, %account_id, action, detail, "an administrator changed an account");
    Ok(())
}

async fn find(db: &impl ConnectionTrait, account_id: Uuid) -> Result<Account> {
    let found = accounts::find(db, account_id).await?;
    found.ok_or_else(|| Error::new(Code::AccountNotFound, "Account not found"))
}
