//! Implements the gRPC service `SandboxService`. File contents are streamed.

mod send;

use std::fs::File;

use futures::FutureExt;
use tonic::{Request, Response, Status};

use super::{caller, page::Page, traits::runyard::v1::sandbox_service_server::SandboxService, write};
use crate::{
    accounts::Caller,
    app::App,
    blocking,
    error::{Code, Error, Result},
    events::timestamp,
    id, projects,
    sandbox::{Archive, Depth, Entry, FileKind, Listing, ProjectSandbox},
    uploads, v1,
};
use send::{Pieces, content_type};

/// Default and maximum page size in files.
const PAGE: (i32, i32) = (200, 1000);

enum Content {
    File(File),
    Folder(Box<Archive>),
}

#[derive(Clone)]
pub struct Sandboxes {
    pub(super) app: App,
}

#[tonic::async_trait]
impl SandboxService for Sandboxes {
    type ReadFileStream = Pieces;

    async fn get_sandbox(&self, request: Request<v1::GetSandboxRequest>) -> Result<Response<v1::Sandbox>, Status> {
        let (caller, asked) = caller::open(request)?;
        let sandbox_id = id::parse("sandbox_id", &asked.sandbox_id)?;
        let row = projects::sandbox::load(self.app.db.read(), caller.scope(), sandbox_id).await?;
        let opened = projects::sandbox::open(&self.app, &row).await?;
        let used = projects::walks::usage(&self.app, &row, &opened).await?;
        Ok(Response::new(v1::Sandbox {
            sandbox_id: row.id.to_string(),
            project_id: row.project_id.to_string(),
            used_bytes: i64::try_from(used.bytes).unwrap_or(i64::MAX),
            limit_bytes: i64::try_from(self.app.config.sandbox.max_workspace_bytes).unwrap_or(i64::MAX),
            created_at: Some(timestamp(row.created_at)),
        }))
    }

    async fn list_files(
        &self,
        request: Request<v1::ListFilesRequest>,
    ) -> Result<Response<v1::ListFilesResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::within(&caller, &mut asked, PAGE)?;
        let workspace = self.open(&caller, &asked.sandbox_id).await?.workspace().clone();
        let depth = if asked.recursive { Depth::All } else { Depth::One };
        let (size, behind) = (page.size, page.after.clone());
        let list = move || workspace.list(&asked.path, depth, size, behind.as_deref());
        let listed = self.app.walks.run(caller.account_id, list).await?;
        let next_page_token = next_page(&listed, &page)?;
        Ok(Response::new(v1::ListFilesResponse {
            files: listed.entries.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn read_file(&self, request: Request<v1::ReadFileRequest>) -> Result<Response<Pieces>, Status> {
        let (caller, asked) = caller::open(request)?;
        let workspace = self.open(&caller, &asked.sandbox_id).await?.workspace().clone();
        let path = asked.path.clone();
        let opened = move || match workspace.metadata(&path)?.kind {
            FileKind::Folder => workspace.archive(&path).map(Box::new).map(Content::Folder),
            _ => workspace.open_file(&path).map(Content::File),
        };
        let answer = match self.app.walks.run(caller.account_id, opened).await? {
            Content::File(file) => send::file(file, &asked),
            Content::Folder(archive) => {
                let place = self.app.walks.archive(caller.account_id).await?;
                Ok(send::folder(*archive, place))
            }
        };
        answer.map_err(Status::from)
    }

    async fn write_file(&self, request: Request<v1::WriteFileRequest>) -> Result<Response<v1::File>, Status> {
        let (caller, asked) = caller::open(request)?;
        let sandbox_id = id::parse("sandbox_id", &asked.sandbox_id)?;
        let upload_id = id::parse("upload_id", &asked.upload_id)?;
        let entry = write(&self.app, caller, move |app, caller| {
            async move { uploads::write::write(app, caller, sandbox_id, &asked.path, upload_id).await }.boxed()
        })
        .await?;
        Ok(Response::new(shown(entry)))
    }

    async fn delete_file(&self, request: Request<v1::DeleteFileRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let sandbox_id = id::parse("sandbox_id", &asked.sandbox_id)?;
        let row = projects::sandbox::load(self.app.db.read(), caller.scope(), sandbox_id).await?;
        let workspace = projects::sandbox::open(&self.app, &row).await?.workspace().clone();
        blocking::run("the file could not be removed", move || {
            workspace.remove_one(&asked.path)
        })
        .await?;
        self.app.walks.changed(row.project_id).await;
        Ok(Response::new(()))
    }
}

// Returns the token of the next page. A list with missing entries is an error, because a client could not distinguish
// it from a complete list.
fn next_page(listed: &Listing, page: &Page<Vec<u8>>) -> Result<String> {
    if let Some(reason) = listed.cut {
        let message = format!("the folder cannot be listed completely: {reason}; list its subfolders one by one");
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(page.token(listed.next.as_ref()))
}

impl Sandboxes {
    async fn open(&self, caller: &Caller, sandbox_id: &str) -> Result<ProjectSandbox> {
        let sandbox_id = id::parse("sandbox_id", sandbox_id)?;
        let row = projects::sandbox::load(self.app.db.read(), caller.scope(), sandbox_id).await?;
        projects::sandbox::open(&self.app, &row).await
    }
}

fn shown(entry: Entry) -> v1::File {
    let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
    v1::File {
        content_type: if entry.is_dir {
            String::new()
        } else {
            content_type(&name)
        },
        name,
        is_dir: entry.is_dir,
        size: if entry.is_dir {
            0
        } else {
            i64::try_from(entry.size).unwrap_or(i64::MAX)
        },
        modified_at: Some(timestamp(entry.modified.into())),
        path: entry.path,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;
    use crate::accounts::{Access, Role};

    #[test]
    fn a_page_that_lacks_entries_is_an_error() {
        let caller = Caller {
            account_id: id::new(),
            role: Role::User,
            access: Access::Admin,
            name: "ann".into(),
        };
        let page = |page_token: String| {
            let mut asked = v1::ListFilesRequest {
                page_token,
                ..Default::default()
            };
            Page::within(&caller, &mut asked, (3, 3)).unwrap()
        };
        let first = page(String::new());
        let listed = |cut: Option<&'static str>, next: Option<&[u8]>| Listing {
            entries: vec![Entry {
                path: "a/file".to_owned(),
                is_dir: false,
                size: 0,
                modified: std::time::SystemTime::UNIX_EPOCH,
            }],
            cut,
            next: next.map(<[u8]>::to_vec),
        };
        assert_eq!(next_page(&listed(None, None), &first).unwrap(), "");
        let token = next_page(&listed(None, Some(b"a/file")), &first).unwrap();
        assert_eq!(page(token).after.as_deref(), Some(b"a/file".as_slice()));
        for next in [None, Some(b"a/file".as_slice())] {
            let refused = next_page(&listed(Some("folders are nested too deeply"), next), &first).unwrap_err();
            assert_eq!(refused.code(), Code::TooLarge);
            assert!(refused.message().contains("folders are nested too deeply"));
        }
    }
}
