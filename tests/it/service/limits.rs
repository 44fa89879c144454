//! Tests of plan limits: the documented refusals over HTTP and gRPC, and exact limits under concurrent requests.

use runyard::{v1, wire::status};
use runyard_upstream::{Script, Turn};
use serde_json::json;

use crate::test_server::{Answer, on_every_database, on_every_database_with};

#[tokio::test]
async fn a_refusal_has_the_same_details_over_grpc() {
    on_every_database(
        |gate| Turn::text("Held.").held_by(gate),
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("x").await;
            let request = v1::StartRunRequest {
                prompt: Some("y".to_owned()),
                ..Default::default()
            };
            let status = caller.runs().await.start_run(caller.signed(request)).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::ResourceExhausted);
            let fault = status::read(&status);
            assert_eq!(fault.reason, "AGENT_RUN_LIMIT_EXCEEDED");
            let refusal = fault.refusal.unwrap();
            assert_eq!(refusal.running_thread_ids, [first["thread_id"].as_str().unwrap()]);
            assert_eq!((refusal.running_count, refusal.limit), (Some(1), Some(1)));
            server.gate.open();
            caller.ended(&first).await;
            caller.ended(&caller.start("z").await).await;
        },
    )
    .await;
}

#[tokio::test]
async fn the_plan_limits_threads_and_models() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("Yes.")),
        |config| config.tiers[0].threads = Some(2),
        async |server| {
            let caller = server.caller("ann");
            for _ in 0..2 {
                caller.ended(&caller.start("x").await).await;
            }
            let body = caller
                .post("/agent/start", json!({"prompt": "x"}))
                .await
                .refused(402, "THREAD_LIMIT_EXCEEDED");
            let expected = json!({"detail": {
                "message": "Maximum of 2 threads allowed.", "current_count": 2, "limit": 2,
                "error_code": "THREAD_LIMIT_EXCEEDED",
            }});
            assert_eq!(body, expected);

            let other = server.caller("bob");
            let request = json!({"prompt": "x", "model_name": "openai/gpt-5-nano-2025-08-07"});
            let body = other
                .post("/agent/start", request)
                .await
                .refused(402, "MODEL_ACCESS_DENIED");
            let expected = json!({"detail": {
                "message": "Your current subscription plan does not include access to openai/gpt-5-nano-2025-08-07. \
                            Please upgrade your subscription.",
                "tier_name": "free", "error_code": "MODEL_ACCESS_DENIED",
            }});
            assert_eq!(body, expected);
            let request = json!({"prompt": "x", "model_name": "kortix/basic"});
            let run = other.post("/agent/start", request).await.ok();
            let ended = other.ended(&run).await;
            assert_eq!(
                (&ended["model_requested"], &ended["model_name"]),
                (&json!("kortix/basic"), &json!("kortix/minimax"))
            );
            let notices = other.events(&run, 0).await;
            assert!(
                notices
                    .iter()
                    .any(|event| event.data["notice"]["kind"] == "model_downgraded"),
                "{notices:?}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn with_limits_off_nothing_is_limited() {
    on_every_database_with(
        |gate| {
            Script::function({
                let gate = gate.clone();
                move |_| Turn::text("Yes.").held_by(&gate)
            })
        },
        |config| config.limits = runyard::config::Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            for _ in 0..5 {
                caller.start("x").await;
            }
            let request = json!({"prompt": "x", "model_name": "openai/gpt-5-nano"});
            caller.post("/agent/start", request).await.ok();
            server.gate.open();
            // The file size limit of the tier does not apply. The server accepts any file up to the maximum size of a
            // form.
            let state = caller.get("/billing/account-state").await.ok();
            assert_eq!(state["max_upload_bytes"], 1_073_741_824);
            let announce = async |size: u64| {
                let request = json!({"name": "large.bin", "size": size.to_string()});
                caller.post("/uploads", request).await
            };
            announce(1_073_741_824).await.ok();
            announce(1_073_741_825).await.refused(413, "TOO_LARGE");
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_times_out_after_the_limit_of_its_tier() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Held.").held_by(&gate))
        },
        |config| config.tiers[0].run_timeout_seconds = Some(1),
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let root = server.caller_as("root", Some("super_admin"));
            let account = bob.get("/billing/account-state").await.ok()["account_id"].clone();
            let path = format!("/admin/accounts/{}/tier", account.as_str().unwrap());
            let request = root.request("PUT", &path).json(&json!({"tier_name": "pro"}));
            Answer::of(request.send().await.unwrap()).await.ok();
            // The run with the longer time limit starts first, but the run with the shorter limit times out first.
            let long = bob.start("x").await;
            server.upstream.wait_for(1).await;
            let ended = ann.ended(&ann.start("x").await).await;
            assert_eq!(
                (&ended["status"], &ended["error"]["error_code"]),
                (&json!("failed"), &json!("RUN_TIMEOUT"))
            );
            server.gate.open();
            assert_eq!(bob.ended(&long).await["status"], "completed");
        },
    )
    .await;
}

#[tokio::test]
async fn l09_a_tier_change_applies_to_new_starts_and_not_to_running_runs() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Yes.").held_by(&gate))
        },
        async |server| {
            let (ann, root) = (server.caller("ann"), server.caller_as("root", Some("super_admin")));
            let account = ann.get("/billing/account-state").await.ok()["account_id"].clone();
            let set = async |tier: &str| {
                let path = format!("/admin/accounts/{}/tier", account.as_str().unwrap());
                let request = root.request("PUT", &path).json(&json!({"tier_name": tier}));
                Answer::of(request.send().await.unwrap()).await.ok();
            };
            let request = json!({"prompt": "x", "model_name": "openai/gpt-5-nano"});
            ann.post("/agent/start", request.clone())
                .await
                .refused(402, "MODEL_ACCESS_DENIED");
            set("pro").await;
            let runs = [
                ann.post("/agent/start", request.clone()).await.ok(),
                ann.post("/agent/start", request.clone()).await.ok(),
            ];
            set("free").await;
            // The account has two running runs, one more than the new plan allows. Both runs continue.
            let detail = ann
                .post("/agent/start", json!({"prompt": "x"}))
                .await
                .refused(402, "AGENT_RUN_LIMIT_EXCEEDED")["detail"]
                .clone();
            assert_eq!((&detail["running_count"], &detail["limit"]), (&json!(2), &json!(1)));
            server.gate.open();
            for run in &runs {
                let ended = ann.ended(run).await;
                assert_eq!(
                    (&ended["status"], &ended["model_name"]),
                    (&json!("completed"), &json!("openai/gpt-5-nano"))
                );
            }
            ann.post("/agent/start", request)
                .await
                .refused(402, "MODEL_ACCESS_DENIED");
            ann.ended(&ann.post("/agent/start", json!({"prompt": "x"})).await.ok())
                .await;
        },
    )
    .await;
}
