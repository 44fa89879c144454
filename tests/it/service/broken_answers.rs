//! Tests of broken model streams: the server calls the model again. Data that a provider needs in later requests is
//! stored with the message.

use runyard::{
    accounts::Scope,
    llm::{Carried, ChatMessage},
    threads::{
        NewMessage, history,
        messages::{self, Belongs},
    },
    v1::MessageRole,
};
use runyard_upstream::{Script, Turn};
use sea_orm::{ActiveModelTrait, IntoActiveModel};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{Caller, assert_no_gaps, on_every_database};

async fn messages_of(caller: &Caller, run: &Value) -> Vec<Value> {
    let path = format!("/threads/{}/messages", run["thread_id"].as_str().unwrap());
    caller.get(&path).await.ok()["messages"].as_array().unwrap().clone()
}

/// Returns the role and text of each message except system messages.
fn conversation(request: &runyard_upstream::Received) -> Vec<(&str, &str)> {
    let messages = request.messages().iter();
    let messages = messages.map(|message| {
        (
            message["role"].as_str().unwrap(),
            message["content"].as_str().unwrap_or_default(),
        )
    });
    messages.filter(|(role, _)| *role != "system").collect()
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_kept_and_requested_again() {
    on_every_database(
        |_| {
            [
                Turn::words(10).cut_after(3),
                Turn::text("Whole."),
                Turn::text("And more."),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            assert_eq!(caller.ended(&run).await["status"], "completed");
            let stored = messages_of(&caller, &run).await;
            let partial: Vec<&Value> = stored.iter().map(|message| &message["partial"]).collect();
            assert_eq!(partial, [&json!(false), &json!(true), &json!(false)], "{stored:?}");
            assert_eq!(stored[2]["content"], "Whole.");
            let events = caller.events(&run, 0).await;
            let notice = events.iter().find(|event| event.event == "notice").unwrap();
            assert_eq!(notice.data["notice"]["kind"], "provider_retried");
            // The broken call and its repetition are both charged, and the next request does not contain the partial
            // answer.
            assert_eq!(caller.ended(&run).await["usage"]["steps"], 2);
            let body = json!({"prompt": "y", "thread_id": run["thread_id"]});
            let next = caller.post("/agent/start", body).await.ok();
            assert_eq!(caller.ended(&next).await["status"], "completed");
            let requests = server.upstream.requests();
            assert_eq!(
                conversation(&requests[2]),
                [("user", "x"), ("assistant", "Whole."), ("user", "y")]
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_restart_after_an_answer_broke_off_requests_it_again() {
    on_every_database(
        |gate| {
            Script::function({
                let gate = gate.clone();
                move |received| match received.number {
                    0 => Turn::words(10).cut_after(3),
                    1 => Turn::text("Never.").held_by(&gate),
                    _ => Turn::text("After all."),
                }
            })
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            server.upstream.wait_for(2).await;
            server.restart().await;
            let caller = server.caller("ann");
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(events.last().unwrap().data["status"]["status"], "completed");
            let stored = messages_of(&caller, &run).await;
            assert_eq!(stored.last().unwrap()["content"], "After all.");
            let requests = server.upstream.requests();
            assert_eq!(conversation(requests.last().unwrap()), [("user", "x")]);
            server.gate.open();
        },
    )
    .await;
}

#[tokio::test]
async fn the_value_that_a_provider_wants_back_is_stored_and_never_shown() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            caller.ended(&run).await;
            let account_id = caller.get("/billing/account-state").await.ok()["account_id"].clone();
            let id = |value: &Value| -> Uuid { value.as_str().unwrap().parse().unwrap() };
            let (account_id, thread_id) = (id(&account_id), id(&run["thread_id"]));
            let run_id = id(&run["agent_run_id"]);
            // The value contains a NUL character, which PostgreSQL's JSON types cannot store.
            let value = json!({"signature": "SIGNED", "text": "a\u{0}b", "number": 1e30});
            let carried = Carried {
                provider: "default".to_owned(),
                family: "test".to_owned(),
                value,
            };
            let mut message = NewMessage::text(Uuid::now_v7(), MessageRole::Assistant, "Signed.".to_owned());
            message.carried = Some(carried.clone());
            let belongs = Belongs {
                account_id,
                thread_id,
                run_id: Some(run_id),
            };
            let row = messages::row(belongs, message, server.app().clock.now()).unwrap();
            let outside = server.outside().await;
            row.into_active_model().insert(&outside).await.unwrap();

            let scope = Scope::account(account_id);
            let past = history::load(server.app().db.read(), scope, (thread_id, run_id), 100_000).await;
            let found = past.unwrap().messages.into_iter().find_map(|message| match message {
                ChatMessage::Assistant { text, carried, .. } if text == "Signed." => carried,
                _ => None,
            });
            assert_eq!(found, Some(carried));
            let shown = messages_of(&caller, &run).await;
            assert_eq!(shown.last().unwrap()["content"], "Signed.");
            assert!(!json!(shown).to_string().contains("SIGNED"), "{shown:?}");
        },
    )
    .await;
}
