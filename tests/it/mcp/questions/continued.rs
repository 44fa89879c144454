//! Tests of calls that cannot continue after the questions of their server.

use serde_json::{Value, json};

use super::{accept, by_message, completed, decide, on_servers, started, two_questions};
use crate::{
    mcp::{asking::AskingServer, result},
    service::waiting::{answer, waiting},
};

#[tokio::test]
async fn a_continued_call_that_is_refused_is_not_reported_as_not_started() {
    on_servers(async |server| {
        let remote = AskingServer::start(|call: &Value| {
            if call["requestState"].is_null() {
                two_questions(call)
            } else {
                json!({"refused": "the state has expired"})
            }
        })
        .await;
        let caller = server.caller("ann");
        let run = started(&caller, &remote, &json!({})).await;
        let inputs = waiting(&caller, &run).await;
        let (asked, sure) = (by_message(&inputs, "Which day?"), by_message(&inputs, "Are you sure?"));
        let values = json!({"day": "Monday", "seats": 2});
        answer(&caller, &run, &[accept(asked, &values), decide(sure, "approve")]).await;
        let events = completed(&caller, &run).await;
        let result = result(&events);
        let told = result["text"].as_str().unwrap();
        assert!(
            told.starts_with("outcome unknown: ") && told.contains("the state has expired"),
            "{told}"
        );
        assert_eq!(remote.calls().len(), 2);
    })
    .await;
}
