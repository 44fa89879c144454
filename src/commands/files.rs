//! `runyard files`: lists, downloads, uploads and deletes the files of a thread.

use std::path::{Component, Path, PathBuf};

use clap::{Args, Subcommand};
use runyard_client::Client;

use super::{
    Outcome,
    listing::{Printer, Rows, time},
    output::{clean, remark, size},
    settings::Settings,
};
use crate::{
    error::{Code, Error, Result},
    v1::File,
};

/// List, download, upload and delete the files of a thread.
///
/// All threads of a project have the same files.
#[derive(Args, Debug)]
pub(super) struct Files {
    #[command(flatten)]
    rows: Rows,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the files of a folder and its subfolders, ordered by path.
    List {
        /// Id of the thread.
        thread_id: String,
        /// Folder below /workspace.
        #[arg(default_value = "")]
        folder: String,
    },
    /// Download a file, or with --recursive a folder.
    Get {
        /// Id of the thread.
        thread_id: String,
        /// Path below /workspace.
        path: String,
        /// Local path [default: the name of the file, in the current folder].
        to: Option<PathBuf>,
        /// Download a folder with its subfolders.
        #[arg(short, long)]
        recursive: bool,
    },
    /// Upload a file. Replaces an existing one.
    Put {
        /// Id of the thread.
        thread_id: String,
        /// Local file.
        file: PathBuf,
        /// Path below /workspace [default: the name of the file].
        path: Option<String>,
    },
    /// Delete a file or an empty folder.
    Delete {
        /// Id of the thread.
        thread_id: String,
        /// Path below /workspace.
        path: String,
    },
}

impl Files {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        self.rows
            .print(settings, async |client, printer| {
                act(client, self.action, printer).await
            })
            .await
    }
}

async fn act(client: &Client, action: Action, printer: &mut Printer) -> Result<()> {
    match action {
        Action::List { thread_id, folder } => {
            let Some(sandbox_id) = sandbox_of_thread(client, &thread_id).await? else {
                return Ok(());
            };
            for file in client.list_files(&sandbox_id, &folder).await? {
                printer.print(&file, summary)?;
            }
            Ok(())
        }
        Action::Get {
            thread_id,
            path,
            to,
            recursive,
        } => {
            let sandbox_id = existing(client, &thread_id).await?;
            let to = to.map_or_else(|| local_name(&path), Ok)?;
            if recursive {
                return save_folder(client, &sandbox_id, &path, &to).await;
            }
            client.download(&sandbox_id, &path, &to).await?;
            remark(&format!("saved {}", to.display()));
            Ok(())
        }
        Action::Put { thread_id, file, path } => {
            let sandbox_id = existing(client, &thread_id).await?;
            remark(&format!("uploading {}", file.display()));
            let upload = client.upload(&file).await?;
            let path = path.unwrap_or_else(|| upload.name.clone());
            let written = client.write_file(&sandbox_id, &path, &upload.upload_id).await?;
            printer.print(&written, summary)
        }
        Action::Delete { thread_id, path } => {
            let sandbox_id = existing(client, &thread_id).await?;
            client.delete_file(&sandbox_id, &path).await?;
            remark(&format!("deleted {}", clean(&path)));
            Ok(())
        }
    }
}

/// Returns the sandbox of a thread, or `None` before its first use.
async fn sandbox_of_thread(client: &Client, thread_id: &str) -> Result<Option<String>> {
    let thread = client.load_thread(thread_id).await?;
    Ok(client.load_project(&thread.project_id).await?.sandbox_id)
}

async fn existing(client: &Client, thread_id: &str) -> Result<String> {
    let sandbox_id = sandbox_of_thread(client, thread_id).await?;
    sandbox_id.ok_or_else(|| {
        let message = "the thread has no sandbox yet; its first run that uses files creates one";
        Error::new(Code::SandboxNotFound, message)
    })
}

/// Downloads the files of a folder to a local folder.
async fn save_folder(client: &Client, sandbox_id: &str, folder: &str, to: &Path) -> Result<()> {
    for file in client.list_files(sandbox_id, folder).await? {
        if !file.is_dir {
            let to = to.join(below(folder, &file.path)?);
            client.download(sandbox_id, &file.path, &to).await?;
            remark(&format!("saved {}", to.display()));
        }
    }
    Ok(())
}

/// Returns a path relative to a folder. Refuses a path outside that folder, because the server may be malicious.
pub(super) fn below<'a>(folder: &str, path: &'a str) -> Result<&'a Path> {
    let path = Path::new(path);
    let relative = path.strip_prefix(folder.trim_matches('/')).unwrap_or(path);
    if relative.components().all(|part| matches!(part, Component::Normal(_))) && relative.file_name().is_some() {
        Ok(relative)
    } else {
        Err(Error::invalid(format!(
            "the server listed a file with a path outside the folder {}: {}",
            clean(folder),
            clean(&path.to_string_lossy())
        )))
    }
}

fn local_name(path: &str) -> Result<PathBuf> {
    let name = Path::new(path).file_name().map(PathBuf::from);
    name.ok_or_else(|| Error::invalid("name the local path, because the path of the file has no name"))
}

fn summary(file: &File) -> String {
    let (path, size) = if file.is_dir {
        (format!("{}/", clean(&file.path)), String::new())
    } else {
        (clean(&file.path), size(file.size))
    };
    format!("{size:>10}  {}  {path}", time(file.modified_at))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_listed_path_stays_below_the_local_folder() {
        assert_eq!(below("output", "output/a/b.txt").unwrap(), Path::new("a/b.txt"));
        assert_eq!(below("/output/", "output/b.txt").unwrap(), Path::new("b.txt"));
        assert_eq!(below("", "output/b.txt").unwrap(), Path::new("output/b.txt"));
        for path in ["../x", "output/../../x", "/etc/passwd", "output", "", "output/.."] {
            assert!(below("output", path).is_err(), "{path:?}");
        }
    }
}
