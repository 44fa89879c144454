//! Tests of the revision of a server, which is negotiated once and then known.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::json;

use super::{
    calls, http, permit_loopback,
    raw::{RawServer, Reaction, normal},
    result, run_with,
};
use crate::test_server::on_every_database_with;

#[tokio::test]
async fn a_server_whose_revision_is_known_needs_one_round_trip_before_the_tools() {
    on_every_database_with(
        |_| calls("raw__act", json!({})),
        permit_loopback,
        async |server| {
            let (is_modern, has_session) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
            let state = (Arc::clone(&is_modern), Arc::clone(&has_session));
            let remote = RawServer::start(move |method| {
                let (is_modern, has_session) = (state.0.load(Ordering::Relaxed), &state.1);
                match method {
                    "server/discover" if is_modern => Reaction::Result(json!({
                        "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                        "ttlMs": 0, "cacheScope": "private"
                    })),
                    "initialize" if is_modern => Reaction::Status(400, "no longer supported"),
                    "initialize" => {
                        has_session.store(true, Ordering::Relaxed);
                        Reaction::Normal
                    }
                    "tools/list" | "tools/call" if is_modern => {
                        let mut result = normal(method).unwrap();
                        result["resultType"] = json!("complete");
                        if method == "tools/list" {
                            result["ttlMs"] = json!(0);
                            result["cacheScope"] = json!("private");
                        }
                        Reaction::Result(result)
                    }
                    "tools/list" if !has_session.load(Ordering::Relaxed) => Reaction::Status(400, "no session"),
                    _ => Reaction::Normal,
                }
            })
            .await;
            let caller = server.caller("ann");
            // Each run belongs to a new agent, so it has neither a cached list nor a waiting connection.
            let run = async || {
                let events = run_with(&caller, json!([http("raw", &remote.url)])).await;
                assert_eq!(result(&events)["text"], "acted", "{events:#?}");
                mem::take(&mut *remote.seen.lock().unwrap())
            };
            assert_eq!(run().await, ["server/discover", "tools/list", "tools/call"]);
            assert_eq!(run().await, ["tools/list", "tools/call"]);
            // The server changes to an earlier revision. It is negotiated again, and then known again.
            is_modern.store(false, Ordering::Relaxed);
            let session = ["initialize", "notifications/initialized", "tools/list", "tools/call"];
            let negotiated = [&["tools/list", "server/discover"][..], &session].concat();
            assert_eq!(run().await, negotiated);
            assert_eq!(run().await, session);
        },
    )
    .await;
}
