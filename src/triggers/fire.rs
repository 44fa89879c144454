//! Starts the run of an authenticated request to a trigger.

use std::time::Duration;

use bytes::Bytes;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{
    context,
    create::chosen,
    list,
    table::{Column, Entity, Model},
    template::{Headers, Template},
};
use crate::{
    accounts::{Access, Caller, Role, Scope},
    app::App,
    error::{Code, Error, Result},
    runs::{self, NewRun, Run},
    signatures::{self, Signed},
};

/// Maximum difference between the timestamp of a signed request and this server's clock.
const TOLERANCE: Duration = Duration::from_mins(5);
/// Maximum length of the idempotency key in characters.
pub const MAX_KEY: usize = 200;

/// The proof that the sender of a request knows the secret.
#[derive(Clone, Debug)]
pub enum Proof {
    Bearer(SecretString),
    /// The headers of the Standard Webhooks specification.
    Signature {
        id: String,
        timestamp: i64,
        signatures: String,
    },
}

/// A request to a trigger.
#[derive(Clone, Debug)]
pub struct Firing {
    pub proof: Proof,
    /// Idempotency key.
    pub key: Option<String>,
    pub body: Bytes,
    pub headers: Headers,
}

impl Firing {
    fn is_proved(&self, secret: &SecretString) -> bool {
        match &self.proof {
            Proof::Bearer(given) => {
                let (given, secret) = (given.expose_secret().as_bytes(), secret.expose_secret().as_bytes());
                given.ct_eq(secret).into()
            }
            Proof::Signature {
                id,
                timestamp,
                signatures,
            } => {
                let signed = Signed {
                    id,
                    timestamp: *timestamp,
                    body: &self.body,
                };
                signed.is_signed_with(secret, signatures)
            }
        }
    }

    fn is_recent(&self, now: i64) -> bool {
        match &self.proof {
            Proof::Bearer(_) => true,
            Proof::Signature { timestamp, .. } => timestamp.abs_diff(now) <= TOLERANCE.as_secs(),
        }
    }
}

/// Returns the trigger of a request that proves to know the trigger's secret.
///
/// # Errors
/// NOT_AUTHENTICATED for an unknown trigger and for a wrong secret, in the same words and after the same work.
pub async fn authenticate(app: &App, trigger_id: Uuid, firing: &Firing) -> Result<Model> {
    let scope = Scope::system("the trigger that a request names");
    let found = list::find(app.db.read(), scope, trigger_id).await?;
    let now = app.clock.now();
    let mut secrets: Vec<SecretString> = Vec::new();
    if let Some(trigger) = &found {
        let context = context(trigger.account_id, trigger.id);
        let earlier = trigger.earlier_secret.as_ref();
        let earlier = earlier.filter(|_| trigger.earlier_until.is_some_and(|until| now < until));
        for sealed in [Some(&trigger.secret), earlier].into_iter().flatten() {
            secrets.extend(app.secrets.open_sealed(&context, sealed));
        }
    }
    if secrets.is_empty() {
        secrets.push(signatures::new_secret());
    }
    // Compares with all secrets, so that the time does not tell which one matched.
    let is_proved = secrets
        .iter()
        .fold(false, |proved, secret| proved | firing.is_proved(secret));
    let is_recent = firing.is_recent(now.timestamp());
    let trigger = found.filter(|_| is_proved && is_recent);
    trigger.ok_or_else(|| Error::new(Code::NotAuthenticated, "Not authenticated"))
}

/// The caller on whose behalf a trigger starts runs.
pub fn caller(trigger: &Model) -> Caller {
    Caller {
        account_id: trigger.account_id,
        role: Role::User,
        access: Access::Run,
        name: format!("trigger:{}", trigger.id).into(),
    }
}

/// Starts the run, and records what became of the request.
///
/// # Errors
/// CONFLICT if the trigger is disabled; INVALID_REQUEST for a missing value of the template; the errors of
/// `runs::start`.
pub async fn fire(app: &App, trigger: &Model, firing: &Firing) -> Result<Run> {
    let started = start(app, trigger, firing).await;
    record(app, trigger, &started).await?;
    started
}

async fn start(app: &App, trigger: &Model, firing: &Firing) -> Result<Run> {
    if !trigger.enabled {
        return Err(Error::new(Code::Conflict, "the trigger is disabled; enable it first"));
    }
    let saved = chosen(trigger).start;
    let body = std::str::from_utf8(&firing.body)
        .map_err(|_| Error::invalid_field("body", "the body must be JSON or other text in UTF-8"))?;
    let prompt = Template::parse(&saved.prompt)?.fill(body, &firing.headers)?;
    let new = NewRun {
        prompt: Some(prompt),
        request_key: firing.key.as_ref().map(|key| format!("trigger {} {key}", trigger.id)),
        ..saved.new_run()
    };
    Ok(Box::pin(runs::start(app, &caller(trigger), new)).await?.run)
}

async fn record(app: &App, trigger: &Model, outcome: &Result<Run>) -> Result<()> {
    let tx = app.db.begin("triggers.record").await?;
    let change = Entity::update_many().col_expr(Column::FiredAt, Expr::value(app.clock.now()));
    let change = match outcome {
        Ok(run) => change
            .col_expr(Column::RunId, Expr::value(run.id))
            .col_expr(Column::LastThreadId, Expr::value(run.thread_id))
            .col_expr(Column::ErrorCode, Expr::value(None::<String>))
            .col_expr(Column::Error, Expr::value(None::<String>)),
        Err(error) => change
            .col_expr(Column::ErrorCode, Expr::value(error.code().as_str()))
            .col_expr(Column::Error, Expr::value(error.message())),
    };
    change
        .filter(Column::AccountId.eq(trigger.account_id))
        .filter(Column::Id.eq(trigger.id))
        .exec(&tx)
        .await?;
    tx.commit().await
}
