//! Documents that clients send with a prompt: the model gets their beginning, in this run and in later runs.

use std::{fs, path::Path};

use reqwest::multipart::{Form, Part};
use runyard_upstream::{Received, Script, Turn};
use serde_json::json;

use crate::test_server::{on_every_database, on_every_database_with};

fn file(name: &str) -> Part {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/documents/tests/files");
    Part::bytes(fs::read(folder.join(name)).unwrap()).file_name(name.to_owned())
}

/// Returns the text of the first message of a user in a request.
fn first_prompt(request: &Received) -> String {
    let messages = request.messages();
    let prompt = messages.iter().find(|message| message["role"] == "user").unwrap();
    prompt["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_prompt_contains_the_beginning_of_its_documents_once_parsed() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let form = Form::new()
                .text("prompt", "Summarise.")
                .part("files", file("report.pdf"))
                .part("files", file("sales.xlsx"))
                .part("files", file("locked.pdf"))
                .part("files", Part::bytes("plain".as_bytes()).file_name("notes.txt"));
            let run = caller.form("/agent/start", form).await.ok();
            assert_eq!(caller.ended(&run).await["status"], "completed");
            let prompt = first_prompt(&server.upstream.requests()[0]);
            for part in [
                "Summarise.",
                "report.pdf, sales.xlsx, locked.pdf, notes.txt",
                "<document>\nreport.pdf, 2556 bytes: PDF, 3 pages, title \"Quarterly report\"",
                "## Page 3\n\nHeading of page 3",
                "sales.xlsx, 5487 bytes: Excel (xlsx), 2 sheets",
                "| 2 | North | 12.5% | 2024-02-29 |",
                "locked.pdf, 3683 bytes: the file is protected with a password",
            ] {
                assert!(prompt.contains(part), "{part} is missing in {prompt}");
            }
            assert_eq!(prompt.matches("<document>").count(), 3, "{prompt}");

            // A later run reads the record, even if the file no longer exists.
            let sandbox = run["sandbox_id"].as_str().unwrap();
            let path = format!("/sandboxes/{sandbox}/files?path=report.pdf");
            let deleted = caller.request("DELETE", &path).send().await.unwrap();
            deleted.error_for_status().unwrap();
            let more = json!({"prompt": "And?", "thread_id": run["thread_id"]});
            let next = caller.post("/agent/start", more).await.ok();
            assert_eq!(caller.ended(&next).await["status"], "completed");
            assert_eq!(first_prompt(&server.upstream.requests()[1]), prompt);
        },
    )
    .await;
}

#[tokio::test]
async fn a_document_that_the_server_could_not_read_is_read_by_a_later_run() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| config.sandbox.bwrap = "/nowhere/bwrap".into(),
        async |server| {
            let caller = server.caller("ann");
            let form = Form::new()
                .text("prompt", "Summarise.")
                .part("files", file("report.pdf"))
                .part("files", file("locked.pdf"));
            let run = caller.form("/agent/start", form).await.ok();
            assert_eq!(caller.ended(&run).await["status"], "completed");
            let prompt = first_prompt(&server.upstream.requests()[0]);
            let refusals = prompt.matches("documents cannot be read on this server: ").count();
            assert_eq!(refusals, 2, "{prompt}");

            // The operator repairs the server.
            server.config.sandbox.bwrap = "bwrap".into();
            server.restart().await;
            let caller = server.caller("ann");
            for (number, question) in [(1, "And now?"), (2, "And again?")] {
                let more = json!({"prompt": question, "thread_id": run["thread_id"]});
                let next = caller.post("/agent/start", more).await.ok();
                assert_eq!(caller.ended(&next).await["status"], "completed");
                let prompt = first_prompt(&server.upstream.requests()[number]);
                for part in [
                    "## Page 3\n\nHeading of page 3",
                    "locked.pdf, 3683 bytes: the file is protected with a password",
                ] {
                    assert!(prompt.contains(part), "{part} is missing in {prompt}");
                }
                assert!(!prompt.contains("on this server"), "{prompt}");
            }
        },
    )
    .await;
}
