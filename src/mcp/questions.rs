//! Questions that an MCP server asks in the middle of a call, as inputs of the run, and the replies of people.

use std::collections::BTreeMap;

use runyard_mcp::{Continuation, Questions, Reply};
use serde_json::{Map, Value};

use crate::engine::{inputs, schema};

/// The questions of a call as inputs. The schemas come from a server, so they are checked as those of callers.
///
/// # Errors
/// The reason why the call cannot continue, for the model.
pub(super) fn inputs(asked: Questions) -> Result<inputs::Questions, String> {
    let mut questions = Vec::with_capacity(asked.questions.len());
    for question in asked.questions {
        schema::compile(&question.schema).map_err(|why| format!("the schema of a question of its server {why}"))?;
        questions.push(inputs::Question {
            key: question.key,
            message: question.message,
            schema: question.schema,
        });
    }
    Ok(inputs::Questions {
        questions,
        state: asked.state,
        round: asked.round,
    })
}

pub(super) fn continuation(with: &inputs::Continuation) -> Continuation {
    let replies = with.replies.iter().map(|(key, reply)| (key.clone(), message(reply)));
    let replies: BTreeMap<String, Reply> = replies.collect();
    Continuation {
        replies,
        state: with.state.clone(),
        round: with.round,
    }
}

fn message(reply: &inputs::Reply) -> Reply {
    match reply {
        inputs::Reply::Accepted(Value::Object(values)) => Reply::Accept(values.clone()),
        inputs::Reply::Accepted(_) => Reply::Accept(Map::new()),
        inputs::Reply::Declined => Reply::Decline,
        inputs::Reply::Expired => Reply::Cancel,
    }
}
