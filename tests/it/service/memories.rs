//! Tests of creating, listing, searching, changing and deleting memories.

use std::collections::BTreeSet;

use futures::future::join_all;
use runyard_client::v1::{self, memory_service_client::MemoryServiceClient};
use runyard_upstream::Turn;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use super::requests::{delete, each, patch, put, text};
use crate::test_server::{Caller, TestServer, on_every_database, on_every_database_with};

pub async fn agent(caller: &Caller, name: &str, memory: Value) -> String {
    let made = caller
        .post("/agents", json!({"name": name, "memory": memory}))
        .await
        .ok();
    text(&made, "agent_id").to_owned()
}

/// Creates a memory of an agent or, if `agent_id` is empty, of the account. Returns the memory's id.
pub async fn remember(caller: &Caller, agent_id: &str, fact: &str) -> String {
    let made = caller
        .post("/memories", json!({"agent_id": agent_id, "text": fact}))
        .await;
    text(&made.ok(), "memory_id").to_owned()
}

pub async fn texts(caller: &Caller, query: &str) -> Vec<Value> {
    each(
        &caller.get(&format!("/memories?{query}")).await.ok(),
        "memories",
        "text",
    )
}

#[tokio::test]
async fn a_memory_is_created_read_changed_and_deleted() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let agent_id = agent(&caller, "An agent", json!(null)).await;
            let body = json!({"agent_id": agent_id, "text": "  Ann likes blue. "});
            let made = caller.post("/memories", body).await.ok();
            assert_eq!(
                (&made["text"], &made["agent_id"], &made["agent_run_id"]),
                (&json!("Ann likes blue."), &json!(agent_id), &Value::Null)
            );
            assert_eq!(
                remember(&caller, &agent_id, "Ann likes blue.").await,
                text(&made, "memory_id")
            );
            let path = format!("/memories/{}", text(&made, "memory_id"));
            assert_eq!(caller.get(&path).await.ok(), made);
            let changed = put(&caller, &path, json!({"text": "Ann likes red."})).await.ok();
            assert_eq!(changed["text"], "Ann likes red.");
            assert!(
                changed["updated_at"].as_str() > made["updated_at"].as_str(),
                "{changed}"
            );
            assert_eq!(patch(&caller, &path, json!({})).await.ok(), changed);
            assert_eq!(texts(&caller, "search=red").await, ["Ann likes red."]);
            assert_eq!(texts(&caller, "search=blue").await, [""; 0]);
            for wrong in [
                json!({"text": null}),
                json!({"text": " "}),
                json!({"text": "x".repeat(2049)}),
            ] {
                patch(&caller, &path, wrong).await.refused(400, "INVALID_REQUEST");
            }
            patch(&caller, &path, json!({"agent_id": "x"}))
                .await
                .refused(400, "INVALID_REQUEST");
            patch(&bob, &path, json!({"text": "Mine."}))
                .await
                .refused(404, "MEMORY_NOT_FOUND");
            delete(&bob, &path).await.refused(404, "MEMORY_NOT_FOUND");
            delete(&caller, &path).await.ok();
            caller.get(&path).await.refused(404, "MEMORY_NOT_FOUND");
            delete(&caller, &path).await.refused(404, "MEMORY_NOT_FOUND");
        },
    )
    .await;
}

#[tokio::test]
async fn memories_are_created_read_changed_and_deleted_over_grpc() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let mut grpc = MemoryServiceClient::new(caller.channel().await);
            let request = v1::CreateMemoryRequest {
                text: "A fact".to_owned(),
                ..Default::default()
            };
            let made = grpc.create_memory(caller.signed(request)).await.unwrap().into_inner();
            let memory_id = made.memory_id.clone();
            let request = v1::UpdateMemoryRequest {
                memory_id: memory_id.clone(),
                text: Some("Another fact".to_owned()),
                update_mask: None,
            };
            let changed = grpc.update_memory(caller.signed(request)).await.unwrap().into_inner();
            let get = v1::GetMemoryRequest {
                memory_id: memory_id.clone(),
            };
            let read = grpc.get_memory(caller.signed(get)).await.unwrap().into_inner();
            assert_eq!((&read, read.text.as_str()), (&changed, "Another fact"));
            let request = v1::ListMemoriesRequest {
                account_only: true,
                search: "another".to_owned(),
                ..Default::default()
            };
            let listed = grpc.list_memories(caller.signed(request)).await.unwrap().into_inner();
            assert_eq!(listed.memories, [changed]);
            let request = v1::DeleteMemoryRequest { memory_id };
            grpc.delete_memory(caller.signed(request)).await.unwrap();
            let listed = grpc
                .list_memories(caller.signed(v1::ListMemoriesRequest::default()))
                .await;
            assert!(listed.unwrap().into_inner().memories.is_empty());
        },
    )
    .await;
}

#[tokio::test]
async fn a_list_contains_the_memories_of_one_holder_or_of_all() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let one = agent(&caller, "One", json!(null)).await;
            let other = agent(&caller, "Other", json!(null)).await;
            for (agent_id, fact) in [
                (one.as_str(), "blue one"),
                (&other, "blue other"),
                ("", "blue shared"),
                (&one, "red one"),
            ] {
                remember(&caller, agent_id, fact).await;
            }
            remember(&bob, "", "blue bob").await;
            assert_eq!(
                texts(&caller, "").await,
                ["red one", "blue shared", "blue other", "blue one"]
            );
            assert_eq!(
                texts(&caller, &format!("agent_id={one}")).await,
                ["red one", "blue one"]
            );
            assert_eq!(texts(&caller, "account_only=true").await, ["blue shared"]);
            assert_eq!(texts(&bob, "").await, ["blue bob"]);
            // Equally good matches are sorted by the time of their last change, newest first.
            assert_eq!(
                texts(&caller, "search=blue").await,
                ["blue shared", "blue other", "blue one"]
            );
            assert_eq!(
                texts(&caller, &format!("search=blue&agent_id={one}")).await,
                ["blue one"]
            );
            assert_eq!(texts(&caller, "search=blue&account_only=true").await, ["blue shared"]);
            assert_eq!(texts(&bob, "search=blue").await, ["blue bob"]);
            for query in ["", "search=blue", &format!("agent_id={one}"), "search=blue%20red"] {
                let (mut found, mut token) = (Vec::new(), String::new());
                loop {
                    let path = format!("/memories?{query}&page_size=1&page_token={token}");
                    let page = caller.get(&path).await.ok();
                    found.extend(each(&page, "memories", "text"));
                    text(&page, "next_page_token").clone_into(&mut token);
                    if token.is_empty() {
                        break;
                    }
                }
                assert_eq!(found, texts(&caller, query).await, "{query}");
            }
            let both = format!("/memories?account_only=true&agent_id={one}");
            caller.get(&both).await.refused(400, "INVALID_REQUEST");
            bob.get(&format!("/memories?agent_id={one}"))
                .await
                .refused(404, "AGENT_NOT_FOUND");
            let body = json!({"agent_id": one, "text": "x"});
            bob.post("/memories", body).await.refused(404, "AGENT_NOT_FOUND");
        },
    )
    .await;
}

#[tokio::test]
async fn a_search_finds_words_in_any_order_and_ranks_the_best_match_first() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            for fact in [
                "The garden has three apple trees.",
                "Ann's favourite colour is blue.",
                "她喜欢蓝色",
                "The blue garden shed needs paint.",
            ] {
                remember(&caller, "", fact).await;
            }
            let first = async |search: &str| {
                let found = texts(&caller, &format!("search={search}")).await;
                found.first().cloned().unwrap_or_default()
            };
            assert_eq!(first("BLUE%20shed").await, "The blue garden shed needs paint.");
            assert_eq!(first("tree").await, "The garden has three apple trees.");
            assert_eq!(
                first("what%20colour%20does%20ann%20like").await,
                "Ann's favourite colour is blue."
            );
            assert_eq!(first("蓝色").await, "她喜欢蓝色");
            assert_eq!(texts(&caller, "search=garden").await.len(), 2);
            for none in ["lion", "%22%27%3A*%26%7C%21%28%29", "rees", "NEAR", "-"] {
                assert_eq!(texts(&caller, &format!("search={none}")).await, [""; 0], "{none}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_number_and_the_size_of_memories_are_limited() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| {
            config.memory.max_per_agent = 2;
            config.memory.max_per_account = 3;
            config.memory.max_bytes = 10;
        },
        async |server| {
            let caller = server.caller("ann");
            let (one, other) = (
                agent(&caller, "One", json!(null)).await,
                agent(&caller, "Other", json!(null)).await,
            );
            let create = async |agent_id: &str, fact: &str| {
                let body = json!({"agent_id": agent_id, "text": fact});
                caller.post("/memories", body).await
            };
            for wrong in ["", " ", "a\u{0}b", "elevenbytes"] {
                create(&one, wrong).await.refused(400, "INVALID_REQUEST");
            }
            create(&one, "first").await.ok();
            let second = create(&one, "tenletters").await.ok();
            let refused = create(&one, "third").await.refused(409, "MEMORY_LIMIT_EXCEEDED");
            assert!(refused.to_string().contains("limit of 2 memories"), "{refused}");
            // Storing a fact again creates no new memory, so the limit does not apply.
            create(&one, "first").await.ok();
            create(&other, "first").await.ok();
            let refused = create("", "first").await.refused(409, "MEMORY_LIMIT_EXCEEDED");
            assert!(refused.to_string().contains("limit of 3 memories"), "{refused}");
            delete(&caller, &format!("/memories/{}", text(&second, "memory_id")))
                .await
                .ok();
            create("", "first").await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn concurrent_calls_create_no_memory_twice_and_stop_at_the_limit() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.memory.max_per_agent = 5,
        async |server| {
            let caller = server.caller("ann");
            let create = async |number: usize| {
                let body = json!({"text": format!("fact {}", number % 10)});
                caller.post("/memories", body).await
            };
            let answers = join_all((0..40).map(create)).await;
            let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            for answer in refused {
                answer.refused(409, "MEMORY_LIMIT_EXCEEDED");
            }
            let ids: BTreeSet<String> = made
                .iter()
                .map(|answer| text(&answer.json(), "memory_id").to_owned())
                .collect();
            assert_eq!((ids.len(), texts(&caller, "").await.len()), (5, 5));
        },
    )
    .await;
}

/// Counts the entries of the full-text index that contain a word. On SQLite, the count includes the raw blocks of the
/// index.
async fn indexed(server: &TestServer, word: &str) -> i64 {
    let db = server.outside().await;
    let counts: Vec<String> = match db.get_database_backend() {
        DbBackend::Postgres => [format!(
            "SELECT COUNT(*) FROM memories WHERE words @@ '{word}'::tsquery"
        )]
        .into(),
        _ => [
            format!("SELECT COUNT(*) FROM memories_words WHERE words LIKE '%{word}%'"),
            format!("SELECT COUNT(*) FROM memories_words_data WHERE instr(block, CAST('{word}' AS BLOB)) > 0"),
            format!("SELECT COUNT(*) FROM memories_words_content WHERE c0 LIKE '%{word}%'"),
        ]
        .into(),
    };
    let mut count = 0;
    for sql in counts {
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await.unwrap().unwrap();
        count += row.try_get_by_index::<i64>(0).unwrap();
    }
    db.close().await.unwrap();
    count
}

#[tokio::test]
async fn a_deleted_or_changed_memory_leaves_nothing_in_the_index() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let agent_id = agent(&caller, "An agent", json!(null)).await;
            for number in 0..20 {
                remember(&caller, &agent_id, &format!("fact {number} of many")).await;
            }
            let deleted = remember(&caller, &agent_id, "xylophone lessons").await;
            let changed = remember(&caller, &agent_id, "quagmire lessons").await;
            remember(&caller, &agent_id, "platypus lessons").await;
            for word in ["xylophone", "quagmire", "platypus"] {
                assert!(indexed(server, word).await > 0, "control: {word} is in the index");
            }
            delete(&caller, &format!("/memories/{deleted}")).await.ok();
            assert_eq!(indexed(server, "xylophone").await, 0);
            patch(&caller, &format!("/memories/{changed}"), json!({"text": "other"}))
                .await
                .ok();
            assert_eq!(indexed(server, "quagmire").await, 0);
            assert!(indexed(server, "platypus").await > 0);
            remember(&caller, "", "kept").await;
            delete(&caller, &format!("/agents/{agent_id}")).await.ok();
            assert_eq!(texts(&caller, "").await, ["kept"]);
            assert_eq!(indexed(server, "platypus").await, 0);
            assert_eq!(server.number("SELECT COUNT(*) FROM memories").await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn the_memory_settings_of_an_agent_are_stored_in_its_versions() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let settings = |agent: &Value| agent["current_version"]["memory"].clone();
            let made = caller.post("/agents", json!({"name": "Default"})).await.ok();
            assert_eq!(settings(&made), json!({"enabled": false, "scope": "agent"}));
            let path = format!("/agents/{}", text(&made, "agent_id"));
            let change = json!({"memory": {"enabled": true, "scope": "account"}});
            let changed = patch(&caller, &path, change.clone()).await.ok();
            assert_eq!(
                (settings(&changed), &changed["version_count"]),
                (change["memory"].clone(), &json!(2))
            );
            assert_eq!(patch(&caller, &path, change.clone()).await.ok()["version_count"], 2);
            let kept = patch(&caller, &path, json!({"system_prompt": "Other."})).await.ok();
            assert_eq!(settings(&kept), change["memory"]);
            let versions = caller.get(&format!("{path}/versions")).await.ok();
            let ids = each(&versions, "versions", "version_id");
            let compare = format!(
                "{path}/versions/{}/compare/{}",
                ids[2].as_str().unwrap(),
                ids[1].as_str().unwrap()
            );
            let compared = caller.get(&compare).await.ok();
            assert_eq!(each(&compared, "differences", "field"), ["memory"]);
            let version = caller
                .post(&format!("{path}/versions"), json!({"memory": {"enabled": true}}))
                .await;
            assert_eq!(version.ok()["memory"], json!({"enabled": true, "scope": "agent"}));
            let cleared = patch(&caller, &path, json!({"memory": null})).await.ok();
            assert_eq!(settings(&cleared), json!({"enabled": false, "scope": "agent"}));
            let wrong = json!({"name": "Wrong", "memory": {"scope": "everyone"}});
            caller.post("/agents", wrong).await.refused(400, "INVALID_REQUEST");
            let tools = async |enabled: bool| {
                patch(&caller, &path, json!({"memory": {"enabled": enabled}}))
                    .await
                    .ok();
                let tools = caller.get(&format!("{path}/tools")).await.ok();
                let recall = tools["tools"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|tool| tool["name"] == "recall");
                recall.unwrap()["enabled"].clone()
            };
            assert_eq!((tools(true).await, tools(false).await), (json!(true), json!(false)));
            let missing = format!("/memories/{}", Uuid::now_v7());
            caller.get(&missing).await.refused(404, "MEMORY_NOT_FOUND");
        },
    )
    .await;
}
