//! The example in the documentation of `runyard_client`, which includes this file.

use std::path::Path;

use runyard_client::{
    Client, Result,
    v1::{RunStatus, run_event::Event},
};

pub async fn analyze(server: &str, token: &str, save_in: &Path) -> Result<String> {
    let client = Client::connect(server, token).await?;
    let mut run = client
        .task("Analyze data.csv and create visualizations")
        .file("examples/data.csv")
        .start()
        .await?;

    let mut answer = String::new();
    // Every event arrives exactly once and in order, even if the network fails.
    while let Some(event) = run.next().await? {
        match event.event {
            Some(Event::MessageDelta(delta)) => answer.push_str(&delta.text),
            Some(Event::ToolCall(call)) => answer.extend(["\n[", &call.name, "]\n"]),
            _ => {}
        }
    }

    let ended = run.wait().await?;
    assert_eq!(ended.status(), RunStatus::Completed);
    for file in run.files("output").await? {
        if !file.is_dir {
            run.download(&file.path, save_in.join(&file.name)).await?;
        }
    }
    Ok(answer)
}
