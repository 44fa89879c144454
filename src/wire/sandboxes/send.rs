//! Sends files and folders. A file is sent completely or as a range, a folder as a tar stream.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    pin::Pin,
    time::SystemTime,
};

use futures::{Stream, StreamExt, stream};
use runyard_transcode::response::{HTTP_CONTENT_LENGTH, HTTP_STATUS};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use tonic::{
    Response, Status,
    metadata::{MetadataMap, MetadataValue},
};

use crate::{
    accounts::queue::QueueTurn,
    blocking,
    contract::google::api::HttpBody,
    error::{Error, Result},
    sandbox::Archive,
    v1,
    wire::range::{Asked, Part},
};

const CHUNK_BYTES: usize = 64 * 1024;
const TAR: &str = "application/x-tar";

pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<HttpBody, Status>> + Send>>;

pub(super) fn file(mut file: File, asked: &v1::ReadFileRequest) -> Result<Response<Pieces>> {
    let fault = |error: std::io::Error| Error::internal("the file could not be read", error);
    let metadata = file.metadata().map_err(fault)?;
    let modified = metadata.modified().map_err(fault)?;
    let size = metadata.len();
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let etag = format!("\"{:x}-{size:x}\"", since.as_nanos());
    let ranges = Asked {
        range: &asked.range,
        if_range: &asked.if_range,
        if_none_match: &asked.if_none_match,
    };
    let part = ranges.resolve(size, &etag);
    let content_type = content_type(&asked.path);

    let mut metadata = guarded();
    let mut set = |name, value| set(&mut metadata, name, value);
    set("etag", etag);
    set("accept-ranges", "bytes".to_owned());
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
        let rest = ReaderStream::with_capacity(reader, CHUNK_BYTES).map(|chunk| match chunk {
            Ok(data) => Ok(HttpBody {
                data,
                ..HttpBody::default()
            }),
            Err(error) => Err(Status::from(Error::internal("the file could not be read", error))),
        });
        Box::pin(stream::iter([Ok(first)]).chain(rest))
    };
    let mut response = Response::new(pieces);
    *response.metadata_mut() = metadata;
    Ok(response)
}

pub(super) fn content_type(path: &str) -> String {
    mime_guess::from_path(path)
        .first_or_octet_stream()
        .essence_str()
        .to_owned()
}

/// Sends a folder as a tar stream of unknown length. `place` is the account's turn in the queue for archives. The
/// turn ends with the stream.
pub(super) fn folder(archive: Archive, place: QueueTurn) -> Response<Pieces> {
    let mut metadata = guarded();
    let name = format!("{}.tar", archive.name());
    set(&mut metadata, "content-disposition", disposition(&name, TAR, true));
    let first = HttpBody {
        content_type: TAR.to_owned(),
        ..HttpBody::default()
    };
    let rest = stream::try_unfold((archive, place), |(mut archive, place)| async move {
        let next = blocking::run("the folder could not be read", move || {
            archive.next_chunk().map(|chunk| (chunk, archive))
        })
        .await?;
        let (chunk, archive) = next;
        let body = chunk.map(|chunk| HttpBody {
            data: chunk.into(),
            ..HttpBody::default()
        });
        Ok::<_, Status>(body.map(|body| (body, (archive, place))))
    });
    let mut response = Response::new(Box::pin(stream::iter([Ok(first)]).chain(rest)) as Pieces);
    *response.metadata_mut() = metadata;
    response
}

// These headers stop browsers from guessing the content type and from running scripts in the untrusted content.
fn guarded() -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
    ] {
        metadata.insert(name, MetadataValue::from_static(value));
    }
    metadata
}

fn set(metadata: &mut MetadataMap, name: &'static str, value: String) {
    if let Ok(value) = MetadataValue::try_from(value) {
        metadata.insert(name, value);
    }
}

// Returns the header `Content-Disposition`. A browser may display only content types that cannot run scripts. All
// other content must be downloaded.
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
