//! `SandboxService`: messages in, one verb, messages out; and files, streamed.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    pin::Pin,
    time::SystemTime,
};

use futures::{Stream, StreamExt, stream};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use tonic::{
    Request, Response, Status,
    metadata::{MetadataMap, MetadataValue},
};

use super::{
    caller,
    http::response::{HTTP_CONTENT_LENGTH, HTTP_STATUS},
    later,
    page::Page,
    range::{Asked, Part},
    traits::runyard::v1::sandbox_service_server::SandboxService,
};
use crate::{
    accounts::Caller,
    app::App,
    contract::google::api::HttpBody,
    error::{Error, Result},
    events::timestamp,
    id, projects,
    sandbox::{Depth, Entry, Sandbox},
    v1,
};

/// Bytes of one streamed piece.
const PIECE: usize = 64 * 1024;
/// Rows of a page when the caller does not say, and at most.
const PAGE: (i32, i32) = (200, 1000);
/// Files that a list looks at; a workspace with more is listed folder by folder.
const MAX_LISTED: usize = 100_000;

type Pieces = Pin<Box<dyn Stream<Item = Result<HttpBody, Status>> + Send>>;

/// The service.
#[derive(Clone)]
pub struct Sandboxes {
    pub(super) app: App,
}

#[tonic::async_trait]
impl SandboxService for Sandboxes {
    type ReadFileStream = Pieces;

    async fn get_sandbox(&self, request: Request<v1::GetSandboxRequest>) -> Result<Response<v1::Sandbox>, Status> {
        let caller = caller::of(&request)?;
        let sandbox_id = id::parse("sandbox_id", &request.get_ref().sandbox_id)?;
        let row = projects::sandbox::load(self.app.db.read(), caller.scope(), sandbox_id).await?;
        let workspace = projects::sandbox::open(&self.app, &row).await?.workspace().clone();
        let used = super::blocking(move || workspace.usage()).await?;
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
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let query = format!("files {} {} {}", asked.sandbox_id, asked.path, asked.recursive);
        let page = Page::within(&caller, &query, (asked.page_size, PAGE.0, PAGE.1), &asked.page_token)?;
        let workspace = self.open(&caller, &asked.sandbox_id).await?.workspace().clone();
        let depth = if asked.recursive { Depth::All } else { Depth::One };
        let listed = super::blocking(move || workspace.list(&asked.path, depth, MAX_LISTED)).await?;
        let offset = page.offset()?;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut entries: Vec<Entry> = listed.entries.into_iter().skip(skip).take(page.size + 1).collect();
        let next = offset + page.size as u64;
        let next_page_token = page.cut(&mut entries, |_| next.to_be_bytes().to_vec());
        Ok(Response::new(v1::ListFilesResponse {
            files: entries.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn read_file(&self, request: Request<v1::ReadFileRequest>) -> Result<Response<Pieces>, Status> {
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let workspace = self.open(&caller, &asked.sandbox_id).await?.workspace().clone();
        let path = asked.path.clone();
        let file = super::blocking(move || workspace.open_file(&path)).await?;
        send(file, &asked).map_err(Status::from)
    }

    async fn write_file(&self, request: Request<v1::WriteFileRequest>) -> Result<Response<v1::File>, Status> {
        later(&request)
    }

    async fn delete_file(&self, request: Request<v1::DeleteFileRequest>) -> Result<Response<()>, Status> {
        later(&request)
    }
}

impl Sandboxes {
    async fn open(&self, caller: &Caller, sandbox_id: &str) -> Result<Sandbox> {
        let sandbox_id = id::parse("sandbox_id", sandbox_id)?;
        let row = projects::sandbox::load(self.app.db.read(), caller.scope(), sandbox_id).await?;
        projects::sandbox::open(&self.app, &row).await
    }
}

fn send(mut file: File, asked: &v1::ReadFileRequest) -> Result<Response<Pieces>> {
    let fault = |error: std::io::Error| Error::internal("file", error);
    let facts = file.metadata().map_err(fault)?;
    let modified = facts.modified().map_err(fault)?;
    let size = facts.len();
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let etag = format!("\"{:x}-{size:x}\"", since.as_nanos());
    let ranges = Asked {
        range: &asked.range,
        if_range: &asked.if_range,
        if_none_match: &asked.if_none_match,
    };
    let part = ranges.resolve(size, &etag);
    let content_type = content_type(&asked.path);

    let mut metadata = MetadataMap::new();
    let mut set = |name: &'static str, value: String| {
        // What is not ASCII cannot travel; all of these are.
        if let Ok(value) = MetadataValue::try_from(value) {
            metadata.insert(name, value);
        }
    };
    set("etag", etag);
    set("accept-ranges", "bytes".to_owned());
    set("x-content-type-options", "nosniff".to_owned());
    set(
        "content-disposition",
        disposition(&asked.path, &content_type, asked.download),
    );
    if let Some(range) = part.content_range(size) {
        set("content-range", range);
    }
    if let Some(status) = part.status() {
        set(HTTP_STATUS, status.to_string());
    }
    let (start, length) = part.bounds(size);
    set(HTTP_CONTENT_LENGTH, length.to_string());

    file.seek(SeekFrom::Start(start)).map_err(fault)?;
    let first = HttpBody {
        content_type,
        ..HttpBody::default()
    };
    let pieces: Pieces = if matches!(part, Part::Unchanged | Part::Unsatisfiable) {
        Box::pin(stream::iter([Ok(first)]))
    } else {
        let reader = tokio::fs::File::from_std(file).take(length);
        let rest = ReaderStream::with_capacity(reader, PIECE).map(|piece| match piece {
            Ok(data) => Ok(HttpBody {
                data,
                ..HttpBody::default()
            }),
            Err(error) => Err(Status::from(Error::internal("file", error))),
        });
        Box::pin(stream::iter([Ok(first)]).chain(rest))
    };
    let mut response = Response::new(pieces);
    *response.metadata_mut() = metadata;
    Ok(response)
}

fn content_type(path: &str) -> String {
    mime_guess::from_path(path)
        .first_or_octet_stream()
        .essence_str()
        .to_owned()
}

// Only what cannot run script in our origin is shown by a browser; the rest is saved.
fn disposition(path: &str, content_type: &str, download: bool) -> String {
    let is_harmless = matches!(
        content_type,
        "text/plain" | "text/csv" | "image/png" | "image/jpeg" | "image/gif" | "image/webp"
    );
    let kind = if is_harmless && !download {
        "inline"
    } else {
        "attachment"
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("{kind}; filename*=UTF-8''{encoded}")
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
