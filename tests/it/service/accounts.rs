//! Tests that the first request of a subject creates an account, that an account cannot access the objects of another
//! account, and that only the listed paths are public.

use futures::future::join_all;
use runyard_upstream::{Script, Turn};
use serde_json::json;
use uuid::Uuid;

use crate::test_server::{Answer, on_every_database};

#[tokio::test]
async fn another_accounts_ids_answer_like_random_ids() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let agent = ann.post("/agents", json!({"name": "Mine"})).await.ok();
            let run = ann.start("x").await;
            ann.ended(&run).await;
            for (path, id) in [
                ("/agents/{}", &agent["agent_id"]),
                ("/agent-run/{}", &run["agent_run_id"]),
                ("/agent-run/{}/stream", &run["agent_run_id"]),
                ("/threads/{}", &run["thread_id"]),
                ("/threads/{}/messages", &run["thread_id"]),
                ("/thread/{}/agent-runs", &run["thread_id"]),
                ("/projects/{}", &run["project_id"]),
            ] {
                let mine = ann.get(&path.replace("{}", id.as_str().unwrap())).await;
                assert_eq!(mine.status, 200, "{path}");
                let theirs = bob.get(&path.replace("{}", id.as_str().unwrap())).await;
                let random = bob.get(&path.replace("{}", &Uuid::now_v7().to_string())).await;
                assert_eq!((theirs.status, &theirs.text), (404, &random.text), "{path}");
                assert_eq!(theirs.header("x-error-code"), random.header("x-error-code"));
            }
            let stop = |id: String| {
                let bob = bob.clone();
                async move { bob.post(&format!("/agent-run/{id}/stop"), json!({})).await }
            };
            let theirs = stop(run["agent_run_id"].as_str().unwrap().to_owned()).await;
            assert_eq!(theirs.text, stop(Uuid::now_v7().to_string()).await.text);
            let used = bob
                .post("/agent/start", json!({"prompt": "x", "agent_id": agent["agent_id"]}))
                .await;
            used.refused(404, "AGENT_NOT_FOUND");
        },
    )
    .await;
}

#[tokio::test]
async fn a_hundred_concurrent_first_requests_create_one_account() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let caller = server.caller("new");
            let answers = join_all((0..100).map(|_| caller.get("/agents"))).await;
            assert!(answers.iter().all(|answer| answer.status == 200));
            // An account may have three agents. If the requests had created two accounts, a fourth agent would
            // succeed.
            let made = join_all((0..6).map(|_| caller.post("/agents", json!({"name": "An agent"})))).await;
            assert_eq!(made.iter().filter(|answer| answer.status == 200).count(), 3);
        },
    )
    .await;
}

#[tokio::test]
async fn only_listed_paths_are_public() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let open = async |path: &str| Answer::of(server.http.get(server.url(path)).send().await.unwrap()).await;
            for path in ["/", "/healthz", "/readyz", "/openapi.json"] {
                assert_eq!(open(path).await.status, 200, "{path}");
            }
            for path in [
                "/metrics",
                "/agents",
                "/v1/agents",
                "/agent-runs/active",
                "/nothing",
                "/healthz/x",
            ] {
                assert_eq!(open(path).await.status, 401, "{path}");
            }
            server
                .caller("ann")
                .get("/metrics")
                .await
                .refused(403, "PERMISSION_DENIED");
            let admin = server.caller_as("root", Some("super_admin"));
            let metrics = admin.get("/metrics").await;
            assert_eq!(metrics.status, 200);
            assert!(
                metrics
                    .text
                    .contains("runyard_requests_total{protocol=\"http\",status=\"401\"}"),
                "{}",
                metrics.text
            );
        },
    )
    .await;
}
