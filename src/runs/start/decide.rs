//! The decisions of a start: whether the request is valid, whether it is a retry, whether the thread is busy and
//! whether the plan allows the run.

use std::fmt::Write;

use sea_orm::{QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{IfBusy, MAX_KEY, MAX_PROMPT_BYTES, NewRun, account::StartAccount, finish, target::Target};
use crate::{
    accounts::{Caller, of},
    app::App,
    config::Limits,
    db::Tx,
    error::{Code, Error, Result},
    events::Stored,
    ledger::{Price, wallet},
    limits::{self, Admission, Load, Plan, StartRequest},
    runs::{
        Run, Status, reserve,
        table::{Column, Entity, is_unfinished},
    },
    uploads,
};

/// Identifies an earlier start with the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) hash: String,
}

/// Validates a start, with the wording fixed by the API documentation.
pub(super) fn check(new: &NewRun) -> Result<()> {
    if new.optimistic && (new.thread_id.is_none() || new.project_id.is_none()) {
        return Err(Error::invalid("thread_id and project_id required for optimistic mode"));
    }
    let prompt = new.prompt.as_deref().unwrap_or_default();
    if prompt.trim().is_empty() && (new.thread_id.is_none() || new.optimistic) {
        return Err(Error::invalid_field(
            "prompt",
            "prompt required when creating new thread",
        ));
    }
    if prompt.len() > MAX_PROMPT_BYTES {
        return Err(Error::invalid_field(
            "prompt",
            format!("prompt must have at most {MAX_PROMPT_BYTES} bytes"),
        ));
    }
    if prompt.contains('\0') {
        return Err(Error::invalid_field(
            "prompt",
            "prompt must not contain the character NUL",
        ));
    }
    let key = new.request_key.as_deref().unwrap_or_default();
    if key.chars().count() > MAX_KEY || key.contains('\0') {
        return Err(Error::invalid_field(
            "request_id",
            format!("request_id must have at most {MAX_KEY} characters"),
        ));
    }
    Ok(())
}

/// Returns the key of a start, which is the client's key. If the client sent no key in optimistic mode, the key
/// consists of the thread id and a hash of the request.
pub(super) fn key(new: &NewRun, files: &[uploads::table::Model]) -> Option<Key> {
    let given = new.request_key.as_ref().filter(|key| !key.is_empty());
    if given.is_none() && !new.optimistic {
        return None;
    }
    let hash = hash(new, files);
    let name = match (given, new.thread_id) {
        (Some(key), _) => format!("key:{key}"),
        (None, thread_id) => format!("optimistic:{}:{}", thread_id.unwrap_or_default(), &hash[..32]),
    };
    Some(Key { name, hash })
}

// Each part is preceded by its length, so that different requests cannot give the same text.
fn hash(new: &NewRun, files: &[uploads::table::Model]) -> String {
    let mut body = String::new();
    let mut part = |text: &str| {
        let _ = write!(body, "{}:{text};", text.len());
    };
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    part(new.prompt.as_deref().unwrap_or_default());
    part(&id(new.thread_id));
    part(&id(new.project_id));
    part(&id(new.agent_id));
    part(new.model.as_deref().unwrap_or_default());
    part(new.mode.as_str());
    part(&format!(
        "{:?} {:?} {}",
        new.memory_enabled, new.if_busy, new.optimistic
    ));
    for file in files {
        part(&file.name);
        part(file.digest.as_deref().unwrap_or_default());
    }
    blake3::hash(body.as_bytes()).to_hex().to_string()
}

/// Applies `if_busy` to a thread with unfinished runs; returns the runs that it ended.
pub(super) async fn make_room(app: &App, tx: &Tx, busy: Vec<Run>, if_busy: IfBusy) -> Result<Vec<(Run, Stored)>> {
    match if_busy {
        IfBusy::Enqueue => Ok(Vec::new()),
        IfBusy::Reject if busy.is_empty() => Ok(Vec::new()),
        IfBusy::Reject => Err(Error::new(
            Code::ThreadBusy,
            "the thread has an active run; stop the run or wait until it ends",
        )),
        IfBusy::Interrupt => {
            let now = app.clock.now();
            let mut ended = Vec::with_capacity(busy.len());
            for run in busy {
                let event = finish::finish(tx, &run, Status::Stopped, now).await?;
                ended.extend(event.map(|event| (run, event)));
            }
            Ok(ended)
        }
    }
}

/// Checks the plan, and returns the credits to reserve for the first model call. Running runs are read only if the plan
/// limits them or the model has a price.
pub(super) async fn admit(
    app: &App,
    tx: &Tx,
    caller: &Caller,
    plan: &Plan<'_>,
    asked: Option<&str>,
    (account, target): (&StartAccount, &Target),
) -> Result<(Admission, i64)> {
    let ask = StartRequest {
        model: asked,
        makes_thread: target.makes_thread,
        makes_project: target.makes_project,
    };
    let scope = caller.scope();
    let mut load = Load {
        threads: account.threads,
        projects: account.projects,
        ..Load::default()
    };
    let (mut held, mut left) = (0, 0);
    let model = app.models.load(plan.model(asked, &app.models)?.model())?;
    let price = Price::find(app, model);
    if price.is_some() {
        // Lock the balance before adding up the reservations: every writer that changes a reservation has locked the
        // balance.
        left = wallet::lock(app, tx, caller.account_id).await?;
    }
    if plan.limits == Limits::On && (plan.tier.concurrent_runs.is_some() || price.is_some()) {
        let running: Vec<(Uuid, i64)> = of::<Entity>(scope)
            .select_only()
            .columns([Column::ThreadId, Column::HeldMicrocredits])
            .filter(is_unfinished())
            .order_by_asc(Column::Id)
            .into_tuple()
            .all(tx)
            .await?;
        load.running_threads = running.iter().map(|(thread_id, _)| *thread_id).collect();
        held = running.iter().map(|(_, held)| held).sum();
    }
    load.microcredits = price.map(|_| left.saturating_sub(held));
    let admission = limits::admit(plan, &app.models, &ask, &load)?;
    let set_aside = price.map(|price| reserve::first(price, model).min(left - held));
    Ok((admission, set_aside.unwrap_or_default()))
}
