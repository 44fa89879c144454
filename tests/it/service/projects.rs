//! Tests that deleting a project deletes everything in it, and that a starting server removes files that a crash left
//! behind.

use reqwest::multipart::{Form, Part};
use runyard_client::v1::{self, project_service_client::ProjectServiceClient};
use runyard_upstream::{Script, Turn};
use serde_json::json;

use super::requests::{delete, text};
use crate::test_server::{Caller, TestServer, on_every_database};

fn form() -> Form {
    Form::new()
        .text("prompt", "Look.")
        .part("files", Part::bytes(b"secret".to_vec()).file_name("notes.txt"))
}

fn workspaces(server: &TestServer) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(server.data_dir().join("workspaces")) else {
        return Vec::new();
    };
    folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

async fn count(caller: &Caller, what: &str) -> usize {
    caller.get(&format!("/{what}")).await.ok()[what]
        .as_array()
        .unwrap()
        .len()
}

#[tokio::test]
async fn deleting_a_project_deletes_everything_in_it_unless_a_run_is_running() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Aye.").held_by(&gate))
        },
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let run = caller.form("/agent/start", form()).await.ok();
            let path = format!("/projects/{}", text(&run, "project_id"));
            delete(&caller, &path).await.refused(409, "CONFLICT");
            delete(&bob, &path).await.refused(404, "PROJECT_NOT_FOUND");
            server.gate.open();
            caller.ended(&run).await;
            let kept = caller.form("/agent/start", form()).await.ok();
            caller.ended(&kept).await;
            assert_eq!(workspaces(server).len(), 2);
            let mut grpc = ProjectServiceClient::new(caller.channel().await);
            let request = v1::DeleteProjectRequest {
                project_id: text(&run, "project_id").to_owned(),
            };
            grpc.delete_project(caller.signed(request)).await.unwrap();
            assert_eq!(workspaces(server), [text(&kept, "project_id")]);
            caller.get(&path).await.refused(404, "PROJECT_NOT_FOUND");
            caller
                .get(&format!("/threads/{}", text(&run, "thread_id")))
                .await
                .refused(404, "THREAD_NOT_FOUND");
            caller
                .get(&format!("/agent-run/{}", text(&run, "agent_run_id")))
                .await
                .refused(404, "RUN_NOT_FOUND");
            caller
                .get(&format!("/sandboxes/{}", text(&run, "sandbox_id")))
                .await
                .refused(404, "SANDBOX_NOT_FOUND");
            assert_eq!(
                (count(&caller, "projects").await, count(&caller, "threads").await),
                (1, 1)
            );
            let files = caller
                .get(&format!("/sandboxes/{}/files", text(&kept, "sandbox_id")))
                .await
                .ok();
            assert_eq!(files["files"][0]["path"], "notes.txt");
        },
    )
    .await;
}

#[tokio::test]
async fn only_a_workspace_without_a_project_is_swept() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.form("/agent/start", form()).await.ok();
            caller.ended(&run).await;
            server.stop().await;
            // This simulates a crash after the commit and before the removal of the files.
            let left = server
                .data_dir()
                .join("workspaces")
                .join(uuid::Uuid::now_v7().to_string());
            std::fs::create_dir_all(left.join("deep/er")).unwrap();
            std::fs::write(left.join("deep/er/secret.txt"), "x").unwrap();
            server.restart().await;
            let swept = async {
                while left.exists() {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            };
            let swept = tokio::time::timeout(crate::test_server::TEST_TIMEOUT, swept).await;
            assert!(swept.is_ok(), "{:?} were not swept", workspaces(server));
            assert_eq!(workspaces(server), [text(&run, "project_id")]);
            let caller = server.caller("ann");
            let body = json!({"prompt": "Again.", "thread_id": run["thread_id"]});
            caller.ended(&caller.post("/agent/start", body).await.ok()).await;
        },
    )
    .await;
}
