//! Lists and downloads the files that a run created.

use std::path::Path;

use super::view::View;
use runyard_client::Client;

use crate::{
    commands::{
        files::below,
        output::{clean, complain, one_line, size},
    },
    error::{Code, Result},
    mcp::quoted,
    v1::{File, StartRunResponse},
};

const FOLDER: &str = "output";

/// Downloads the files of `/workspace/output` to `folder`. Without `folder`, lists them and prints how to save them.
pub(super) async fn take_away(
    client: &Client,
    run: &StartRunResponse,
    folder: Option<&Path>,
    view: &mut View,
) -> Result<()> {
    let Some(sandbox_id) = find_sandbox(client, run).await? else {
        return Ok(());
    };
    let files = find_files(client, &sandbox_id).await?;
    if files.is_empty() {
        return view.say("the run created no files in /workspace/output");
    }
    view.line(&format!("\nFiles in /workspace/{FOLDER}"))?;
    for file in &files {
        view.line(&format!("  {:<40} {:>10}", clean(&file.path), size(file.size)))?;
    }
    let Some(folder) = folder else {
        view.line("Save them all with --download DIR, or one of them with")?;
        // The agent chose the path, and the user may paste the command.
        let path = quoted(&one_line(&files[0].path));
        return view.line(&format!("  runyard files get {} {path}", run.thread_id));
    };
    for file in &files {
        let to = folder.join(below(FOLDER, &file.path)?);
        client.download(&sandbox_id, &file.path, &to).await?;
        view.say(&format!("saved {}", to.display()))?;
    }
    Ok(())
}

/// If the sandbox was created after the `StartRun` response, only the project contains its id.
async fn find_sandbox(client: &Client, run: &StartRunResponse) -> Result<Option<String>> {
    if run.sandbox_id.is_some() {
        return Ok(run.sandbox_id.clone());
    }
    Ok(client.load_project(&run.project_id).await?.sandbox_id)
}

async fn find_files(client: &Client, sandbox_id: &str) -> Result<Vec<File>> {
    match client.list_files(sandbox_id, FOLDER).await {
        Ok(files) => Ok(files.into_iter().filter(|file| !file.is_dir).collect()),
        Err(error) if error.code() == Code::FileNotFound => Ok(Vec::new()),
        Err(error) => {
            complain("cannot list the files of the run");
            Err(error.into())
        }
    }
}
