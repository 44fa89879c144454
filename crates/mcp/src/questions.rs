//! Questions of a server in the middle of a call, and the replies with which the call continues.
//!
//! Since the protocol of 2026-07-28, a server answers a call with `input_required`: requests, and a state that it wants
//! back. The caller sends the call again with a reply to each request and with the state, on this or a later connection.
//! Invariant: questions, states and the number of rounds are bounded, because the caller stores them.

use std::collections::BTreeMap;

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ElicitRequestParams, ElicitationCapability, FormElicitationCapability,
    InputRequest, InputRequiredResult, RequestMetaObject,
};
use serde_json::{Map, Value, json};

/// Maximum number of rounds of questions per call.
pub const MAX_ROUNDS: u32 = 10;
/// Maximum number of questions per round.
pub const MAX_QUESTIONS: usize = 8;
/// Maximum size of a state in bytes.
pub const MAX_STATE_BYTES: usize = 64 * 1024;
const MAX_KEY_BYTES: usize = 256;
const MAX_MESSAGE_BYTES: usize = 8 * 1024;
const MAX_SCHEMA_BYTES: usize = 16 * 1024;

/// The questions of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Questions {
    /// At least one question.
    pub questions: Vec<Question>,
    /// The state that the server wants back. Only the server understands it.
    pub state: Option<String>,
    /// Number of rounds of the call, with this one.
    pub round: u32,
}

/// A question for the user (elicitation in the form mode).
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The server's name of the question.
    pub key: String,
    /// The question.
    pub message: String,
    /// JSON schema of the values of an answer: an object without nested objects.
    pub schema: Value,
}

/// A reply to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The user gave these values.
    Accept(Map<String, Value>),
    /// The user refused to answer.
    Decline,
    /// No answer arrived.
    Cancel,
}

/// Continues a call after its questions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Continuation {
    /// A reply to each question, by the question's key.
    pub replies: BTreeMap<String, Reply>,
    /// The state of the round.
    pub state: Option<String>,
    /// Number of rounds so far.
    pub round: u32,
}

impl Continuation {
    pub(crate) fn write(self, params: &mut CallToolRequestParams) {
        let replies = self.replies.into_iter().map(|(key, reply)| (key, reply.message()));
        let replies: BTreeMap<String, Value> = replies.collect();
        params.input_responses = (!replies.is_empty()).then_some(replies);
        params.request_state = self.state;
    }
}

impl Reply {
    fn message(self) -> Value {
        match self {
            Self::Accept(content) => json!({"action": "accept", "content": content}),
            Self::Decline => json!({"action": "decline"}),
            Self::Cancel => json!({"action": "cancel"}),
        }
    }
}

/// The metadata of a call to a server that may ask questions. Servers of earlier revisions ask on an open connection, so
/// the handshake with them announces nothing.
pub(crate) fn announced() -> RequestMetaObject {
    let mut capabilities = ClientCapabilities::default();
    capabilities.elicitation = Some(ElicitationCapability::new().with_form(FormElicitationCapability::default()));
    let mut meta = RequestMetaObject::default();
    meta.set_client_capabilities(capabilities);
    meta
}

/// Reads what a server needs in the given round. Without questions, the server only wants its state back.
///
/// # Errors
/// The reason why the call cannot continue, for the model.
pub(crate) fn read(required: InputRequiredResult, round: u32) -> Result<Questions, String> {
    let requests = required.input_requests.unwrap_or_default();
    let state = required.request_state;
    if requests.is_empty() && state.is_none() {
        return Err("its server requires input, but sent no request for it".to_owned());
    }
    if round > MAX_ROUNDS {
        return Err(format!(
            "its server requires input again after {MAX_ROUNDS} rounds, which is the maximum"
        ));
    }
    if requests.len() > MAX_QUESTIONS {
        let count = requests.len();
        return Err(format!(
            "its server sent {count} requests for input, and the maximum is {MAX_QUESTIONS}"
        ));
    }
    if state.as_ref().is_some_and(|state| state.len() > MAX_STATE_BYTES) {
        return Err(format!("its server sent a state of more than {MAX_STATE_BYTES} bytes"));
    }
    let questions = requests.into_iter().map(|(key, request)| question(key, request));
    Ok(Questions {
        questions: questions.collect::<Result<_, _>>()?,
        state,
        round,
    })
}

fn question(key: String, request: InputRequest) -> Result<Question, String> {
    let unsupported = |kind: &str| Err(format!("its server requires {kind}, which Runyard does not support"));
    let params = match request {
        InputRequest::Elicitation(request) => request.params,
        InputRequest::CreateMessage(_) => return unsupported("a call of the model (sampling)"),
        InputRequest::ListRoots(_) => return unsupported("the list of the client's folders (roots)"),
        _ => return unsupported("an unknown kind of input"),
    };
    let ElicitRequestParams::FormElicitationParams {
        message,
        requested_schema,
        ..
    } = params
    else {
        return unsupported("that the user opens an address (elicitation in the URL mode)");
    };
    let schema = serde_json::to_value(requested_schema).unwrap_or_default();
    let is_large =
        key.len() > MAX_KEY_BYTES || message.len() > MAX_MESSAGE_BYTES || schema.to_string().len() > MAX_SCHEMA_BYTES;
    if is_large {
        return Err("its server sent a question that is too large".to_owned());
    }
    Ok(Question { key, message, schema })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a panic fails the test")]

    use super::*;

    fn required(value: Value) -> InputRequiredResult {
        serde_json::from_value(value).expect("a result")
    }

    fn ask(schema: &Value) -> Value {
        json!({"method": "elicitation/create", "params": {"mode": "form", "message": "Which?", "requestedSchema": schema}})
    }

    fn colour() -> Value {
        json!({"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]})
    }

    #[test]
    fn a_question_keeps_its_message_and_its_schema() {
        let result =
            json!({"resultType": "input_required", "inputRequests": {"a": ask(&colour())}, "requestState": "s"});
        let read = read(required(result), 1).expect("questions");
        let expected = Question {
            key: "a".to_owned(),
            message: "Which?".to_owned(),
            schema: colour(),
        };
        assert_eq!((read.questions, read.state.as_deref()), (vec![expected], Some("s")));
    }

    #[test]
    fn requests_that_nobody_can_answer_are_refused() {
        let sampling = json!({"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}});
        let roots = json!({"method": "roots/list"});
        let url = json!({"method": "elicitation/create", "params": {"mode": "url", "message": "Sign in.", "url": "https://a.example"}});
        for (request, expected) in [(sampling, "sampling"), (roots, "roots"), (url, "URL mode")] {
            let result = json!({"resultType": "input_required", "inputRequests": {"a": request, "b": ask(&colour())}});
            let refused = read(required(result), 1).expect_err("a refusal");
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn questions_states_and_rounds_are_bounded() {
        let questions = |count: usize| {
            let requests = (0..count).map(|number| (number.to_string(), ask(&colour())));
            json!({"resultType": "input_required", "inputRequests": requests.collect::<Map<_, _>>()})
        };
        let state = |bytes: usize| json!({"resultType": "input_required", "requestState": "s".repeat(bytes)});
        let mut large = colour();
        large["description"] = json!("d".repeat(MAX_SCHEMA_BYTES));
        let large = json!({"resultType": "input_required", "inputRequests": {"a": ask(&large)}});
        assert!(read(required(questions(MAX_QUESTIONS)), MAX_ROUNDS).is_ok());
        assert!(read(required(state(MAX_STATE_BYTES)), 1).is_ok());
        for (result, round) in [
            (questions(MAX_QUESTIONS + 1), 1),
            (questions(1), MAX_ROUNDS + 1),
            (state(MAX_STATE_BYTES + 1), 1),
            (large, 1),
            (json!({"resultType": "input_required", "inputRequests": {}}), 1),
        ] {
            assert!(read(required(result), round).is_err());
        }
    }
}
