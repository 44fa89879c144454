//! Tests that each filter of a list selects the documented rows, and that each `order_by` gives the documented order.

use std::time::Duration;

use runyard::v1;
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use serde_json::{Value, json};

use super::requests::{each, patch, text};
use crate::test_server::{Caller, on_every_database, on_every_database_with};

/// Time between the creation of two rows, so that their order is unambiguous.
const APART: Duration = Duration::from_mins(1);

async fn listed(caller: &Caller, path: &str, (list, field): (&str, &str)) -> Vec<Value> {
    each(&caller.get(path).await.ok(), list, field)
}

/// Returns a script that completes the run, fails it or keeps it running, depending on the prompt.
fn three_ends(gate: &runyard_upstream::Gate) -> Script {
    let gate = gate.clone();
    Script::function(move |request| match request.last_text() {
        "complete" => Turn::text("Done.").usage(10, 1),
        "fail" => Turn::status(400).body("no"),
        _ => Turn::text("Held.").held_by(&gate),
    })
}

#[tokio::test]
async fn runs_are_filtered_by_thread_status_and_time() {
    on_every_database(three_ends, async |server| {
        let caller = server.caller("ann");
        let mut runs = Vec::new();
        for prompt in ["complete", "fail"] {
            runs.push(caller.ended(&caller.start(prompt).await).await);
            server.clock.advance(APART);
        }
        let first_thread = text(&runs[0], "thread_id").to_owned();
        let request = json!({"prompt": "hold", "thread_id": first_thread});
        let held = caller.post("/agent/start", request).await.ok();
        let path = format!("/agent-run/{}", text(&held, "agent_run_id"));
        runs.push(caller.get(&path).await.ok());
        let ids: Vec<&Value> = runs.iter().map(|run| &run["agent_run_id"]).collect();
        let (complete, fail, held) = (ids[0], ids[1], ids[2]);
        let [_, second, third] = [0, 1, 2].map(|at: usize| text(&runs[at], "created_at"));

        for (query, wanted) in [
            (String::new(), vec![held, fail, complete]),
            (format!("thread_id={first_thread}"), vec![held, complete]),
            ("status=completed".to_owned(), vec![complete]),
            ("status=failed".to_owned(), vec![fail]),
            ("status=running".to_owned(), vec![held]),
            ("status=stopped".to_owned(), vec![]),
            // `created_after` is inclusive, `created_before` exclusive.
            (format!("created_after={second}"), vec![held, fail]),
            (format!("created_before={second}"), vec![complete]),
            (format!("created_after={second}&created_before={third}"), vec![fail]),
            ("created_after=2100-01-01T00:00:00Z".to_owned(), vec![]),
            (
                format!("thread_id={first_thread}&status=completed&created_before={second}"),
                vec![complete],
            ),
            (format!("thread_id={first_thread}&status=failed"), vec![]),
        ] {
            let found = listed(&caller, &format!("/agent-runs?{query}"), ("agent_runs", "agent_run_id")).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{query}");
        }
        let path = format!("/thread/{first_thread}/agent-runs?status=running");
        let found = listed(&caller, &path, ("agent_runs", "agent_run_id")).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), [held]);

        let request = v1::ListRunsRequest {
            status: v1::RunStatus::Failed.into(),
            ..Default::default()
        };
        let answer = caller.runs().await.list_runs(caller.signed(request)).await.unwrap();
        let found: Vec<_> = answer
            .get_ref()
            .agent_runs
            .iter()
            .map(|run| &run.agent_run_id)
            .collect();
        assert_eq!(found, [fail.as_str().unwrap()]);
        server.gate.open();
    })
    .await;
}

#[tokio::test]
async fn charges_are_filtered_by_thread_run_and_time() {
    on_every_database(three_ends, async |server| {
        let caller = server.caller("ann");
        let mut runs = Vec::new();
        for _ in 0..3 {
            runs.push(caller.ended(&caller.start("complete").await).await);
            server.clock.advance(APART);
        }
        let all = caller.get("/billing/usage-history").await.ok();
        let times: Vec<&str> = all["entries"]
            .as_array()
            .unwrap()
            .iter()
            .rev()
            .map(|entry| text(entry, "created_at"))
            .collect();
        let ids: Vec<&Value> = runs.iter().map(|run| &run["agent_run_id"]).collect();
        for (query, wanted) in [
            (String::new(), vec![ids[2], ids[1], ids[0]]),
            (format!("thread_id={}", text(&runs[1], "thread_id")), vec![ids[1]]),
            (format!("agent_run_id={}", text(&runs[2], "agent_run_id")), vec![ids[2]]),
            ("created_before=2020-01-01T00:00:00Z".to_owned(), vec![]),
            ("created_after=2100-01-01T00:00:00Z".to_owned(), vec![]),
            (
                "createdAfter=2020-01-01T00:00:00Z".to_owned(),
                vec![ids[2], ids[1], ids[0]],
            ),
            (format!("created_after={}", times[1]), vec![ids[2], ids[1]]),
            (format!("created_before={}", times[1]), vec![ids[0]]),
            (
                format!("created_after={}&created_before={}", times[1], times[2]),
                vec![ids[1]],
            ),
        ] {
            let path = format!("/billing/usage-history?{query}");
            let found = listed(&caller, &path, ("entries", "agent_run_id")).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn agents_are_listed_in_the_requested_order() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.tiers[0].agents = None,
        async |server| {
            let caller = server.caller("ann");
            let mut paths = Vec::new();
            for name in ["Berta", "Carla", "Anna"] {
                let agent = caller.post("/agents", json!({"name": name})).await.ok();
                paths.push(format!("/agents/{}", text(&agent, "agent_id")));
                server.clock.advance(APART);
            }
            // The agent Berta, which was created first, now has the latest update.
            patch(&caller, &paths[0], json!({"description": "changed"})).await.ok();
            for (order, wanted) in [
                ("", ["Anna", "Carla", "Berta"]),
                ("created_at", ["Berta", "Carla", "Anna"]),
                ("created_at desc", ["Anna", "Carla", "Berta"]),
                ("updated_at", ["Carla", "Anna", "Berta"]),
                ("updated_at desc", ["Berta", "Anna", "Carla"]),
                ("name", ["Anna", "Berta", "Carla"]),
                ("name desc", ["Carla", "Berta", "Anna"]),
            ] {
                let path = format!("/agents?order_by={}", order.replace(' ', "%20"));
                assert_eq!(listed(&caller, &path, ("agents", "name")).await, wanted, "{order}");
                let request = v1::ListAgentsRequest {
                    order_by: order.to_owned(),
                    ..Default::default()
                };
                let answer = caller.agents().await.list_agents(caller.signed(request)).await.unwrap();
                let names: Vec<_> = answer
                    .get_ref()
                    .agents
                    .iter()
                    .map(|agent| agent.name.as_str())
                    .collect();
                assert_eq!(names, wanted, "{order}");
            }
            for wrong in ["age", "name asc", "desc"] {
                let path = format!("/agents?order_by={}", wrong.replace(' ', "%20"));
                caller.get(&path).await.refused(400, "INVALID_REQUEST");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn unused_uploads_and_deleted_agents_are_found_by_an_index() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let is_postgres = server.config.database_url.is_some();
            // Without `enable_seqscan = off`, PostgreSQL would scan the tables, because they are small in a test.
            let tx = server.outside().await.begin().await.unwrap();
            if is_postgres {
                tx.execute_unprepared("SET LOCAL enable_seqscan = off").await.unwrap();
            }
            for (index, query) in [
                (
                    "uploads_waiting",
                    "SELECT COUNT(id), SUM(size), MIN(created_at) FROM uploads \
                     WHERE account_id = '00000000-0000-0000-0000-000000000000' AND run_id IS NULL",
                ),
                (
                    "agents_deleted",
                    "SELECT id FROM agents WHERE deleted_at IS NOT NULL AND id NOT IN \
                     (SELECT agent_id FROM runs WHERE status = 1 AND agent_id IS NOT NULL) LIMIT 500",
                ),
            ] {
                let explain = if is_postgres { "EXPLAIN" } else { "EXPLAIN QUERY PLAN" };
                let column = if is_postgres { "QUERY PLAN" } else { "detail" };
                let statement = Statement::from_string(tx.get_database_backend(), format!("{explain} {query}"));
                let rows = tx.query_all_raw(statement).await.unwrap();
                let plan: Vec<String> = rows.iter().map(|row| row.try_get("", column).unwrap()).collect();
                assert!(plan.iter().any(|line| line.contains(index)), "{plan:#?}");
            }
        },
    )
    .await;
}
