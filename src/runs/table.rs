//! The rows of runs.

use chrono::{DateTime, Utc};
use sea_orm::{entity::prelude::*, sea_query::ExprTrait};

use crate::{accounts::Owned, v1::RunStatus};

/// The state of a run, as the numbers of the contract's `RunStatus`.
#[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Status {
    /// Waiting for its turn or being worked on; holds a slot.
    Running = 1,
    /// Ended by itself.
    Completed = 2,
    /// Ended by an error.
    Failed = 3,
    /// Ended because somebody asked.
    Stopped = 4,
}

impl Status {
    /// The word of the contract.
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

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "runs")]
pub struct Model {
    /// The run's UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The owner.
    pub account_id: Uuid,
    /// The thread.
    pub thread_id: Uuid,
    /// The project.
    pub project_id: Uuid,
    /// The agent; absent for the built-in one.
    pub agent_id: Option<Uuid>,
    /// The agent's version that runs.
    pub agent_version_id: Option<Uuid>,
    /// The state.
    pub status: Status,
    /// `code` or `chat`.
    pub mode: String,
    /// The model that was asked for.
    pub model_requested: Option<String>,
    /// The model that runs.
    pub model_used: String,
    /// Whether the run may use memory.
    pub memory_enabled: Option<bool>,
    /// The key under which a retry finds this run.
    pub request_key: Option<String>,
    /// BLAKE3 of what was asked for under the key.
    pub request_hash: Option<String>,
    /// The worker that holds the lease.
    pub lease_owner: Option<Uuid>,
    /// Counts the leases; writes of an earlier one are refused.
    pub lease_epoch: i64,
    /// When the lease ends unless it is renewed.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// Whether somebody asked the run to stop.
    pub stop_requested: bool,
    /// Why it failed, as a code.
    pub error_code: Option<String>,
    /// Why it failed, as a sentence.
    pub error_message: Option<String>,
    /// Calls of the model.
    pub steps: i32,
    /// Tokens of the prompts.
    pub input_tokens: i64,
    /// Tokens of the answers.
    pub output_tokens: i64,
    /// What it cost, in millionths of a credit.
    pub microcredits: i64,
    /// What is set aside for the next call of the model, in millionths of a credit; counts while the run is unfinished.
    pub held_microcredits: i64,
    /// The sequence of the terminal event, once there is one.
    pub last_sequence: Option<i64>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it up.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Required by `SeaORM`; joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}

/// Whether a run is unfinished. The number is written out: a partial index is used only then.
pub fn is_unfinished() -> Expr {
    Expr::col((Entity, Column::Status)).eq(Expr::cust("1"))
}

/// Whether a run has ended; written out as in [`is_unfinished`].
pub fn is_over() -> Expr {
    Expr::col((Entity, Column::Status)).ne(Expr::cust("1"))
}
