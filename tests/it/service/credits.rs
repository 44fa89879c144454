//! Tests that credits are granted, reserved and charged exactly once. A balance never falls below zero.

use std::time::Duration;

use futures::future::join_all;
use runyard::{
    config::Limits,
    ledger::{self, Book, Charge, wallet},
};
use runyard_upstream::{Call, Script, Turn};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{Caller, SseEvent, TEST_TIMEOUT, TestServer, on_every_database, on_every_database_with};

/// Price of a call to the model kortix/minimax with these numbers of tokens, in millionths of a credit.
const fn cost(input: i64, output: i64) -> i64 {
    input * 30 + output * 120
}

async fn left(caller: &Caller) -> i64 {
    caller.get("/billing/account-state").await.ok()["microcredits"]
        .as_i64()
        .unwrap()
}

/// Checks that the sum of all balances equals the balance of the wallet (book 1) in the ledger, that no balance is
/// negative, and that each entry moves credits between two different books.
async fn assert_balanced(server: &TestServer) {
    let entries = "SELECT CAST(COALESCE(SUM(CASE WHEN credited = 1 THEN microcredits ELSE 0 END), 0) - \
                   COALESCE(SUM(CASE WHEN debited = 1 THEN microcredits ELSE 0 END), 0) AS BIGINT) FROM ledger_entries";
    let balances = "SELECT CAST(COALESCE(SUM(microcredits), 0) AS BIGINT) FROM balances";
    assert_eq!(server.number(entries).await, server.number(balances).await);
    assert_eq!(
        server
            .number("SELECT COUNT(*) FROM balances WHERE microcredits < 0")
            .await,
        0
    );
    let same = "SELECT COUNT(*) FROM ledger_entries WHERE credited = debited";
    assert_eq!(server.number(same).await, 0);
}

fn usages(events: &[SseEvent]) -> Vec<&Value> {
    let usages = events.iter().filter(|event| event.event == "usage");
    usages.map(|event| &event.data["usage"]).collect()
}

#[tokio::test]
async fn tier_credits_are_granted_on_the_first_request_and_once_a_month() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let caller = server.caller("ann");
            let states = join_all((0..20).map(|_| caller.get("/billing/account-state"))).await;
            for state in states {
                let state = state.ok();
                assert_eq!(
                    (&state["credits"], &state["tier_name"]),
                    (&json!(300.0), &json!("free"))
                );
            }
            server.clock.advance(Duration::from_hours(24 * 32));
            let caller = server.caller("ann");
            let states = join_all((0..20).map(|_| caller.get("/billing/account-state"))).await;
            for state in states {
                assert_eq!(state.ok()["credits"], 600.0);
            }
            assert_eq!(server.number("SELECT COUNT(*) FROM ledger_entries").await, 2);
            assert_balanced(server).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_model_call_is_charged_from_the_usage_that_the_provider_reports() {
    on_every_database(
        |_| {
            vec![
                Turn::calls([Call::new("bash", &json!({"command": "echo kept"}))]).usage(1000, 500),
                Turn::text("Done.").usage(2000, 100),
                Turn::text("Again.").usage(10, 10),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let ended = caller.ended(&run).await;
            assert_eq!(ended["status"], "completed", "{ended}");
            let events = caller.events(&run, 0).await;
            let credits: Vec<_> = usages(&events).iter().map(|usage| usage["credits"].clone()).collect();
            assert_eq!(credits, [json!(0.09), json!(0.072)]);
            let spent = cost(1000, 500) + cost(2000, 100);
            assert_eq!(left(&caller).await, 300_000_000 - spent);
            assert_balanced(server).await;

            let other = caller.start("y").await;
            caller.ended(&other).await;
            let all = caller.get("/billing/usage-history").await.ok();
            let steps = |page: &Value| {
                let entries = page["entries"].as_array().unwrap().iter();
                entries.map(|entry| entry["step"].as_i64().unwrap()).collect::<Vec<_>>()
            };
            assert_eq!(steps(&all), [1, 2, 1]);
            let newest = &all["entries"][1];
            assert_eq!(
                (
                    &newest["input_tokens"],
                    &newest["output_tokens"],
                    &newest["credits"],
                    &newest["estimated"]
                ),
                (&json!(2000), &json!(100), &json!(0.072), &json!(false))
            );
            assert_eq!(newest["model_name"], "kortix/minimax");
            let thread = run["thread_id"].as_str().unwrap();
            let of_thread = caller
                .get(&format!("/billing/usage-history?thread_id={thread}"))
                .await
                .ok();
            assert_eq!(steps(&of_thread), [2, 1]);
            let run_id = other["agent_run_id"].as_str().unwrap();
            let of_run = caller
                .get(&format!("/billing/usage-history?agent_run_id={run_id}"))
                .await
                .ok();
            assert_eq!(steps(&of_run), [1]);
            let past = caller
                .get("/billing/usage-history?created_before=2020-01-01T00:00:00Z")
                .await
                .ok();
            assert_eq!(steps(&past), [0_i64; 0]);
            let first = caller.get("/billing/usage-history?page_size=2").await.ok();
            let token = first["next_page_token"].as_str().unwrap();
            let second = caller
                .get(&format!("/billing/usage-history?page_size=2&page_token={token}"))
                .await
                .ok();
            assert_eq!((steps(&first), steps(&second)), (vec![1, 2], vec![1]));
            let neighbour = server
                .caller("bob")
                .get(&format!("/billing/usage-history?thread_id={thread}"))
                .await;
            assert_eq!(steps(&neighbour.ok()), [0_i64; 0]);
        },
    )
    .await;
}

#[tokio::test]
async fn cached_tokens_have_their_own_price() {
    on_every_database_with(
        |_| {
            Turn::text("ok").raw_usage(json!({
                "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
                "prompt_tokens_details": {"cached_tokens": 800},
            }))
        },
        |config| config.models[0].cached_input_price = Some(0.03),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            assert_eq!(caller.ended(&run).await["status"], "completed");
            let events = caller.events(&run, 0).await;
            let usage = usages(&events)[0];
            assert_eq!(
                (&usage["cached_input_tokens"], &usage["credits"]),
                (&json!(800), &json!(0.0204))
            );
            assert_eq!(left(&caller).await, 300_000_000 - cost(200, 100) - 800 * 3);
            assert_balanced(server).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_start_without_credits_is_refused() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| {
            config.tiers[0].credits_granted = 0;
            config.tiers[0].threads = Some(0);
        },
        async |server| {
            let caller = server.caller("ann");
            // The server checks the model before the credits, and the credits before the thread limit.
            let unknown = json!({"prompt": "x", "model_name": "openai/gpt-5-nano"});
            caller
                .post("/agent/start", unknown)
                .await
                .refused(402, "MODEL_ACCESS_DENIED");
            let body = caller
                .post("/agent/start", json!({"prompt": "x"}))
                .await
                .refused(402, "INSUFFICIENT_CREDITS");
            let expected = json!({"detail": {
                "message": "Billing check failed: Insufficient credits", "error_code": "INSUFFICIENT_CREDITS",
            }});
            assert_eq!(body, expected);
            let free = json!({"prompt": "x", "model_name": "runyard/demo"});
            caller
                .post("/agent/start", free)
                .await
                .refused(402, "THREAD_LIMIT_EXCEEDED");
            let account = caller.get("/billing/account-state").await.ok()["account_id"].clone();
            let admin = server.caller_as("root", Some("super_admin"));
            let path = format!("/admin/accounts/{}/credits", account.as_str().unwrap());
            admin.post(&path, json!({"credits": 1})).await.ok();
            caller
                .post("/agent/start", json!({"prompt": "x"}))
                .await
                .refused(402, "THREAD_LIMIT_EXCEEDED");
        },
    )
    .await;
}

#[tokio::test]
async fn with_credits_for_one_run_one_of_a_hundred_starts_succeeds() {
    on_every_database_with(
        |gate| {
            Script::function({
                let gate = gate.clone();
                move |_| Turn::text("Held.").usage(10, 10).held_by(&gate)
            })
        },
        |config| {
            let tier = &mut config.tiers[0];
            (tier.credits_granted, tier.concurrent_runs, tier.threads, tier.projects) = (1, None, None, None);
        },
        async |server| {
            let caller = server.caller("ann");
            let answers = join_all((0..100).map(|_| caller.post("/agent/start", json!({"prompt": "x"})))).await;
            let (started, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!((started.len(), refused.len()), (1, 99));
            for answer in refused {
                answer.refused(402, "INSUFFICIENT_CREDITS");
            }
            server.gate.open();
            let run = started.into_iter().next().unwrap().ok();
            assert_eq!(caller.ended(&run).await["status"], "completed");
            // The unused part of the reservation was released, and only the charge was deducted.
            assert_eq!(left(&caller).await, 1_000_000 - cost(10, 10));
            assert_balanced(server).await;
            let next = caller.start("y").await;
            assert_eq!(caller.ended(&next).await["status"], "completed");
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_that_uses_up_the_credits_fails_and_keeps_its_work() {
    on_every_database_with(
        |_| {
            vec![
                Turn::calls([Call::new("write", &json!({"path": "kept.txt", "content": "kept"}))]).usage(20_000, 3_200),
                Turn::text("Never said."),
            ]
        },
        |config| config.tiers[0].credits_granted = 1,
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let ended = caller.ended(&run).await;
            assert_eq!(
                (&ended["status"], &ended["error"]["error_code"]),
                (&json!("failed"), &json!("INSUFFICIENT_CREDITS")),
                "{ended}"
            );
            // The server limited the answer to the number of tokens that the balance could pay for.
            let requests = server.upstream.requests();
            assert_eq!(requests.len(), 1);
            let most = requests[0].body["max_tokens"]
                .as_i64()
                .or(requests[0].body["max_completion_tokens"].as_i64());
            assert!(
                most.is_some_and(|most| (256..8192).contains(&most)),
                "{}",
                requests[0].body
            );
            let events = caller.events(&run, 0).await;
            assert!(events.iter().any(|event| event.event == "tool_result"), "{events:?}");
            let sandbox = ended["sandbox_id"].as_str().unwrap();
            let file = caller
                .get(&format!("/sandboxes/{sandbox}/files/content?path=kept.txt"))
                .await;
            assert_eq!((file.status, file.text.as_str()), (200, "kept"));
            assert_eq!(left(&caller).await, 1_000_000 - cost(20_000, 3_200));
            assert_balanced(server).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_hundred_concurrent_debits_stop_at_zero_and_each_counts_once() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let caller = server.caller("ann");
            let state = caller.get("/billing/account-state").await.ok();
            let account_id: Uuid = state["account_id"].as_str().unwrap().parse().unwrap();
            let runs: Vec<Uuid> = (0..4).map(|_| Uuid::now_v7()).collect();
            let debit = |run_id: Uuid, step: i32, microcredits: i64| {
                let app = server.app().clone();
                async move {
                    let charge = Charge {
                        book: Book::Wallet,
                        account_id,
                        run_id,
                        thread_id: run_id,
                        step,
                        model: "kortix/minimax".to_owned(),
                        input_tokens: 1,
                        output_tokens: 1,
                        estimated: false,
                        microcredits,
                    };
                    let tx = app.db.begin("test").await.unwrap();
                    ledger::charge::write(&tx, &[&charge], &app.clock).await.unwrap();
                    tx.commit().await.unwrap();
                }
            };
            // A hundred debits with only two different step numbers charge each step once.
            join_all((0..100).map(|number| debit(runs[0], number % 2, 1_000_000))).await;
            assert_eq!(left(&caller).await, 298_000_000);
            // The next hundred debits are for different steps. In total, they cost about twice the remaining balance.
            join_all((0..100).map(|number| debit(runs[1], number, 6_000_000))).await;
            assert_eq!(left(&caller).await, 0);
            assert_eq!(
                server
                    .number("SELECT COUNT(*) FROM ledger_entries WHERE step IS NOT NULL")
                    .await,
                102
            );
            let missing = server
                .number("SELECT CAST(SUM(uncollected) AS BIGINT) FROM ledger_entries")
                .await;
            assert_eq!(missing, 600_000_000 - 298_000_000);
            assert_balanced(server).await;
            let tx = server.app().db.begin("test").await.unwrap();
            wallet::lock(server.app(), &tx, account_id).await.unwrap();
            let below =
                sea_orm::ConnectionTrait::execute_unprepared(&tx, "UPDATE balances SET microcredits = -1").await;
            assert!(below.is_err());
        },
    )
    .await;
}

#[tokio::test]
async fn a_resumed_run_is_charged_once_for_each_step() {
    on_every_database(
        |gate| {
            vec![
                Turn::calls([Call::new("bash", &json!({"command": "true"}))]).usage(100, 100),
                Turn::text("Lost.").usage(100, 100).held_by(gate),
                Turn::text("Done.").usage(200, 200),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            server.upstream.wait_for(2).await;
            server.restart().await;
            let caller = server.caller("ann");
            let ended = caller.ended(&run).await;
            assert_eq!(ended["status"], "completed", "{ended}");
            let usage = caller.get("/billing/usage-history").await.ok();
            let charged: Vec<_> = usage["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["step"].clone())
                .collect();
            assert_eq!(charged, [json!(2), json!(1)]);
            assert_eq!(left(&caller).await, 300_000_000 - cost(100, 100) - cost(200, 200));
            assert_balanced(server).await;
        },
    )
    .await;
}

#[tokio::test]
async fn missing_or_implausible_usage_is_estimated_and_charged() {
    for usage in [
        None,
        Some(json!({"prompt_tokens": -5, "completion_tokens": -5})),
        Some(
            json!({"prompt_tokens": 9_223_372_036_854_775_807_u64, "completion_tokens": 9_223_372_036_854_775_807_u64}),
        ),
        Some(json!({"prompt_tokens": "NaN", "completion_tokens": null})),
    ] {
        on_every_database(
            |_| {
                let turn = Turn::text("Some words that are worth something.");
                match &usage {
                    None => turn.without_usage(),
                    Some(usage) => turn.raw_usage(usage.clone()),
                }
            },
            async |server| {
                let caller = server.caller("ann");
                let run = caller.start("x").await;
                let events = caller.events(&run, 0).await;
                let usages = usages(&events);
                assert_eq!(
                    (usages.len(), &usages[0]["estimated"]),
                    (1, &json!(true)),
                    "{usage:?} {events:?}"
                );
                let charged = 300_000_000 - left(&caller).await;
                assert!((1..3_000_000).contains(&charged), "{usage:?}: {charged}");
                let history = caller.get("/billing/usage-history").await.ok();
                assert_eq!(history["entries"][0]["estimated"], true);
                assert_balanced(server).await;
            },
        )
        .await;
    }
}

#[tokio::test]
async fn with_limits_off_nothing_is_charged() {
    on_every_database_with(
        |_| Turn::text("ok").usage(1000, 1000),
        |config| {
            config.limits = Limits::Off;
            config.tiers[0].credits_granted = 0;
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let ended = caller.ended(&run).await;
            assert_eq!(ended["status"], "completed");
            // Although the limits are off, the server records the usage of the run and its price.
            let credits = ledger::in_credits(cost(1000, 1000));
            assert_eq!(
                ended["usage"],
                json!({"steps": 1, "input_tokens": 1000, "output_tokens": 1000, "credits": credits})
            );
            let events = caller.events(&run, 0).await;
            assert_eq!(usages(&events)[0]["credits"], credits);
            let history = caller.get("/billing/usage-history").await.ok();
            let entries = history["entries"].as_array().unwrap();
            assert_eq!(entries.len(), 1, "{history}");
            assert_eq!(entries[0]["agent_run_id"], run["agent_run_id"]);
            assert_eq!(
                (&entries[0]["input_tokens"], &entries[0]["credits"]),
                (&json!(1000), &json!(credits))
            );
            assert_balanced(server).await;
            let state = caller.get("/billing/account-state").await.ok();
            assert_eq!(
                (&state["concurrent_runs"]["limit"], &state["credits"]),
                (&Value::Null, &json!(0.0))
            );
        },
    )
    .await;
}

#[tokio::test]
async fn the_account_state_reports_usage_and_limits() {
    on_every_database(
        |gate| Turn::text("ok").held_by(gate),
        async |server| {
            let caller = server.caller("ann");
            caller.post("/agents", json!({"name": "Mine"})).await.ok();
            let run = caller.start("x").await;
            let state = caller.get("/billing/account-state").await.ok();
            for (name, used, limit) in [
                ("concurrent_runs", 1, 1),
                ("agents", 1, 3),
                ("threads", 1, 10),
                ("projects", 1, 20),
            ] {
                assert_eq!(state[name], json!({"used": used, "limit": limit}), "{name}");
            }
            assert_eq!(state["max_upload_bytes"], 10_000_000);
            let model = |name: &str| {
                let models = state["models"].as_array().unwrap();
                models.iter().find(|model| model["model_name"] == name).unwrap().clone()
            };
            let minimax = model("kortix/minimax");
            assert_eq!(
                (&minimax["allowed"], &minimax["downgraded_to"]),
                (&json!(true), &Value::Null)
            );
            let basic = model("kortix/basic");
            assert_eq!(
                (&basic["allowed"], &basic["downgraded_to"]),
                (&json!(false), &json!("kortix/minimax"))
            );
            assert_eq!(model("anthropic/claude-3.5-sonnet")["allowed"], false);
            server.gate.open();
            caller.ended(&run).await;
            assert_eq!(
                caller.get("/billing/account-state").await.ok()["concurrent_runs"]["used"],
                0
            );
        },
    )
    .await;
}

#[tokio::test]
async fn icon_generation_is_charged_like_any_model_call() {
    let good = r##"{"icon_name": "scale", "icon_color": "#112233", "icon_background": "#FFEEDD"}"##;
    on_every_database(
        |_| {
            [
                Turn::text(good).usage(100, 10),
                Turn::text(good).without_usage(),
                Turn::status(400),
                Turn::text("x").usage(1_000_000_000, 1_000_000_000),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let ask = async || caller.post("/agents/generate-icon", json!({"name": "Lawyer"})).await;
            let before = left(&caller).await;
            assert_eq!(ask().await.ok()["icon_name"], "scale");
            assert_eq!(left(&caller).await, before - cost(100, 10));
            let listed = caller.get("/billing/usage-history").await.ok();
            let entry = &listed["entries"][0];
            assert_eq!(
                (
                    &entry["agent_run_id"],
                    &entry["model_name"],
                    &entry["input_tokens"],
                    &entry["estimated"]
                ),
                (&json!(""), &json!("kortix/minimax"), &json!(100), &json!(false))
            );
            // If the provider reports no usage, the server estimates the tokens from the text.
            ask().await.ok();
            let listed = caller.get("/billing/usage-history").await.ok();
            let (entry, then) = (&listed["entries"][0], left(&caller).await);
            assert_eq!(entry["estimated"], true);
            let tokens = |name: &str| entry[name].as_i64().unwrap();
            assert!(tokens("input_tokens") > 100 && tokens("output_tokens") > 10, "{entry}");
            let estimated = cost(tokens("input_tokens"), tokens("output_tokens"));
            assert_eq!(then, before - cost(100, 10) - estimated);
            // A failed call costs nothing. If a call costs more than the balance, the server charges the whole
            // balance.
            ask().await.ok();
            assert_eq!(left(&caller).await, then);
            ask().await.ok();
            assert_eq!(left(&caller).await, 0);
            assert_balanced(server).await;
            let asked = server.upstream.count();
            ask().await.refused(402, "INSUFFICIENT_CREDITS");
            assert_eq!(server.upstream.count(), asked, "the model should not be called");
        },
    )
    .await;
}

#[tokio::test]
async fn icon_generation_does_not_spend_credits_reserved_by_runs() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |received| match received.number {
                0 => Turn::text("ok").held_by(&gate),
                _ => Turn::text("ok").usage(100, 10),
            })
        },
        // The grant is smaller than the maximum cost of a call, so the run reserves the whole balance.
        |config| config.tiers[0].credits_granted = 1,
        async |server| {
            let caller = server.caller("ann");
            let ask = async || caller.post("/agents/generate-icon", json!({"name": "Lawyer"})).await;
            let run = caller.start("x").await;
            server.upstream.wait_for(1).await;
            ask().await.refused(402, "INSUFFICIENT_CREDITS");
            assert_eq!(server.upstream.count(), 1, "the model should not be called");
            server.gate.open();
            caller.ended(&run).await;
            ask().await.ok();
            assert_eq!(server.upstream.count(), 2);
            assert_balanced(server).await;
        },
    )
    .await;
}

#[tokio::test]
async fn concurrent_icon_requests_reach_the_model_only_while_credits_last() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("ok").usage(100_000, 100_000).held_by(&gate))
        },
        |config| config.tiers[0].credits_granted = 1,
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let state = ann.get("/billing/account-state").await.ok();
            let account_id = state["account_id"].as_str().unwrap().parse().unwrap();
            let ask = async |caller: &Caller| caller.post("/agents/generate-icon", json!({"name": "Lawyer"})).await;
            let all = join_all((0..20).map(|_| ask(&ann)));
            let (answers, others) = tokio::join!(all, async {
                let all = async {
                    while server.app().model_call_queues.length(account_id) < 20 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::time::timeout(TEST_TIMEOUT, all)
                    .await
                    .expect("all twenty requests should queue up");
                server.upstream.wait_for(1).await;
                let others = tokio::spawn({
                    let bob = bob.clone();
                    async move { bob.post("/agents/generate-icon", json!({"name": "Cook"})).await }
                });
                // A request of one account does not wait in the queue of another account.
                server.upstream.wait_for(2).await;
                server.gate.open();
                others.await.unwrap()
            });
            others.ok();
            let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!((made.len(), server.upstream.count()), (1, 2));
            for answer in refused {
                answer.refused(402, "INSUFFICIENT_CREDITS");
            }
            assert_balanced(server).await;
        },
    )
    .await;
}
