//! Database rows of runs, and conditions on their status.

use chrono::{DateTime, Utc};
use sea_orm::{entity::prelude::*, sea_query::ExprTrait};

use crate::{
    accounts::{Owned, Scope},
    db::{Bound, Row, Sql},
    v1::{self, RunStatus},
};

/// The numbers are those of the contract's `RunStatus`.
#[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Status {
    /// A worker executes the run, or the run waits for a worker.
    Running = 1,
    Completed = 2,
    Failed = 3,
    /// Ended on request.
    Stopped = 4,
}

/// The numbers are those of the contract's `StopReason`.
#[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum StopReason {
    /// A caller of `StopRun`.
    Requested = 1,
    /// A later start with `if_busy: interrupt`.
    Interrupted = 2,
    /// The budget of the request.
    Budget = 3,
}

impl From<StopReason> for v1::StopReason {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Requested => Self::Requested,
            StopReason::Interrupted => Self::Interrupted,
            StopReason::Budget => Self::Budget,
        }
    }
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl From<Status> for RunStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Stopped => Self::Stopped,
        }
    }
}

impl Model {
    /// The state that clients see. A waiting run is unfinished, and its row has the status `Running`.
    pub fn state(&self) -> RunStatus {
        if self.status == Status::Running && self.waiting_since.is_some() {
            RunStatus::Waiting
        } else {
            self.status.into()
        }
    }

    /// The caller who stopped the run; `None` if the run ended for another reason.
    pub fn stopped_by(&self) -> Option<&str> {
        let is_by_caller = matches!(self.stop_reason, Some(StopReason::Requested | StopReason::Interrupted));
        self.stopped_by.as_deref().filter(|_| is_by_caller)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "runs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: Uuid,
    pub thread_id: Uuid,
    pub project_id: Uuid,
    /// `None` for the built-in agent.
    pub agent_id: Option<Uuid>,
    /// The version that the run is pinned to; `None` for the built-in agent.
    pub agent_version_id: Option<Uuid>,
    pub status: Status,
    /// Name of the mode (`config::modes`).
    pub mode: String,
    pub model_requested: Option<String>,
    /// Public name of the model that the run uses.
    pub model_used: String,
    /// `None` if the request has no such setting.
    pub memory_enabled: Option<bool>,
    /// `None` if the request names no effort.
    pub reasoning_effort: Option<String>,
    /// Idempotency key: a retry with the same key returns this run.
    pub request_key: Option<String>,
    /// BLAKE3 hash of the request. A retry with the same key must have the same hash.
    pub request_hash: Option<String>,
    /// `None` if no worker holds the lease.
    pub lease_owner: Option<Uuid>,
    /// Fencing number. A claim increments the number, and so does a request that ends the run. Writes with an earlier
    /// epoch are refused.
    pub lease_epoch: i64,
    /// `None` if no worker holds the lease.
    pub lease_expires_at: Option<DateTime<Utc>>,
    pub stop_requested: bool,
    /// `None` if no error ended the run.
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    /// Number of model calls.
    pub steps: i32,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub microcredits: i64,
    /// Millionths of a credit reserved for the next model call. The reservation counts only while the run is
    /// unfinished.
    pub held_microcredits: i64,
    /// Sequence number of the terminal event; `None` for an unfinished run.
    pub last_sequence: Option<i64>,
    pub created_at: DateTime<Utc>,
    /// Time of the first claim by a worker.
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// `None` unless the run waits for an input. A waiting run has the status `Running` and no lease.
    pub waiting_since: Option<DateTime<Utc>>,
    /// Time in milliseconds during which the run was waiting for inputs. It does not count towards the run's time limit.
    pub waited_ms: i64,
    /// `None` unless the run was stopped.
    pub stop_reason: Option<StopReason>,
    /// Settings that few runs have, as JSON (`runs/options.rs`).
    pub options: Option<String>,
    /// The final answer as JSON. `None` unless the run is completed and its request had an output schema.
    pub output: Option<String>,
    /// The run that started this run as a subagent; `None` for other runs.
    pub parent_run_id: Option<Uuid>,
    /// The call of the parent that started this run.
    pub parent_call_id: Option<String>,
    /// The caller who requested the stop (`Caller::name`). The run may have ended for another reason before the stop.
    pub stopped_by: Option<String>,
}

/// `SeaORM` requires this type. Joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}

/// The status is a literal, because a database does not use a partial index for a bound parameter.
pub fn has_status(status: Status) -> Expr {
    Expr::col((Entity, Column::Status)).eq(Expr::cust((status as i32).to_string()))
}

pub fn is_unfinished() -> Expr {
    has_status(Status::Running)
}

/// True for runs that a worker executes or may claim.
pub fn is_unfinished_and_not_waiting() -> Expr {
    is_unfinished().and(Expr::col((Entity, Column::WaitingSince)).is_null())
}

/// The status is a literal, as in [`has_status`].
pub fn is_over() -> Expr {
    Expr::col((Entity, Column::Status)).ne(Expr::cust("1"))
}

/// All columns, in the order of the fields of [`Model`].
macro_rules! columns {
    () => {
        "id, account_id, thread_id, project_id, agent_id, agent_version_id, status, mode, model_requested, \
         model_used, memory_enabled, reasoning_effort, request_key, request_hash, lease_owner, lease_epoch, \
         lease_expires_at, stop_requested, error_code, error_message, steps, input_tokens, output_tokens, \
         microcredits, held_microcredits, last_sequence, created_at, started_at, finished_at, waiting_since, \
         waited_ms, stop_reason, options, output, parent_run_id, parent_call_id, stopped_by"
    };
}

const INSERT: Sql = Sql::new(concat!(
    "INSERT INTO runs (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
     $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37)",
));

const FIND: Sql = Sql::new(concat!(
    "SELECT ",
    columns!(),
    " FROM runs WHERE id = $1 AND account_id = COALESCE($2, account_id)",
));

/// Selects a run in a scope. [`read`] reads its row.
pub fn find(scope: Scope, run_id: Uuid) -> Bound {
    FIND.with([run_id.into(), scope.account_id().into()])
}

pub fn read(row: &mut Row<'_>) -> Result<Model, DbErr> {
    Ok(Model {
        id: row.take()?,
        account_id: row.take()?,
        thread_id: row.take()?,
        project_id: row.take()?,
        agent_id: row.take()?,
        agent_version_id: row.take()?,
        status: Status::try_from_value(&row.take()?)?,
        mode: row.take()?,
        model_requested: row.take()?,
        model_used: row.take()?,
        memory_enabled: row.take()?,
        reasoning_effort: row.take()?,
        request_key: row.take()?,
        request_hash: row.take()?,
        lease_owner: row.take()?,
        lease_epoch: row.take()?,
        lease_expires_at: row.take()?,
        stop_requested: row.take()?,
        error_code: row.take()?,
        error_message: row.take()?,
        steps: row.take()?,
        input_tokens: row.take()?,
        output_tokens: row.take()?,
        microcredits: row.take()?,
        held_microcredits: row.take()?,
        last_sequence: row.take()?,
        created_at: row.take()?,
        started_at: row.take()?,
        finished_at: row.take()?,
        waiting_since: row.take()?,
        waited_ms: row.take()?,
        stop_reason: row
            .take::<Option<i16>>()?
            .map(|reason| StopReason::try_from_value(&reason))
            .transpose()?,
        options: row.take()?,
        output: row.take()?,
        parent_run_id: row.take()?,
        parent_call_id: row.take()?,
        stopped_by: row.take()?,
    })
}

pub fn insertion(run: &Model) -> Bound {
    INSERT.with([
        run.id.into(),
        run.account_id.into(),
        run.thread_id.into(),
        run.project_id.into(),
        run.agent_id.into(),
        run.agent_version_id.into(),
        run.status.into(),
        run.mode.clone().into(),
        run.model_requested.clone().into(),
        run.model_used.clone().into(),
        run.memory_enabled.into(),
        run.reasoning_effort.clone().into(),
        run.request_key.clone().into(),
        run.request_hash.clone().into(),
        run.lease_owner.into(),
        run.lease_epoch.into(),
        run.lease_expires_at.into(),
        run.stop_requested.into(),
        run.error_code.clone().into(),
        run.error_message.clone().into(),
        run.steps.into(),
        run.input_tokens.into(),
        run.output_tokens.into(),
        run.microcredits.into(),
        run.held_microcredits.into(),
        run.last_sequence.into(),
        run.created_at.into(),
        run.started_at.into(),
        run.finished_at.into(),
        run.waiting_since.into(),
        run.waited_ms.into(),
        run.stop_reason.into(),
        run.options.clone().into(),
        run.output.clone().into(),
        run.parent_run_id.into(),
        run.parent_call_id.clone().into(),
        run.stopped_by.clone().into(),
    ])
}
