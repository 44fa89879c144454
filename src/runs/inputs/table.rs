//! Database rows of inputs.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    accounts::Owned,
    db::{Bound, Sql},
    engine::inputs::AskKind,
    v1::InputDecision,
};

/// The numbers are those of the contract's `InputKind`, which has no number for `Task`.
#[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Kind {
    Approval = 1,
    ClientTool = 2,
    Question = 3,
    /// The result of a subagent. Callers neither see nor answer this kind.
    Task = 4,
}

impl Kind {
    pub fn of(kind: AskKind) -> Self {
        match kind {
            AskKind::Approval => Self::Approval,
            AskKind::ClientTool => Self::ClientTool,
            AskKind::Question => Self::Question,
            AskKind::Task => Self::Task,
        }
    }
}

impl From<Kind> for i32 {
    fn from(kind: Kind) -> Self {
        kind as Self
    }
}

/// The numbers are those of the contract's `InputDecision`.
#[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Decision {
    Approve = 1,
    Deny = 2,
    Result = 3,
    Answer = 4,
    /// No answer arrived in time.
    Expired = 5,
    /// The run ended first.
    Cancelled = 6,
}

impl From<Decision> for InputDecision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Approve => Self::Approve,
            Decision::Deny => Self::Deny,
            Decision::Result => Self::Result,
            Decision::Answer => Self::Answer,
            Decision::Expired => Self::Expired,
            Decision::Cancelled => Self::Cancelled,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inputs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: Uuid,
    pub thread_id: Uuid,
    pub run_id: Uuid,
    pub kind: Kind,
    pub tool_call_id: String,
    pub name: String,
    /// JSON object.
    pub arguments: String,
    /// JSON schema of the arguments, or of the values of an answer; `None` for a question that is answered with a text.
    pub schema: Option<String>,
    pub message: String,
    /// True if the run fails when the input expires. Otherwise the input is denied.
    pub fails_run: bool,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// `None` while the input is pending.
    pub decision: Option<Decision>,
    /// Edited arguments of an approved call, or the values of an answer, as JSON.
    pub edited: Option<String>,
    /// Reason of a denial, result of a client tool, or answer to a question.
    pub text: String,
    pub is_error: bool,
    pub answered_at: Option<DateTime<Utc>>,
    /// True after a worker has recorded that it continues the run with this answer.
    pub consumed: bool,
    /// The place of a question that a tool asks in the middle of a call, encrypted ([`super::question`]).
    pub question: Option<String>,
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

const INSERT: Sql = Sql::new(
    "INSERT INTO inputs (id, account_id, thread_id, run_id, kind, tool_call_id, name, arguments, schema, message, \
     fails_run, created_at, expires_at, decision, edited, text, is_error, answered_at, consumed, question) VALUES ($1, $2, $3, \
     $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) ON CONFLICT DO NOTHING",
);

/// Builds the statement that inserts an input. If the id exists already, the statement changes nothing: an earlier
/// attempt has written the input, but the response to its commit was lost.
pub fn insertion(row: &Model) -> Bound {
    INSERT.with([
        row.id.into(),
        row.account_id.into(),
        row.thread_id.into(),
        row.run_id.into(),
        row.kind.into(),
        row.tool_call_id.clone().into(),
        row.name.clone().into(),
        row.arguments.clone().into(),
        row.schema.clone().into(),
        row.message.clone().into(),
        row.fails_run.into(),
        row.created_at.into(),
        row.expires_at.into(),
        row.decision.into(),
        row.edited.clone().into(),
        row.text.clone().into(),
        row.is_error.into(),
        row.answered_at.into(),
        row.consumed.into(),
        row.question.clone().into(),
    ])
}
