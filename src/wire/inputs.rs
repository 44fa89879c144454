//! Implements the gRPC service `InputService`.

use futures::FutureExt;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{caller, page::Page, traits::runyard::v1::input_service_server::InputService, write};
use crate::{
    app::App,
    contract::structs,
    error::{Error, Result},
    events::timestamp,
    id,
    runs::inputs::{self, Answer, Decision, Input},
    v1,
};

#[derive(Clone)]
pub struct Inputs {
    pub(super) app: App,
}

#[tonic::async_trait]
impl InputService for Inputs {
    async fn answer_input(
        &self,
        request: Request<v1::AnswerInputRequest>,
    ) -> Result<Response<v1::AnswerInputResponse>, Status> {
        let (caller, asked) = caller::open(request)?;
        let run_id = id::parse("agent_run_id", &asked.agent_run_id)?;
        let answers = asked.answers.into_iter().map(answer).collect::<Result<Vec<Answer>>>()?;
        let (inputs, run) = write(&self.app, caller, move |app, caller| {
            async move { inputs::answer(app, caller, run_id, answers).await }.boxed()
        })
        .await?;
        Ok(Response::new(v1::AnswerInputResponse {
            inputs: inputs.into_iter().map(shown).collect(),
            status: run.state().into(),
        }))
    }

    async fn list_pending_inputs(
        &self,
        request: Request<v1::ListPendingInputsRequest>,
    ) -> Result<Response<v1::ListPendingInputsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page: Page<Uuid> = Page::read(&caller, &mut asked)?;
        let run_id = id::parse_optional("agent_run_id", &asked.agent_run_id)?;
        if let Some(run_id) = run_id {
            crate::runs::list::load(self.app.db.read(), caller.scope(), run_id).await?;
        }
        let rows = inputs::list(self.app.db.read(), caller.scope(), run_id, page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListPendingInputsResponse {
            inputs: rows.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn get_input(&self, request: Request<v1::GetInputRequest>) -> Result<Response<v1::Input>, Status> {
        let (caller, asked) = caller::open(request)?;
        let input_id = id::parse("input_id", &asked.input_id)?;
        let row = inputs::load(self.app.db.read(), caller.scope(), input_id).await?;
        Ok(Response::new(shown(row)))
    }
}

fn answer(asked: v1::InputAnswer) -> Result<Answer> {
    let decision = match asked.decision() {
        v1::InputDecision::Approve => Decision::Approve,
        v1::InputDecision::Deny => Decision::Deny,
        v1::InputDecision::Result => Decision::Result,
        v1::InputDecision::Answer => Decision::Answer,
        v1::InputDecision::Unspecified | v1::InputDecision::Expired | v1::InputDecision::Cancelled => {
            let message = "decision must be approve, deny, result or answer";
            return Err(Error::invalid_field("answers", message));
        }
    };
    Ok(Answer {
        input_id: id::parse("input_id", &asked.input_id)?,
        decision,
        edited: asked.arguments.as_ref().map(structs::to_json),
        text: asked.text,
        is_error: asked.is_error,
        always: asked.always,
    })
}

fn shown(row: Input) -> v1::Input {
    v1::Input {
        input_id: row.id.to_string(),
        agent_run_id: row.run_id.to_string(),
        thread_id: row.thread_id.to_string(),
        kind: row.kind.into(),
        tool_call_id: row.tool_call_id,
        name: row.name,
        arguments: structs::parse_object(&row.arguments),
        schema: row.schema.as_deref().and_then(structs::parse_object),
        message: row.message,
        created_at: Some(timestamp(row.created_at)),
        expires_at: Some(timestamp(row.expires_at)),
        decision: row.decision.map(|decision| v1::InputDecision::from(decision).into()),
        edited_arguments: row.edited.as_deref().and_then(structs::parse_object),
        text: row.text,
        is_error: row.is_error,
        answered_at: row.answered_at.map(timestamp),
    }
}
