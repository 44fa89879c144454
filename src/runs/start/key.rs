//! The idempotency key of a `StartRun` request. A repeated request with the same key and content returns the run of
//! the first request.

use std::{fmt::Write, time::Duration};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::NewRun;
use crate::{
    accounts::{Caller, of},
    app::App,
    db::Tx,
    error::{Code, Error, Result},
    runs::{
        Run,
        table::{Column, Entity},
    },
    uploads::Upload,
};

/// Lifetime of a key, counted from the creation of its run.
pub const KEY_LIVES: Duration = Duration::from_hours(24);

/// `name` is the key, unique within the account. `hash` is a hash of the request's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) hash: String,
}

/// The stored form of a client's key.
pub fn stored(key: &str) -> String {
    format!("key:{key}")
}

impl Key {
    /// Returns the client's key. Without one, a request in optimistic mode gets a key from its thread id and its hash.
    pub(super) fn of(new: &NewRun, files: &[Upload]) -> Option<Self> {
        let given = new.request_key.as_ref().filter(|key| !key.is_empty());
        if given.is_none() && !new.optimistic {
            return None;
        }
        let hash = hash(new, files);
        let name = match (given, new.thread_id) {
            (Some(key), _) => stored(key),
            (None, thread_id) => format!("optimistic:{}:{}", thread_id.unwrap_or_default(), &hash[..32]),
        };
        Some(Self { name, hash })
    }

    /// Finds the run of an earlier request with this key. If the key has expired, removes it from that run and
    /// returns `None`.
    ///
    /// # Errors
    /// `REQUEST_KEY_REUSED` if the earlier request had different content.
    pub(super) async fn find(&self, app: &App, tx: &Tx, caller: &Caller) -> Result<Option<Run>> {
        let found = of::<Entity>(caller.scope())
            .filter(Column::RequestKey.eq(self.name.as_str()))
            .one(tx)
            .await?;
        let Some(run) = found else { return Ok(None) };
        if run.created_at + KEY_LIVES <= app.clock.now() {
            Entity::update_many()
                .col_expr(Column::RequestKey, Expr::value(None::<String>))
                .filter(Column::AccountId.eq(caller.account_id))
                .filter(Column::Id.eq(run.id))
                .exec(tx)
                .await?;
            return Ok(None);
        }
        if run.request_hash.as_deref() != Some(self.hash.as_str()) {
            let message = "this request_id was already used to start a run with different parameters; use a new one";
            return Err(Error::new(Code::RequestKeyReused, message));
        }
        Ok(Some(run))
    }
}

// Hashes the parts of a request. Each part is preceded by its length, so that different requests cannot produce the
// same text.
fn hash(new: &NewRun, files: &[Upload]) -> String {
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
    part(&new.mode);
    part(&format!(
        "{:?} {:?} {}",
        new.memory_enabled, new.if_busy, new.optimistic
    ));
    // Earlier versions had no `reasoning_effort`. A request without it must keep its hash.
    if let Some(effort) = new.reasoning_effort {
        part(effort.as_str());
    }
    // As above, a request without options must keep its hash.
    if let Some(options) = new.options.stored() {
        part(&options);
    }
    for file in files {
        part(&file.name);
        part(file.digest.as_deref().unwrap_or_default());
    }
    blake3::hash(body.as_bytes()).to_hex().to_string()
}
