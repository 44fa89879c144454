//! Tests of the limits of `web_fetch`: size, time and cancellation.

use std::sync::Arc;

use serde_json::json;
use tokio::{sync::Notify, time::timeout};

use super::{
    calls, error, fetches, permit_loopback, result,
    site::{Site, endless, of_type, silent},
    text,
};
use crate::test_server::{TEST_TIMEOUT, on_every_database_with};

#[tokio::test]
async fn a_large_page_is_cut_and_the_result_says_where() {
    let site = Site::start(|_| of_type("text/plain", "0123456789".repeat(100_000))).await;
    for (arguments, max_bytes, bytes, notes) in [
        (
            json!({"url": site.url("/")}),
            1_000_000,
            65_536,
            "\nBytes 0 to 65536 of 1000000 bytes of text. The rest starts at 65536.\n",
        ),
        (
            json!({"url": site.url("/"), "start": 999_990}),
            1_000_000,
            10,
            "\nBytes 999990 to 1000000 of 1000000 bytes of text.\n",
        ),
        (
            json!({"url": site.url("/")}),
            1_005,
            1_005,
            "\nThe page has more than 1005 bytes. Only its beginning was read.\n",
        ),
    ] {
        on_every_database_with(
            |_| calls("web_fetch", &arguments),
            |config| {
                permit_loopback(config);
                config.web.max_bytes = max_bytes;
            },
            async |server| {
                let result = result(&server.caller("ann")).await;
                let (head, body) = text(&result).split_once("instructions.\n\n").unwrap();
                assert!(head.contains(notes), "{head}");
                assert_eq!(body.len(), bytes);
                assert_eq!(result["truncated"].as_bool().unwrap_or_default(), bytes != 10, "{head}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_slow_server_costs_the_call_and_not_the_run() {
    let dropped = Arc::<Notify>::default();
    let site = Site::start(move |seen| match seen.path() {
        "/silent" => silent(&dropped),
        _ => endless(),
    })
    .await;
    for (path, expected) in [
        ("/silent", "the server sent nothing for 1 seconds"),
        ("/endless", "no complete answer within 2 seconds"),
    ] {
        on_every_database_with(
            |_| fetches(&site.url(path)),
            |config| {
                permit_loopback(config);
                config.web.idle_timeout_seconds = 1;
                config.web.timeout_seconds = 2;
            },
            async |server| {
                let result = result(&server.caller("ann")).await;
                assert!(error(&result).contains(expected), "{result}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn stopping_the_run_ends_the_fetch() {
    let dropped = Arc::<Notify>::default();
    let on_drop = Arc::clone(&dropped);
    let site = Site::start(move |_| silent(&on_drop)).await;
    on_every_database_with(
        |_| fetches(&site.url("/")),
        permit_loopback,
        async |server| {
            let caller = server.caller("ann");
            let before = site.requests().len();
            let run = caller.start("x").await;
            site.reached(before + 1).await;
            let path = format!("/agent-run/{}/stop", run["agent_run_id"].as_str().unwrap());
            caller.post(&path, json!({})).await.ok();
            assert_eq!(caller.ended(&run).await["status"], "stopped");
            timeout(TEST_TIMEOUT, dropped.notified()).await.unwrap();
        },
    )
    .await;
}
