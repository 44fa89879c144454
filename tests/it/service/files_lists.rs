//! Tests that lists of large folders are read in pages, need little memory, and do not delay other accounts.

use futures::future::join_all;
use runyard::error::Code;
use runyard_upstream::{Call, Turn};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::requests::{delete, each, text};
use crate::{
    difference::assert_same_list,
    test_server::{Caller, TestServer, on_every_database},
};

/// Runs a command in a new sandbox. Returns the API path of the sandbox's files.
async fn sandbox(server: &TestServer, caller: &Caller, command: &str) -> String {
    server.upstream.push([
        Turn::calls([Call::new("bash", &json!({"command": command}))]),
        Turn::text("Done."),
    ]);
    let run = caller.start("Go.").await;
    assert_eq!(caller.ended(&run).await["status"], "completed");
    let project = caller
        .get(&format!("/projects/{}", text(&run, "project_id")))
        .await
        .ok();
    format!("/sandboxes/{}", text(&project, "sandbox_id"))
}

/// Returns the paths on all pages of a list. Calls `between` after the first page.
async fn paths(caller: &Caller, list: &str, between: impl AsyncFn(&Value)) -> Vec<String> {
    let (mut paths, mut token) = (Vec::new(), String::new());
    loop {
        let page = caller.get(&format!("{list}&page_token={token}")).await.ok();
        for path in each(&page, "files", "path") {
            paths.push(path.as_str().unwrap().to_owned());
        }
        if token.is_empty() {
            between(&page).await;
        }
        text(&page, "next_page_token").clone_into(&mut token);
        if token.is_empty() {
            return paths;
        }
    }
}

#[tokio::test]
async fn the_pages_of_a_folder_contain_each_entry_once() {
    on_every_database(
        |_| Vec::<Turn>::new(),
        async |server| {
            let caller = server.caller("ann");
            let command = "mkdir -p a/b a-b c; touch a/1 a/2 a/b/3 a-b/4 'a b' c/5 z; cd c; seq -w 500 | xargs touch";
            let files = format!("{}/files", sandbox(server, &caller, command).await);
            let nothing = async |_: &Value| {};
            for depth in ["recursive=true", "recursive=false"] {
                let whole = paths(&caller, &format!("{files}?{depth}&page_size=1000"), nothing).await;
                for size in [1, 7, 200] {
                    let list = format!("{files}?{depth}&page_size={size}");
                    if size > 1 || depth == "recursive=false" {
                        assert_same_list(&paths(&caller, &list, nothing).await, &whole, &list);
                    }
                }
            }
            let whole = paths(&caller, &format!("{files}?recursive=true&page_size=1000"), nothing).await;
            let numbers = (1..=500).map(|number| format!("c/{number:03}"));
            let mut of_c: Vec<String> = numbers.chain(["c/5".to_owned()]).collect();
            of_c.sort();
            let before = ["a", "a/1", "a/2", "a/b", "a/b/3", "a b", "a-b", "a-b/4", "c"];
            let expected = before.into_iter().chain(of_c.iter().map(String::as_str));
            let expected: Vec<&str> = expected.chain(["output", "z"]).collect();
            assert_same_list(&whole, &expected, "the whole workspace");
            let below = paths(&caller, &format!("{files}?path=a&recursive=true&page_size=2"), nothing).await;
            assert_eq!(below, ["a/1", "a/2", "a/b", "a/b/3"]);

            // The client deletes the last file of a page before it requests the next page.
            let pages = format!("{files}?path=c&page_size=100");
            let rest = paths(&caller, &pages, async |page| {
                let last = each(page, "files", "path").pop().unwrap();
                let gone = format!("{files}?path={}", last.as_str().unwrap());
                delete(&caller, &gone).await.ok();
            })
            .await;
            assert_same_list(&rest, &of_c, "pages of a folder that shrinks");
        },
    )
    .await;
}

#[tokio::test]
async fn an_account_walks_one_folder_at_a_time_and_delays_no_other_account() {
    on_every_database(
        |_| Vec::<Turn>::new(),
        async |server| {
            let walks = server.app().walks.clone();
            let (ann, bob) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
            let (release, held) = oneshot::channel::<()>();
            let (begun, has_begun) = oneshot::channel();
            let long = tokio::spawn({
                let walks = walks.clone();
                async move {
                    let walk = move || {
                        begun.send(()).unwrap();
                        drop(held.blocking_recv());
                        Ok::<_, runyard::Error>(())
                    };
                    walks.run(ann, walk).await
                }
            });
            has_begun.await.unwrap();
            let next = tokio::spawn({
                let walks = walks.clone();
                async move { walks.run(ann, || Ok::<_, runyard::Error>(())).await }
            });
            join_all((0..50).map(|_| walks.run(bob, || Ok::<_, runyard::Error>(()))))
                .await
                .into_iter()
                .for_each(|walked| walked.unwrap());
            assert!(!next.is_finished());
            // If a caller disconnects, its walk through a folder continues, so the next walk of this account still
            // waits. A walk of another account does not wait.
            long.abort();
            walks.run(bob, || Ok::<_, runyard::Error>(())).await.unwrap();
            assert!(!next.is_finished());
            release.send(()).unwrap();
            next.await.unwrap().unwrap();
            // If the queue is full, the server refuses a request with a retryable error.
            let places = join_all((0..5).map(|_| walks.archive(ann))).await;
            assert_eq!(places.iter().filter(|place| place.is_ok()).count(), 4);
            let refused = places.into_iter().find_map(Result::err).unwrap();
            assert_eq!(refused.code(), Code::Unavailable);
        },
    )
    .await;
}

#[tokio::test]
async fn the_workspace_size_follows_changes_by_callers() {
    on_every_database(
        |_| Vec::<Turn>::new(),
        async |server| {
            let caller = server.caller("ann");
            let sandbox = sandbox(server, &caller, "head -c 100000 /dev/zero > big").await;
            let used = async || caller.get(&sandbox).await.ok()["used_bytes"].as_i64().unwrap();
            let sizes = join_all((0..100).map(|_| used())).await;
            assert!(
                sizes.iter().all(|size| *size == sizes[0] && *size >= 100_000),
                "{sizes:?}"
            );
            delete(&caller, &format!("{sandbox}/files?path=big")).await.ok();
            assert!(used().await < 100_000);
        },
    )
    .await;
}
