//! Tests of `runyard backup` and `runyard restore` with the real program.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    program::{OPEN, Program},
    requests::text,
};
use crate::test_server::{Answer, TEST_TIMEOUT, databases};

fn settings(url: Option<&str>) -> String {
    url.map_or(OPEN.to_owned(), |url| format!("database_url = \"{url}\"\n{OPEN}"))
}

/// Executes a run. Returns it after its end.
async fn run(program: &Program) -> Value {
    let body = json!({"prompt": "hello", "mode": "code"});
    let started = program
        .request("POST", "/agent/start")
        .json(&body)
        .send()
        .await
        .unwrap();
    let run = Answer::of(started).await.ok();
    events(program, &run).await;
    run
}

async fn events(program: &Program, run: &Value) -> String {
    let path = format!("/agent-run/{}/stream", text(run, "agent_run_id"));
    let stream = program
        .request("GET", &path)
        .timeout(TEST_TIMEOUT)
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), 200);
    stream.text().await.unwrap()
}

fn entries(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_restored() {
    for database in databases() {
        let (made, other) = (database.make().await, database.make().await);
        let url = |made: &Option<crate::test_server::Made>| made.as_ref().map(|made| made.direct.clone());
        let (folder, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let program = Program::start(folder.path(), &settings(url(&made).as_deref())).await;
        let first = run(&program).await;
        let secret = json!({"name": "KEY", "value": "a value of the tests", "hosts": ["a.example.com"]});
        let created = program.request("POST", "/secrets").json(&secret).send().await.unwrap();
        Answer::of(created).await.ok();
        let streamed = events(&program, &first).await;

        let backup = second.path().join("backup");
        let (out, errors) = program.command(&["backup", backup.to_str().unwrap()]).await;
        assert_eq!(out.trim(), backup.to_str().unwrap(), "{errors}");
        let name = if made.is_some() { "runyard.dump" } else { "runyard.db" };
        assert_eq!(entries(&backup), ["files.tar.gz", name]);
        let (out, errors) = program.command(&["backup", backup.to_str().unwrap()]).await;
        assert!(
            out.is_empty() && errors.contains("a backup needs a new folder"),
            "{errors}"
        );
        let (out, errors) = program.command(&["restore", backup.to_str().unwrap()]).await;
        assert!(out.is_empty() && errors.contains("is not empty"), "{errors}");
        // The original ends before its copy starts.
        let token = program.token.clone();
        drop(program);

        let config = settings(url(&other).as_deref());
        std::fs::write(second.path().join("runyard.toml"), &config).unwrap();
        let restored = Program::command_in(second.path(), &["restore", backup.to_str().unwrap()]).await;
        assert_eq!(restored.0.lines().count(), 1, "{}", restored.1);
        let mut program = Program::start(second.path(), &config).await;
        program.token = token;
        assert_eq!(events(&program, &first).await, streamed);
        let listed = program.request("GET", "/secrets").send().await.unwrap();
        assert_eq!(Answer::of(listed).await.ok()["secrets"][0]["name"], "KEY");
        run(&program).await;
        program.kill().await;
        for made in [made, other].into_iter().flatten() {
            made.drop().await;
        }
    }
}

#[tokio::test]
async fn a_damaged_or_missing_backup_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("runyard.toml"), OPEN).unwrap();
    let backup = folder.path().join("backup");
    let path = backup.to_str().unwrap();
    let restore = async || Program::command_in(empty.path(), &["restore", path]).await;
    let (out, errors) = restore().await;
    assert!(out.is_empty() && errors.contains("contains no runyard.db"), "{errors}");
    let (_, errors) = program.command(&["backup", path]).await;
    assert!(backup.exists(), "{errors}");
    let archive = backup.join("files.tar.gz");
    let whole = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
    let (out, errors) = restore().await;
    assert!(out.is_empty() && errors.contains("tar failed"), "{errors}");
    let data = empty.path().join("data");
    assert_eq!(entries(&data), [""; 0]);
    // Control: the whole backup is restored.
    std::fs::write(&archive, &whole).unwrap();
    let (out, errors) = restore().await;
    assert_eq!(out.trim(), data.to_str().unwrap(), "{errors}");
    assert!(entries(&data).contains(&"runyard.db".to_owned()));
    // In a folder without server data, there is nothing to copy.
    let nowhere = tempfile::tempdir().unwrap();
    std::fs::write(nowhere.path().join("runyard.toml"), OPEN).unwrap();
    let target = nowhere.path().join("backup");
    let (out, errors) = Program::command_in(nowhere.path(), &["backup", target.to_str().unwrap()]).await;
    assert!(out.is_empty() && errors.contains("there is no server data"), "{errors}");
    assert!(!target.exists());
}
