//! Questions that a tool asks in the middle of a call, such as the elicitation of an MCP server.
//!
//! The row of an input stores the place of its question in the call, with the state that the tool wants back. The text is
//! encrypted, because a server may put anything into its state.

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Decision, Input, parsed};
use crate::{
    engine::inputs::{CallAnswer, CallDecision, CallQuestion, Continuation, Reply},
    error::{Error, Result},
    secrets::Secrets,
};

/// The model reads this if the key of [`Secrets`] has changed in the meantime.
const LOST: &str = "the call cannot continue: the state of its server can no longer be decrypted. The tool may or may not have \
                    had its effect";

#[derive(Deserialize, Serialize)]
struct Place {
    key: String,
    round: u32,
    state: Option<String>,
}

pub(super) fn sealed(secrets: &Secrets, context: &[u8], question: CallQuestion) -> Result<String> {
    let CallQuestion { key, round, state } = question;
    let text = serde_json::to_string(&Place { key, round, state });
    let text = text.map_err(|error| Error::internal("a question could not be encoded", error))?;
    secrets.seal(context, &text)
}

/// Ids of calls are unique within a run, and the state of a server is of no use for another call.
pub(super) fn context(account_id: Uuid, run_id: Uuid, tool_call_id: &str) -> Vec<u8> {
    let parts: [&[u8]; 4] = [
        b"question ",
        account_id.as_bytes(),
        run_id.as_bytes(),
        tool_call_id.as_bytes(),
    ];
    parts.concat()
}

fn opened(secrets: &Secrets, row: &Input) -> Option<Place> {
    let context = context(row.account_id, row.run_id, &row.tool_call_id);
    let text = secrets.open_sealed(&context, row.question.as_deref()?)?;
    serde_json::from_str(text.expose_secret()).ok()
}

/// The answer with which a call continues, from all its inputs. Some of them are questions. Returns `None` if an input of
/// the last round has no answer.
pub(super) fn continued(secrets: &Secrets, rows: Vec<Input>) -> Option<CallAnswer> {
    let tool_call_id = rows.first()?.tool_call_id.clone();
    let edited = rows.iter().find(|row| row.question.is_none()).and_then(edited);
    let asked = rows.into_iter().filter(|row| row.question.is_some());
    let places: Option<Vec<(Place, Input)>> = asked.map(|row| Some((opened(secrets, &row)?, row))).collect();
    let Some(places) = places else {
        return Some(CallAnswer {
            tool_call_id,
            is_consumed: false,
            decision: CallDecision::Told {
                text: LOST.to_owned(),
                is_error: true,
            },
        });
    };
    let last = places.iter().map(|(place, _)| place.round).max()?;
    let mut with = Continuation {
        replies: std::collections::BTreeMap::new(),
        state: None,
        round: last,
    };
    let mut is_consumed = false;
    for (place, row) in places.into_iter().filter(|(place, _)| place.round == last) {
        is_consumed |= row.consumed;
        with.state = with.state.or(place.state);
        with.replies.insert(place.key, reply(&row)?);
    }
    Some(CallAnswer {
        tool_call_id,
        is_consumed,
        decision: CallDecision::Continued { edited, with },
    })
}

fn reply(row: &Input) -> Option<Reply> {
    Some(match row.decision? {
        Decision::Approve | Decision::Answer | Decision::Result => Reply::Accepted(edited(row).unwrap_or_default()),
        Decision::Deny => Reply::Declined,
        Decision::Expired => Reply::Expired,
        Decision::Cancelled => return None,
    })
}

fn edited(row: &Input) -> Option<Value> {
    row.edited.as_deref().map(parsed)
}
