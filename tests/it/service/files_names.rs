//! Tests of hostile file names, size limits, and aborted uploads.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use runyard_upstream::{Call, Script, Turn};
use serde_json::{Value, json};

use super::requests::{each, text};
use crate::test_server::{Caller, TestServer, on_every_database, on_every_database_with};

fn part(name: &str, content: &str) -> Part {
    Part::bytes(content.to_owned().into_bytes()).file_name(name.to_owned())
}

async fn names(caller: &Caller, run: &Value) -> Vec<Value> {
    let files = caller
        .get(&format!("/sandboxes/{}/files", text(run, "sandbox_id")))
        .await
        .ok();
    each(&files, "files", "path")
}

fn staged(server: &TestServer) -> usize {
    std::fs::read_dir(server.data_dir().join("uploads")).map_or(0, Iterator::count)
}

async fn nothing_staged(server: &TestServer) {
    let empty = async {
        while staged(server) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::test_server::TEST_TIMEOUT, empty)
        .await
        .expect("no upload should remain staged");
}

#[tokio::test]
async fn u01_hostile_names_stay_inside_the_workspace() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let hostile = [
                "../../etc/x",
                "..\\..\\y",
                "/abs",
                "C:\\z",
                "a/../../b",
                "%2e%2e%2f",
                "a\tb",
                "..",
                ".",
                "CON",
                "dot.",
                "-rf",
                ".git/hooks/pre-commit",
                ".bashrc",
            ];
            let mut form = Form::new().text("prompt", "Look.");
            for name in hostile {
                form = form.part("files", part(name, "x"));
            }
            form = form.part("files", part(&format!("{}.csv", "n".repeat(255)), "x"));
            let run = caller.form("/agent/start", form).await.ok();
            caller.ended(&run).await;
            let names = names(&caller, &run).await;
            // The workspace contains one file for each hostile name, one file with a long name, and the folder
            // `output`. Nothing is outside the workspace.
            assert_eq!(names.len(), hostile.len() + 2, "{names:?}");
            for name in &names {
                let name = name.as_str().unwrap();
                let plain = !name.starts_with(['.', '-']) && !name.contains(['/', '\\', '\t']) && name.len() <= 255;
                assert!(plain && !name.is_empty(), "{name:?}");
            }
            let mut above: Vec<_> = std::fs::read_dir(server.data_dir().join("workspaces"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            above.sort();
            assert_eq!(above, [text(&run, "project_id")]);
            let messages = caller
                .get(&format!("/threads/{}/messages", text(&run, "thread_id")))
                .await
                .ok();
            assert_eq!(
                messages["messages"][0]["files"].as_array().unwrap().len(),
                hostile.len() + 1
            );
        },
    )
    .await;
}

#[tokio::test]
async fn u02_two_unicode_spellings_of_a_name_are_one_name() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let form = Form::new()
                .text("prompt", "Look.")
                .part("files", part("u\u{308}ber.txt", "one"))
                .part("files", part("\u{fc}ber.txt", "two"))
                .part("files", part("\u{fc}b\u{200b}er.txt", "three"))
                .part("files", part("a\u{202e}vsc.exe", "four"));
            let run = caller.form("/agent/start", form).await.ok();
            caller.ended(&run).await;
            let expected = [
                "avsc.exe",
                "output",
                "\u{fc}ber-2.txt",
                "\u{fc}ber-3.txt",
                "\u{fc}ber.txt",
            ];
            assert_eq!(names(&caller, &run).await, expected);
            let form = Form::new()
                .text("prompt", "Again.")
                .text("thread_id", text(&run, "thread_id").to_owned())
                .part("files", part("u\u{308}ber.txt", "five"));
            caller.ended(&caller.form("/agent/start", form).await.ok()).await;
            let content = |name: &str| {
                let path = format!(
                    "/sandboxes/{}/files/content?path=%C3%BC{name}",
                    text(&run, "sandbox_id")
                );
                let caller = caller.clone();
                async move { caller.get(&path).await.text }
            };
            for (name, text) in [
                ("ber.txt", "one"),
                ("ber-2.txt", "two"),
                ("ber-3.txt", "three"),
                ("ber-4.txt", "five"),
            ] {
                assert_eq!(content(name).await, text);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn u03_an_upload_does_not_follow_a_link_made_by_the_agent() {
    let make = json!({"command": "ln -s /etc/passwd a; mkdir b; echo mine > c"});
    on_every_database(
        |_| {
            [
                Turn::calls([Call::new("bash", &make)]),
                Turn::text("ok"),
                Turn::text("ok"),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("Go.").await;
            caller.ended(&run).await;
            let before = std::fs::read("/etc/passwd").unwrap();
            let mut form = Form::new()
                .text("prompt", "Look.")
                .text("thread_id", text(&run, "thread_id").to_owned());
            for name in ["a", "b", "c"] {
                form = form.part("files", part(name, "uploaded"));
            }
            let run = caller.form("/agent/start", form).await.ok();
            caller.ended(&run).await;
            assert_eq!(
                names(&caller, &run).await,
                ["a", "a-2", "b", "b-2", "c", "c-2", "output"]
            );
            assert_eq!(std::fs::read("/etc/passwd").unwrap(), before);
            let content = caller
                .get(&format!("/sandboxes/{}/files/content?path=c", text(&run, "sandbox_id")))
                .await;
            assert_eq!(content.text, "mine\n");
        },
    )
    .await;
}

#[tokio::test]
async fn u04_the_size_limit_is_exact_without_a_declared_length() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| config.tiers[0].max_upload_bytes = 100_000,
        async |server| {
            let caller = server.caller("ann");
            // The form has no declared length. The server stops reading when the form exceeds the limit.
            let form = |bytes: usize| {
                let pieces = vec![Bytes::from(vec![b'x'; 1000]); bytes / 1000].into_iter();
                let rest = Bytes::from(vec![b'x'; bytes % 1000]);
                let body = Body::wrap_stream(stream::iter(pieces.chain([rest]).map(Ok::<_, std::io::Error>)));
                Form::new()
                    .text("prompt", "x")
                    .part("files", Part::stream(body).file_name("big.bin"))
            };
            caller
                .form("/agent/start", form(100_001))
                .await
                .refused(413, "TOO_LARGE");
            nothing_staged(server).await;
            for bytes in [99_999, 100_000] {
                let run = caller.form("/agent/start", form(bytes)).await.ok();
                caller.ended(&run).await;
                let files = caller
                    .get(&format!("/sandboxes/{}/files", text(&run, "sandbox_id")))
                    .await
                    .ok();
                assert_eq!(files["files"][0]["size"], bytes);
            }
            let mut many = Form::new().text("prompt", "x");
            for number in 0..101 {
                many = many.part("files", part(&format!("{number}"), "x"));
            }
            caller.form("/agent/start", many).await.refused(400, "INVALID_REQUEST");
            nothing_staged(server).await;
        },
    )
    .await;
}

#[tokio::test]
async fn u11_an_aborted_upload_leaves_nothing_behind() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let (more, pieces) = tokio::sync::mpsc::channel::<Bytes>(1);
            let pieces = stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
            let body = Body::wrap_stream(pieces.map(Ok::<_, std::io::Error>));
            let form = Form::new()
                .text("prompt", "x")
                .part("files", Part::stream(body).file_name("half.bin"));
            let sending = tokio::spawn(caller.request("POST", "/agent/start").multipart(form).send());
            for _ in 0..4 {
                more.send(Bytes::from(vec![b'x'; 100_000])).await.unwrap();
            }
            let begun = async {
                while staged(server) == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(crate::test_server::TEST_TIMEOUT, begun)
                .await
                .expect("the upload should begin");
            sending.abort();
            drop(more);
            nothing_staged(server).await;
            assert!(
                caller.get("/threads").await.ok()["threads"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
            let run = caller.form(
                "/agent/start",
                Form::new().text("prompt", "x").part("files", part("whole.txt", "x")),
            );
            caller.ended(&run.await.ok()).await;
        },
    )
    .await;
}
