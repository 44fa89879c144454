//! Tests of messages that are added to unfinished runs.

use runyard_client::v1::{self, thread_service_client::ThreadServiceClient};
use runyard_upstream::{Call, Gate, Received, Script, Turn};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{
    requests::text,
    waiting::{answer, last_message, look_up, waiting},
};
use crate::test_server::{Caller, SseEvent, TestServer, assert_no_gaps, kinds, on_every_database};

/// A model that stores a fact in its first answer, and then repeats the newest user message. The gate holds the first
/// answer of each run whose prompt is "Hold.".
fn repeating(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::function(move |request| {
        let said = said(request);
        let newest = said.last().cloned().unwrap_or_default();
        match newest.as_str() {
            "Hold." if request.messages().last().unwrap()["role"] == "user" => {
                let call = Call::new("remember", &json!({"text": "A fact."}));
                Turn::calls([call]).held_by(&gate)
            }
            "Answer late." => Turn::text("First answer.").held_by(&gate),
            "Look up." if request.messages().last().unwrap()["role"] == "user" => {
                Turn::calls([Call::new("look_up", &json!({"word": "tree"}))])
            }
            newest => Turn::text(newest),
        }
    })
}

/// The texts of a request's user messages.
fn said(request: &Received) -> Vec<String> {
    let users = request.messages().iter().filter(|message| message["role"] == "user");
    // Providers receive consecutive messages of the user as one.
    users
        .flat_map(|message| message["content"].as_str().unwrap_or_default().split("\n\n"))
        .map(str::to_owned)
        .collect()
}

fn roles(request: &Received) -> Vec<&str> {
    let messages = request.messages().iter();
    messages
        .map(|message| message["role"].as_str().unwrap())
        .filter(|role| *role != "system")
        .collect()
}

async fn start(caller: &Caller, prompt: &str) -> Value {
    let body = json!({"prompt": prompt, "memory_enabled": true, "tools": [look_up()]});
    caller.post("/agent/start", body).await.ok()
}

async fn add(caller: &Caller, run: &Value, content: &str) -> Value {
    let path = format!("/threads/{}/messages", text(run, "thread_id"));
    caller.post(&path, json!({"content": content})).await.ok()
}

async fn listed(caller: &Caller, run: &Value) -> Vec<Value> {
    let path = format!("/threads/{}/messages", text(run, "thread_id"));
    caller.get(&path).await.ok()["messages"].as_array().unwrap().clone()
}

fn user_messages(events: &[SseEvent]) -> Vec<&Value> {
    let read = events.iter().filter(|event| event.event == "user_message");
    read.map(|event| &event.data["user_message"]).collect()
}

async fn completed(caller: &Caller, run: &Value) -> Vec<SseEvent> {
    let events = caller.events(run, 0).await;
    assert_no_gaps(&events, 1);
    assert_eq!(
        events.last().unwrap().data["status"]["status"],
        "completed",
        "{events:#?}"
    );
    events
}

#[tokio::test]
async fn an_added_message_reaches_the_model_at_its_next_step() {
    on_every_database(repeating, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Hold.").await;
        server.upstream.wait_for(1).await;
        let added = add(&caller, &run, "Stop after this.").await;
        assert_eq!(added["agent_run_id"], run["agent_run_id"]);
        assert_eq!(added["delivery"], "pending");
        server.gate.open();
        let events = completed(&caller, &run).await;
        let read = user_messages(&events);
        assert_eq!(
            read,
            [&json!({"message_id": added["message_id"], "text": "Stop after this."})]
        );
        // The result of the tool precedes the message, although the message is older.
        let order: Vec<&str> = kinds(&events)
            .into_iter()
            .filter(|kind| ["tool_call", "tool_result", "user_message"].contains(kind))
            .collect();
        assert_eq!(order, ["tool_call", "tool_result", "user_message"]);
        assert_eq!(last_message(&events), "Stop after this.");
        let requests = server.upstream.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(roles(&requests[1]), ["user", "assistant", "tool", "user"]);
        let messages = listed(&caller, &run).await;
        let steering = messages
            .iter()
            .find(|message| message["message_id"] == added["message_id"]);
        assert_eq!(steering.unwrap()["delivery"], "read");
        assert!(messages[0].get("delivery").is_none(), "{messages:#?}");
        // The next run reads the conversation in the same order.
        let body = json!({"prompt": "And now?", "thread_id": run["thread_id"]});
        let next = caller.post("/agent/start", body).await.ok();
        completed(&caller, &next).await;
        let requests = server.upstream.requests();
        assert_eq!(
            roles(requests.last().unwrap()),
            ["user", "assistant", "tool", "user", "assistant", "user"]
        );
        assert_eq!(
            said(requests.last().unwrap()),
            ["Hold.", "Stop after this.", "And now?"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_message_that_arrives_during_the_final_answer_continues_the_run() {
    on_every_database(repeating, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Answer late.").await;
        server.upstream.wait_for(1).await;
        let grpc = v1::AddMessageRequest {
            thread_id: text(&run, "thread_id").to_owned(),
            content: "One more thing.".to_owned(),
            ..Default::default()
        };
        let mut threads = ThreadServiceClient::new(caller.channel().await);
        let added = threads.add_message(caller.signed(grpc)).await.unwrap().into_inner();
        assert_eq!(added.delivery(), v1::MessageDelivery::Pending);
        assert_eq!(added.agent_run_id(), text(&run, "agent_run_id"));
        add(&caller, &run, "And another.").await;
        server.gate.open();
        let events = completed(&caller, &run).await;
        let texts: Vec<&Value> = events
            .iter()
            .filter(|event| event.event == "message")
            .map(|event| &event.data["message"]["text"])
            .collect();
        assert_eq!(texts, ["First answer.", "And another."]);
        assert_eq!(user_messages(&events).len(), 2);
        let requests = server.upstream.requests();
        assert_eq!(said(&requests[1]), ["Answer late.", "One more thing.", "And another."]);
        assert_eq!(roles(&requests[1]), ["user", "assistant", "user"]);
    })
    .await;
}

/// Adds a message as another process does: this process receives no signal.
async fn add_elsewhere(server: &TestServer, run: &Value, content: &str) {
    let db = server.outside().await;
    let (run_id, thread_id) = (text(run, "agent_run_id"), text(run, "thread_id"));
    let id = |id: &str| match db.get_database_backend() {
        sea_orm::DbBackend::Sqlite => format!("x'{}'", id.replace('-', "")),
        _ => format!("'{id}'"),
    };
    let message_id = uuid::Uuid::now_v7().to_string();
    let insertion = format!(
        "INSERT INTO messages (id, account_id, thread_id, run_id, turn, role, content, is_error, partial, created_at, delivery) \
         SELECT {}, account_id, thread_id, id, id, 1, '{content}', false, false, created_at, 1 FROM runs WHERE id = {}",
        id(&message_id),
        id(run_id)
    );
    let count = format!(
        "UPDATE runs SET added_messages = added_messages + 1 WHERE thread_id = {}",
        id(thread_id)
    );
    for sql in [insertion, count] {
        let changed = db.execute_unprepared(&sql).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{sql}");
    }
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_run_does_not_end_before_it_has_read_a_message_of_another_process() {
    on_every_database(repeating, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Answer late.").await;
        server.upstream.wait_for(1).await;
        add_elsewhere(server, &run, "From elsewhere.").await;
        server.gate.open();
        let events = completed(&caller, &run).await;
        assert_eq!(user_messages(&events).len(), 1, "{:?}", kinds(&events));
        assert_eq!(last_message(&events), "From elsewhere.");
        assert_eq!(kinds(&events).iter().filter(|kind| **kind == "status").count(), 2);
        let ended = caller.ended(&run).await;
        assert_eq!(ended["usage"]["steps"], 2);
    })
    .await;
}

#[tokio::test]
async fn a_run_without_steps_left_ends_with_the_message_pending() {
    on_every_database(repeating, async |server| {
        let caller = server.caller("ann");
        let body = json!({"prompt": "Answer late.", "max_steps": 1});
        let run = caller.post("/agent/start", body).await.ok();
        server.upstream.wait_for(1).await;
        let added = add(&caller, &run, "Too late.").await;
        server.gate.open();
        completed(&caller, &run).await;
        let next = json!({"prompt": "And now?", "thread_id": run["thread_id"]});
        let next = caller.post("/agent/start", next).await.ok();
        completed(&caller, &next).await;
        let requests = server.upstream.requests();
        assert_eq!(said(&requests[1]), ["Answer late.", "Too late.", "And now?"]);
        let messages = listed(&caller, &run).await;
        let pending = messages
            .iter()
            .find(|message| message["message_id"] == added["message_id"]);
        assert_eq!(pending.unwrap()["delivery"], "pending");
    })
    .await;
}

#[tokio::test]
async fn a_stopped_run_leaves_the_message_for_the_next_run() {
    on_every_database(repeating, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Hold.").await;
        server.upstream.wait_for(1).await;
        let added = add(&caller, &run, "Never mind.").await;
        let path = format!("/agent-run/{}/stop", text(&run, "agent_run_id"));
        caller.post(&path, json!({})).await.ok();
        let ended = caller.ended(&run).await;
        assert_eq!(ended["status"], "stopped");
        let messages = listed(&caller, &run).await;
        let pending = messages
            .iter()
            .find(|message| message["message_id"] == added["message_id"]);
        assert_eq!(pending.unwrap()["delivery"], "pending");
        // The thread has no unfinished run, so a message belongs to no run.
        let plain = add(&caller, &run, "Hello again.").await;
        assert_eq!(plain["agent_run_id"], Value::Null);
        assert!(plain.get("delivery").is_none(), "{plain:#?}");
        let body = json!({"prompt": "And now?", "thread_id": run["thread_id"]});
        let next = caller.post("/agent/start", body).await.ok();
        let events = completed(&caller, &next).await;
        assert_eq!(user_messages(&events).len(), 0);
        let requests = server.upstream.requests();
        assert_eq!(
            said(requests.last().unwrap()),
            ["Hold.", "Never mind.", "Hello again.", "And now?"]
        );
        server.gate.open();
    })
    .await;
}

#[tokio::test]
async fn a_waiting_run_reads_the_message_when_it_goes_on() {
    on_every_database(repeating, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Look up.").await;
        let inputs = waiting(&caller, &run).await;
        add(&caller, &run, "In one word.").await;
        let result = json!({"input_id": inputs[0]["input_id"], "decision": "result", "text": "A plant."});
        answer(&caller, &run, &[result]).await;
        let events = completed(&caller, &run).await;
        assert_eq!(user_messages(&events).len(), 1, "{:?}", kinds(&events));
        assert_eq!(last_message(&events), "In one word.");
        let requests = server.upstream.requests();
        assert_eq!(roles(&requests[1]), ["user", "assistant", "tool", "user"]);
    })
    .await;
}

#[tokio::test]
async fn a_pending_message_survives_a_restart() {
    on_every_database(repeating, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Hold.").await;
        server.upstream.wait_for(1).await;
        add(&caller, &run, "Still there?").await;
        server.restart().await;
        server.gate.open();
        let caller = server.caller("ann");
        let events = completed(&caller, &run).await;
        assert_eq!(user_messages(&events).len(), 1, "{:?}", kinds(&events));
        assert_eq!(last_message(&events), "Still there?");
    })
    .await;
}

#[tokio::test]
async fn a_message_of_the_assistant_does_not_steer() {
    on_every_database(repeating, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Hold.").await;
        server.upstream.wait_for(1).await;
        let path = format!("/threads/{}/messages", text(&run, "thread_id"));
        let body = json!({"content": "I said this.", "role": "assistant"});
        let added = caller.post(&path, body).await.ok();
        assert_eq!(added["agent_run_id"], Value::Null);
        // Another account cannot add a message to the run.
        let other = server.caller("bob");
        let body = json!({"content": "Mine."});
        other.post(&path, body).await.refused(404, "THREAD_NOT_FOUND");
        server.gate.open();
        let events = completed(&caller, &run).await;
        assert_eq!(user_messages(&events).len(), 0);
    })
    .await;
}
