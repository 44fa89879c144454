//! Tests of the search of threads by name and message.

use futures::future::join_all;
use runyard::config::Limits;
use runyard_client::v1::{self, thread_service_client::ThreadServiceClient};
use runyard_upstream::{Call, Turn};
use serde_json::{Value, json};

use super::requests::{delete, each, patch, text};
use crate::test_server::{Answer, Caller, on_every_database, on_every_database_with};

/// Creates a thread with these messages. Returns its path.
async fn thread(caller: &Caller, name: &str, messages: &[&str]) -> String {
    let made = caller.post("/threads", json!({"name": name})).await.ok();
    let path = format!("/threads/{}", text(&made, "thread_id"));
    for message in messages {
        let body = json!({"content": message});
        caller.post(&format!("{path}/messages"), body).await.ok();
    }
    path
}

/// Sends a search with further parameters.
async fn ask(caller: &Caller, search: &str, rest: &[(&str, &str)]) -> Answer {
    let all = [&[("search", search)], rest].concat();
    let url = reqwest::Url::parse_with_params("http://host/threads", all).unwrap();
    caller
        .get(&format!("/threads?{}", url.query().unwrap_or_default()))
        .await
}

async fn page(caller: &Caller, search: &str, rest: &[(&str, &str)]) -> Value {
    ask(caller, search, rest).await.ok()
}

/// Returns the names of the found threads.
async fn names(caller: &Caller, search: &str) -> Vec<Value> {
    each(&page(caller, search, &[]).await, "threads", "name")
}

#[tokio::test]
async fn threads_are_found_by_name_and_by_message_latest_activity_first() {
    on_every_database(
        |_| {
            [
                Turn::calls([Call::new("glob", &json!({"pattern": "*.secretword"}))]),
                Turn::text("The weather in Malmö is fine."),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            thread(&caller, "Sales report", &["Please count the apples.\nAnd the pears."]).await;
            thread(&caller, "Apples", &[]).await;
            let run = caller
                .post("/agent/start", json!({"prompt": "How is it in Malmö?"}))
                .await
                .ok();
            caller.ended(&run).await;
            assert_eq!(names(&caller, "apples").await, ["Apples", "Sales report"]);
            assert_eq!(names(&caller, "APPLES pea").await, ["Sales report"]);
            // All words must be in the same text.
            assert_eq!(names(&caller, "sales apples").await, [""; 0]);
            assert_eq!(
                names(&caller, "pea apples").await,
                [""; 0],
                "only the last word is a beginning"
            );
            // The answer of a model is searched, but not its tool calls and their results.
            let found = page(&caller, "weather malmö", &[]).await;
            let [thread] = found["threads"].as_array().unwrap().as_slice() else {
                panic!("{found}")
            };
            assert_eq!(thread["name"], "How is it in Malmö?");
            let parts = [
                ("The ", false),
                ("weather", true),
                (" in ", false),
                ("Malmö", true),
                (" is fine.", false),
            ];
            let parts = parts.map(|(text, is_word)| json!({"text": text, "is_word": is_word}));
            assert_eq!(thread["search_match"]["parts"], json!(parts));
            let messages = format!("/threads/{}/messages", text(&run, "thread_id"));
            let messages = caller.get(&messages).await.ok();
            let ids = each(&messages, "messages", "message_id");
            assert_eq!(Some(&thread["search_match"]["message_id"]), ids.last());
            assert_eq!(names(&caller, "secretword").await, [""; 0]);
            // A match in the name needs no snippet, and a list without a search has none.
            let found = page(&caller, "Apples", &[]).await;
            assert_eq!(found["threads"][0].get("search_match"), None);
            assert_eq!(found["threads"][1]["search_match"]["parts"][1]["text"], "apples");
            let all = page(&caller, " \n", &[]).await;
            assert_eq!(all, caller.get("/threads").await.ok());
            assert_eq!(all["threads"].as_array().unwrap().len(), 3);
            let mut grpc = ThreadServiceClient::new(caller.channel().await);
            let request = v1::ListThreadsRequest {
                search: "weather".to_owned(),
                ..Default::default()
            };
            let over_grpc = grpc.list_threads(caller.signed(request)).await.unwrap().into_inner();
            assert!(over_grpc.threads[0].search_match.as_ref().unwrap().parts[1].is_word);
        },
    )
    .await;
}

#[tokio::test]
async fn the_words_of_a_search_are_literal_and_in_any_script() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            for name in [
                "100%",
                "1000",
                "a_b",
                "axb",
                "say \"or\"",
                "C++",
                "Straße",
                "Café",
                "今天天气很好",
                "it's\\here",
            ] {
                thread(&caller, name, &[]).await;
            }
            for (search, name) in [
                ("100%", "100%"),
                ("%", "100%"),
                ("a_b", "a_b"),
                ("_", "a_b"),
                ("\\", "it's\\here"),
                ("\"or\"", "say \"or\""),
                ("c++", "C++"),
                ("STRASSE", "Straße"),
                ("straße", "Straße"),
                ("CAFE\u{301}", "Café"),
                ("天气", "今天天气很好"),
                ("it's\\", "it's\\here"),
            ] {
                assert_eq!(names(&caller, search).await, [name], "{search}");
            }
            for nothing in [
                "1%0",
                "a*",
                "axb OR a_b",
                "NOT x",
                "cafe",
                "雨",
                "'; DROP TABLE threads",
                "a:*",
            ] {
                assert_eq!(names(&caller, nothing).await, [""; 0], "{nothing}");
            }
            let long = "é".repeat(200);
            assert_eq!(names(&caller, &long).await, [""; 0]);
            for wrong in [&format!("{long}x"), "x\0"] {
                let refused = ask(&caller, wrong, &[]).await;
                refused.refused(400, "INVALID_REQUEST");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_search_finds_only_threads_of_the_account_and_of_the_project() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let first = thread(&ann, "Secret plan", &["A word."]).await;
            thread(&ann, "Second", &["Another secret."]).await;
            thread(&bob, "Bob's", &["No such thing."]).await;
            assert_eq!(names(&ann, "secret").await, ["Second", "Secret plan"]);
            assert_eq!(names(&bob, "secret").await, [""; 0]);
            let project = text(&ann.get(&first).await.ok(), "project_id").to_owned();
            let of_project = [("project_id", project.as_str())];
            assert_eq!(
                each(&page(&ann, "secret", &of_project).await, "threads", "name"),
                ["Secret plan"]
            );
            let refused = ask(&bob, "secret", &of_project).await;
            refused.refused(404, "PROJECT_NOT_FOUND");
            // A page token of another account is refused.
            let token = page(&ann, "secret", &[("page_size", "1")]).await["next_page_token"].clone();
            let query = [("page_size", "1"), ("page_token", token.as_str().unwrap())];
            let refused = ask(&bob, "secret", &query).await;
            refused.refused(400, "INVALID_PAGE_TOKEN");
            // A deleted thread and an old name are not found.
            delete(&ann, &first).await.ok();
            assert_eq!(names(&ann, "secret").await, ["Second"]);
        },
    )
    .await;
}

/// Reads all pages. Returns the names, and the number of threads of each page.
async fn all_pages(caller: &Caller, search: &str, size: &str) -> (Vec<Value>, Vec<usize>) {
    let (mut found, mut sizes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let answer = page(caller, search, &[("page_size", size), ("page_token", &token)]).await;
        let names = each(&answer, "threads", "name");
        sizes.push(names.len());
        found.extend(names);
        text(&answer, "next_page_token").clone_into(&mut token);
        if token.is_empty() {
            return (found, sizes);
        }
    }
}

#[tokio::test]
async fn a_long_history_is_searched_page_by_page() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.limits = Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            thread(&caller, "The oldest", &["needle"]).await;
            // More threads than one call reads.
            for number in 0..55 {
                join_all((0..10).map(|_| thread(&caller, "Hay", &[]))).await;
                if number % 20 == 0 {
                    thread(&caller, &format!("Needle {number}"), &[]).await;
                }
            }
            let found = ["Needle 40", "Needle 20", "Needle 0", "The oldest"];
            let (names, sizes) = all_pages(&caller, "needle", "50").await;
            assert_eq!(names, found);
            assert_eq!(sizes, [2, 2], "the bound of a call ends the first page");
            let (names, sizes) = all_pages(&caller, "needle", "1").await;
            assert_eq!(names, found);
            assert!(sizes.iter().all(|size| *size <= 1), "{sizes:?}");
            assert_eq!(all_pages(&caller, "missing", "50").await, (Vec::new(), vec![0, 0]));
        },
    )
    .await;
}

#[tokio::test]
async fn a_long_thread_is_searched_page_by_page() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            thread(&caller, "Older", &["needle"]).await;
            let path = thread(&caller, "Long", &[]).await;
            // More text than one call reads. Each character has three bytes.
            let hay = "字".repeat(10_000);
            let body = json!({ "content": hay });
            for _ in 0..250 {
                caller.post(&format!("{path}/messages"), body.clone()).await.ok();
            }
            let last = json!({"content": "The needle"});
            caller.post(&format!("{path}/messages"), last).await.ok();
            let (names, sizes) = all_pages(&caller, "needle", "50").await;
            assert_eq!(names, ["Long", "Older"]);
            assert_eq!(sizes, [0, 2], "the first call ends inside the thread");
            // A thread that moves between two calls is left out, as in the list, and the others are found.
            let first = page(&caller, "needle", &[]).await;
            patch(&caller, &path, json!({"name": "Moved"})).await.ok();
            let token = text(&first, "next_page_token");
            let second = page(&caller, "needle", &[("page_token", token)]).await;
            assert_eq!(each(&second, "threads", "name"), ["Older"]);
            let refused = ask(&caller, "other", &[("page_token", token)]).await;
            refused.refused(400, "INVALID_PAGE_TOKEN");
            // Only the beginning of a message is searched.
            let late = json!({"content": format!("{hay} lateword")});
            caller.post(&format!("{path}/messages"), late).await.ok();
            assert_eq!(all_pages(&caller, "lateword", "50").await.0, [""; 0]);
        },
    )
    .await;
}
