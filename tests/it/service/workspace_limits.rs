//! Tests that a workspace never exceeds its size limit, with any kind of upload.

use futures::future::join_all;
use reqwest::multipart::{Form, Part};
use runyard::{
    config::{Config, Limits},
    v1,
};
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};
use uuid::Uuid;

use super::requests::{delete, text};
use crate::test_server::{Answer, Caller, TestServer, on_every_database_with};

const LIMIT: i64 = 1_000_000;

fn echo() -> Script {
    Script::function(|_| Turn::text("Yes."))
}

fn small(config: &mut Config) {
    config.limits = Limits::Off;
    config.sandbox.max_workspace_bytes = u64::try_from(LIMIT).unwrap();
}

fn form(bytes: usize, ids: &[(&'static str, &str)]) -> Form {
    let part = Part::bytes(vec![b'x'; bytes]).file_name("data.bin");
    let form = Form::new().text("prompt", "Look.").part("files", part);
    ids.iter()
        .fold(form, |form, (name, id)| form.text(*name, (*id).to_owned()))
}

async fn start(caller: &Caller, bytes: usize, ids: &[(&'static str, &str)]) -> Answer {
    caller.form("/agent/start", form(bytes, ids)).await
}

async fn upload(caller: &Caller, bytes: usize) -> String {
    let upload = caller
        .post("/uploads", json!({"name": "data.bin", "size": bytes}))
        .await
        .ok();
    let mut offset = 0;
    for chunk in vec![b'x'; bytes].chunks(500_000) {
        use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
        let body = json!({"offset": offset, "data": BASE64.encode(chunk)});
        let path = format!("/uploads/{}", text(&upload, "upload_id"));
        super::requests::put(caller, &path, body).await.ok();
        offset += chunk.len();
    }
    text(&upload, "upload_id").to_owned()
}

async fn sandbox_of(caller: &Caller, project_id: &str) -> Value {
    let project = caller.get(&format!("/projects/{project_id}")).await.ok();
    let path = format!("/sandboxes/{}", text(&project, "sandbox_id"));
    caller.get(&path).await.ok()
}

fn staged(server: &TestServer) -> usize {
    std::fs::read_dir(server.data_dir().join("uploads")).unwrap().count()
}

#[tokio::test]
async fn a_form_over_the_workspace_limit_is_refused_and_leaves_nothing() {
    on_every_database_with(
        |_| echo(),
        small,
        async |server| {
            let caller = server.caller("ann");
            start(&caller, 1_000_001, &[]).await.refused(413, "TOO_LARGE");
            let threads = caller.get("/threads").await.ok();
            assert_eq!(
                threads["threads"],
                json!([]),
                "the refused start should create no thread"
            );
            let run = start(&caller, 400_000, &[]).await.ok();
            let thread = [("thread_id", text(&run, "thread_id"))];
            start(&caller, 400_000, &thread).await.ok();
            let refused = start(&caller, 400_000, &thread).await.refused(413, "TOO_LARGE");
            assert!(refused.to_string().contains("workspace"), "{refused}");
            assert_eq!(staged(server), 0, "the refused file should be deleted");
            let project = text(&run, "project_id");
            let sandbox = sandbox_of(&caller, project).await;
            assert!(sandbox["used_bytes"].as_i64().unwrap() <= LIMIT, "{sandbox}");
            // A smaller file fits. After a deletion, a large file fits again.
            start(&caller, 100_000, &thread).await.ok();
            let file = format!("/sandboxes/{}/files?path=data.bin", text(&sandbox, "sandbox_id"));
            delete(&caller, &file).await.ok();
            start(&caller, 400_000, &thread).await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn a_refused_start_over_grpc_keeps_its_uploads() {
    on_every_database_with(
        |_| echo(),
        small,
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, 600_000, &[]).await.ok();
            let upload_id = upload(&caller, 600_000).await;
            let mut runs = caller.runs().await;
            let ask = v1::StartRunRequest {
                prompt: Some("Look.".to_owned()),
                thread_id: text(&run, "thread_id").to_owned(),
                files: vec![upload_id.clone()],
                ..v1::StartRunRequest::default()
            };
            let refused = runs.start_run(caller.signed(ask.clone())).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
            let elsewhere = v1::StartRunRequest {
                thread_id: String::new(),
                ..ask
            };
            runs.start_run(caller.signed(elsewhere)).await.unwrap();
            assert_eq!(staged(server), 0);
        },
    )
    .await;
}

#[tokio::test]
async fn concurrent_starts_share_the_workspace_limit() {
    on_every_database_with(
        |_| echo(),
        small,
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, 10, &[]).await.ok();
            let project = text(&run, "project_id").to_owned();
            // Half of the requests contain the id of an existing thread, and the other half a new thread id.
            let answers = join_all((0..8).map(|number| {
                let (caller, project) = (&caller, &project);
                let thread = text(&run, "thread_id").to_owned();
                async move {
                    let fresh = Uuid::now_v7().to_string();
                    let ids = if number % 2 == 0 {
                        vec![("thread_id", thread.as_str())]
                    } else {
                        vec![
                            ("thread_id", fresh.as_str()),
                            ("project_id", project),
                            ("optimistic", "true"),
                        ]
                    };
                    start(caller, 300_000, &ids).await
                }
            }))
            .await;
            let started = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!(started, 3, "three files of 300,000 bytes should fit");
            for answer in answers.into_iter().filter(|answer| answer.status != 200) {
                answer.refused(413, "TOO_LARGE");
            }
            let sandbox = sandbox_of(&caller, &project).await;
            assert!(sandbox["used_bytes"].as_i64().unwrap() <= LIMIT, "{sandbox}");
        },
    )
    .await;
}

#[tokio::test]
async fn written_files_and_starts_share_the_workspace_limit() {
    on_every_database_with(
        |_| echo(),
        small,
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, 10, &[]).await.ok();
            let project = text(&run, "project_id").to_owned();
            let sandbox = sandbox_of(&caller, &project).await;
            let files = format!("/sandboxes/{}/files", text(&sandbox, "sandbox_id"));
            let uploads = join_all((0..4).map(|_| upload(&caller, 300_000))).await;
            let writes = uploads.iter().enumerate().map(|(number, upload_id)| {
                let body = json!({"path": format!("written-{number}"), "upload_id": upload_id});
                let (caller, files) = (&caller, &files);
                async move { caller.post(files, body).await }
            });
            let thread = [("thread_id", text(&run, "thread_id"))];
            let starts = (0..4).map(|_| start(&caller, 300_000, &thread));
            let (written, started) = tokio::join!(join_all(writes), join_all(starts));
            let fit = written
                .iter()
                .chain(&started)
                .filter(|answer| answer.status == 200)
                .count();
            assert_eq!(fit, 3, "three files of 300,000 bytes should fit");
            let sandbox = sandbox_of(&caller, &project).await;
            assert!(sandbox["used_bytes"].as_i64().unwrap() <= LIMIT, "{sandbox}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_workspace_has_a_maximum_number_of_files() {
    on_every_database_with(
        |_| echo(),
        |config| config.sandbox.max_workspace_files = 3,
        async |server| {
            let caller = server.caller("ann");
            // The folder `output` exists from the start and counts towards the limit as one entry.
            let run = start(&caller, 10, &[]).await.ok();
            caller.ended(&run).await;
            let thread = [("thread_id", text(&run, "thread_id"))];
            let run = start(&caller, 10, &thread).await.ok();
            caller.ended(&run).await;
            start(&caller, 10, &thread).await.refused(413, "TOO_LARGE");
        },
    )
    .await;
}
