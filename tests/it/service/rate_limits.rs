//! Tests of rate limits per account and per address, over every protocol. A server on loopback has no limits by
//! default.

use std::{num::NonZeroU32, time::Duration};

use futures::future::join_all;
use runyard::{
    config::{Rate, RateLimit},
    v1,
    wire::status,
};
use runyard_upstream::{Script, Turn};

use crate::test_server::{Answer, on_every_database, on_every_database_with};

fn rate(per_second: u32, burst: u32) -> RateLimit {
    RateLimit::Rate(Rate {
        per_second: NonZeroU32::new(per_second).unwrap(),
        burst: NonZeroU32::new(burst).unwrap(),
    })
}

#[tokio::test]
async fn an_account_over_its_rate_limit_is_told_when_to_retry() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| config.http.rate_per_account = Some(rate(1, 5)),
        async |server| {
            let ann = server.caller("ann");
            let answers = join_all((0..40).map(|_| ann.get("/agents"))).await;
            let good = answers.iter().filter(|answer| answer.status == 200).count();
            // The limit admits a burst of five requests. On a slow machine, the token bucket refills during the test.
            assert!((5..40).contains(&good), "{good}");
            let refused = answers.into_iter().find(|answer| answer.status != 200).unwrap();
            assert_eq!(refused.header("retry-after"), "1");
            let body = refused.refused(429, "THROTTLED");
            assert_eq!(body["detail"], "too many requests from this account; retry later");

            let mut agents = ann.agents().await;
            let request = join_all((0..20).map(|_| {
                let (mut agents, request) = (agents.clone(), ann.signed(v1::ListAgentsRequest::default()));
                async move { agents.list_agents(request).await }
            }));
            let status = request.await.into_iter().find_map(Result::err).unwrap();
            assert_eq!(status.code(), tonic::Code::ResourceExhausted);
            let fault = status::read(&status);
            assert_eq!(fault.reason, "THROTTLED");
            assert!(
                fault.retry_after.is_some_and(|wait| wait <= Duration::from_secs(1)),
                "{fault:?}"
            );

            let web = join_all((0..20).map(|_| {
                let request = ann.request("POST", "/runyard.v1.AgentService/ListAgents");
                let request = request
                    .header("content-type", "application/grpc-web+proto")
                    .header("x-grpc-web", "1");
                request.body(vec![0_u8; 5]).send()
            }));
            let statuses = web
                .await
                .into_iter()
                .map(|answer| answer.unwrap().headers().get("grpc-status").cloned());
            assert!(statuses.flatten().any(|status| status == "8"));

            let bob = server.caller("bob");
            assert_eq!(bob.get("/agents").await.status, 200);
            let waited = tokio::time::timeout(crate::test_server::TEST_TIMEOUT, async {
                while ann.get("/agents").await.status != 200 {}
            });
            waited.await.unwrap();
            agents
                .list_agents(server.caller("carl").signed(v1::ListAgentsRequest::default()))
                .await
                .unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn an_address_is_limited_before_its_token_is_checked() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| config.http.rate_per_address = Some(rate(1, 5)),
        async |server| {
            let guess = async || {
                let request = server.http.get(server.url("/agents")).bearer_auth("ry_guess");
                Answer::of(request.send().await.unwrap()).await
            };
            let answers = join_all((0..40).map(|_| guess())).await;
            let refused = answers.into_iter().find(|answer| answer.status == 429).unwrap();
            let body = refused.refused(429, "THROTTLED");
            assert_eq!(body["detail"], "too many requests from this address; retry later");
            for _ in 0..20 {
                let health = server.http.get(server.url("/healthz")).send().await.unwrap();
                assert_eq!(health.status(), 200);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn loopback_has_no_rate_limits_by_default() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let ann = server.caller("ann");
            let answers = join_all((0..300).map(|_| ann.get("/agents"))).await;
            assert!(answers.iter().all(|answer| answer.status == 200));
        },
    )
    .await;
}
