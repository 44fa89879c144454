//! Tests that the id of another account's object and a random id get equal answers, for every method, id field and
//! protocol. The requests change nothing.

use runyard::config::Limits;
use runyard_upstream::Turn;
use serde_json::Value;
use uuid::Uuid;

use super::{
    call::{Reply, call, methods, ways},
    fixtures::{Belongings, LATER, id_fields, looks_up},
};
use crate::{
    difference::assert_same_list,
    test_server::{Caller, on_every_database_with},
};

async fn everything(owner: &Caller, has: &Belongings) -> Vec<(String, String)> {
    let mut paths: Vec<String> = [
        "/agents",
        "/agent-runs",
        "/agent-runs/active",
        "/threads",
        "/threads?search=x",
        "/projects",
        "/api-keys",
        "/skills",
        "/memories",
        "/inputs",
        "/webhooks",
        "/schedules",
        "/triggers",
        "/secrets",
        "/shares",
    ]
    .map(str::to_owned)
    .to_vec();
    let sandbox = format!("/sandboxes/{}", has.id("sandbox_id"));
    paths.extend([
        format!("/agents/{}/versions", has.id("agent_id")),
        format!("/skills/{}", has.id("skill_id")),
        format!("/threads/{}/messages", has.id("thread_id")),
        format!("/agent-run/{}/stream", has.id("agent_run_id")),
        format!("{sandbox}/files?recursive=true"),
        format!("{sandbox}/files/content?path=notes.txt"),
        "/billing/account-state".to_owned(),
        "/billing/usage-history".to_owned(),
        sandbox,
    ]);
    let mut read = Vec::new();
    for path in paths {
        let mut answer = owner.get(&path).await.text;
        if path == "/webhooks" {
            // The server retries the delivery of the fixtures in the meantime.
            let mut webhooks: Value = serde_json::from_str(&answer).unwrap_or_default();
            for webhook in webhooks["webhooks"].as_array_mut().into_iter().flatten() {
                webhook["consecutive_failures"] = Value::Null;
            }
            answer = webhooks.to_string();
        }
        read.push((path, answer));
    }
    // The API has no method that reads an upload, but the answer to a repeated chunk shows the state of the upload.
    for field in ["upload_id", "files"] {
        let path = format!("/uploads/{}", has.id(field));
        let body = serde_json::json!({"offset": 0, "data": "aGVsbG8="});
        let answer = owner.request("PUT", &path).json(&body).send().await.unwrap();
        read.push((path, answer.text().await.unwrap()));
    }
    read
}

fn redacted(reply: &Reply, id: &str) -> String {
    format!("{reply:?}").replace(id, "<id>")
}

#[tokio::test]
async fn i01_an_id_of_another_account_answers_like_a_random_id() {
    on_every_database_with(
        |_| looks_up(|_| Turn::text("Yes.")),
        |config| config.limits = Limits::Off,
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let (anns, bobs) = (Belongings::of(&ann).await, Belongings::of(&bob).await);
            let before = everything(&ann, &anns).await;
            let mut tried = 0;
            for method in methods() {
                let request = bobs.request(&method);
                for field in id_fields(&method.input()) {
                    let place = request.pointer(&field.pointer);
                    assert!(
                        place.is_some(),
                        "the table's request to {} lacks {}",
                        method.name(),
                        field.pointer
                    );
                    let with = |id: &str| {
                        let mut request = request.clone();
                        *request.pointer_mut(&field.pointer).unwrap() = Value::from(id);
                        request
                    };
                    let (theirs, random) = (anns.id(&field.name).to_owned(), Uuid::now_v7().to_string());
                    for way in ways(&method) {
                        let what = format!("{}.{} over {way:?}", method.name(), field.pointer);
                        let foreign = call(&bob, &method, &with(&theirs), way).await;
                        let unknown = call(&bob, &method, &with(&random), way).await;
                        assert_eq!(redacted(&foreign, &theirs), redacted(&unknown, &random), "{what}");
                        let later = LATER.contains(&method.name());
                        assert_eq!(foreign.code() == "UNIMPLEMENTED", later, "{what}: {foreign:?}");
                        // If the id is the filter of a list, the answer may be an empty list instead of an error.
                        let empty = matches!(&foreign, Reply::Good(answers) if answers.iter().all(is_empty));
                        assert!(!foreign.is_good() || empty, "{what}: {foreign:?}");
                        tried += 1;
                    }
                }
                let what = format!("{} changed an object of another account", method.name());
                assert_same_list(&everything(&ann, &anns).await, &before, &what);
            }
            assert!(tried > 100, "{tried}");
        },
    )
    .await;
}

fn is_empty(answer: &Value) -> bool {
    let fields = answer.as_object().map(|object| {
        object
            .values()
            .all(|value| *value == "" || *value == serde_json::json!([]))
    });
    fields.unwrap_or_default()
}

#[tokio::test]
async fn i02_ids_that_do_not_belong_together_are_refused() {
    on_every_database_with(
        |_| looks_up(|_| Turn::text("Yes.")),
        |config| config.limits = Limits::Off,
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let (anns, bobs) = (Belongings::of(&ann).await, Belongings::of(&bob).await);
            let start = async |thread: &Belongings, project: &Belongings, agent: &Belongings| {
                let body = serde_json::json!({
                    "prompt": "x", "thread_id": thread.id("thread_id"), "project_id": project.id("project_id"),
                    "agent_id": agent.id("agent_id"),
                });
                ann.post("/agent/start", body).await
            };
            start(&anns, &bobs, &anns).await.refused(404, "PROJECT_NOT_FOUND");
            start(&bobs, &anns, &anns).await.refused(404, "THREAD_NOT_FOUND");
            start(&bobs, &bobs, &anns).await.refused(404, "THREAD_NOT_FOUND");
            start(&anns, &anns, &bobs).await.refused(404, "AGENT_NOT_FOUND");
            // Two ids of the same caller are also refused if they do not belong together.
            let other = ann.start("another").await;
            let body = serde_json::json!({
                "prompt": "x", "thread_id": anns.id("thread_id"), "project_id": other["project_id"],
            });
            ann.post("/agent/start", body).await.refused(404, "PROJECT_NOT_FOUND");
            let run = start(&anns, &anns, &anns).await.ok();
            ann.ended(&run).await;
        },
    )
    .await;
}
