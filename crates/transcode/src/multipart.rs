//! Reads a multipart/form-data body: text parts set request fields, and file parts go to the upload store.
//!
//! Memory use does not grow with the form. If the request is refused, or the client disconnects before the gRPC call,
//! the stored files are discarded.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use axum_core::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use http::{Extensions, HeaderValue, header, request::Parts};
use multer::{Constraints, Field, Multipart, SizeLimit};

use crate::{
    Error, ErrorKind, Refused, Result,
    body::check_encoding,
    disposition::{self, Disposition},
    request::Draft,
};

/// Maximum number of parts of a form.
pub const MAX_PARTS: usize = 256;
/// Maximum size in bytes of a part's headers, and of the text before the first part.
const MAX_PART_HEADER_BYTES: usize = 64 * 1024;
/// Maximum length of the boundary in bytes (RFC 2046).
const MAX_BOUNDARY_BYTES: usize = 70;

/// A store for the files of forms.
///
/// If the client disconnects during an upload, the future of `receive` is dropped. The store must then remove the
/// incomplete file.
#[async_trait]
pub trait FormFiles: Send + Sync + 'static {
    /// Stores one file, and returns its upload id. `name` is the client's file name, which is not validated.
    /// `extensions` are those of the HTTP request.
    ///
    /// # Errors
    /// The error of `content`, or the Status with which the store refuses the file.
    async fn receive(
        &self,
        extensions: &Extensions,
        name: &str,
        content: BoxStream<'_, Result<Bytes>>,
    ) -> Result<String, Refused>;

    /// Removes the uploads of a failed request.
    async fn discard(&self, extensions: &Extensions, ids: Vec<String>);
}

/// The uploads of one request. Dropping them discards them, unless `keep` was called.
pub struct Uploads {
    store: Arc<dyn FormFiles>,
    extensions: Extensions,
    ids: Vec<String>,
}

impl Uploads {
    fn new(store: Arc<dyn FormFiles>, extensions: Extensions) -> Self {
        let ids = Vec::new();
        Self { store, extensions, ids }
    }

    /// Keeps the uploads. Must be called after the service has accepted the request.
    pub fn keep(mut self) {
        self.ids.clear();
    }

    /// Removes the uploads of a failed request, before the response is sent.
    pub async fn discard(mut self) {
        let ids = std::mem::take(&mut self.ids);
        if !ids.is_empty() {
            self.store.discard(&self.extensions, ids).await;
        }
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        let ids = std::mem::take(&mut self.ids);
        if ids.is_empty() {
            return;
        }
        // The request's future was dropped, usually because the client disconnected. `drop` cannot await the removal,
        // so it runs in its own task.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, extensions) = (Arc::clone(&self.store), self.extensions.clone());
            runtime.spawn(async move { store.discard(&extensions, ids).await });
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct FormLimits {
    pub form_bytes: u64,
    /// Maximum size of all text parts together in bytes.
    pub text_bytes: usize,
}

/// Reads a form. Text goes to the draft, files go to the store. Uploads of a refused form are removed before this
/// function returns.
///
/// # Errors
/// 413 if a limit is exceeded, 415 if the body is compressed, 400 if the form is invalid, and the errors of the
/// store.
pub async fn read(
    draft: &mut Draft<'_>,
    files_field: &str,
    parts: &Parts,
    body: Body,
    store: &Arc<dyn FormFiles>,
    limits: FormLimits,
) -> Result<Uploads, Refused> {
    check_encoding(&parts.headers)?;
    let mut uploads = Uploads::new(Arc::clone(store), parts.extensions.clone());
    match Form::open(parts, body, limits)?
        .read(draft, files_field, &mut uploads)
        .await
    {
        Ok(()) => Ok(uploads),
        Err(error) => {
            uploads.discard().await;
            Err(error)
        }
    }
}

struct Form {
    multipart: Multipart<'static>,
    allowance: Arc<AtomicUsize>,
    limits: FormLimits,
    text_left: usize,
}

impl Form {
    fn open(parts: &Parts, body: Body, limits: FormLimits) -> Result<Self> {
        let content_type = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(content_type.unwrap_or_default())
            .ok()
            .filter(|boundary| !boundary.is_empty() && boundary.len() <= MAX_BOUNDARY_BYTES)
            .ok_or_else(|| Error::invalid("the form's Content-Type has no usable boundary"))?;
        let length = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        if length
            .and_then(|length| length.parse::<u64>().ok())
            .is_some_and(|length| length > limits.form_bytes)
        {
            return Err(too_large(limits.form_bytes));
        }
        let allowance = Arc::new(AtomicUsize::new(0));
        let paced = Paced {
            inner: body.into_data_stream(),
            rests: false,
            allowance: Arc::clone(&allowance),
        };
        let size = SizeLimit::new().whole_stream(limits.form_bytes);
        Ok(Self {
            multipart: Multipart::with_constraints(paced, boundary, Constraints::new().size_limit(size)),
            allowance,
            text_left: limits.text_bytes,
            limits,
        })
    }

    async fn read(mut self, draft: &mut Draft<'_>, files_field: &str, uploads: &mut Uploads) -> Result<(), Refused> {
        let mut count = 0;
        loop {
            self.allowance.store(MAX_PART_HEADER_BYTES, Ordering::Relaxed);
            let next = self.multipart.next_field().await;
            self.allowance.store(usize::MAX, Ordering::Relaxed);
            let Some(part) = next.map_err(|error| form_error(error, self.limits))? else {
                return Ok(());
            };
            count += 1;
            if count > MAX_PARTS {
                let message = format!("the form has more than {MAX_PARTS} parts");
                return Err(Error::new(ErrorKind::TooLarge, message).into());
            }
            let disposition = part.headers().get(header::CONTENT_DISPOSITION);
            let Disposition { name, file_name } = Disposition::read(disposition.map_or(&[], HeaderValue::as_bytes));
            let name = name.ok_or_else(|| Error::invalid("a part of the form has no name"))?;
            let name = draft.form_name(&name).to_owned();
            match file_name {
                Some(file) if name == files_field && !file.is_empty() => {
                    let limits = self.limits;
                    let content = part
                        .map(move |piece| piece.map_err(|error| form_error(error, limits)))
                        .boxed();
                    let id = uploads.store.receive(&uploads.extensions, &file, content).await?;
                    uploads.ids.push(id.clone());
                    draft.form_file(files_field, &id)?;
                }
                file => self.text(draft, files_field, (&name, file.is_some()), part).await?,
            }
        }
    }

    fn too_much_text(&self) -> Error {
        let limit = self.limits.text_bytes;
        Error::new(
            ErrorKind::TooLarge,
            format!("the form's text is larger than {limit} bytes"),
        )
    }

    async fn text(
        &mut self,
        draft: &mut Draft<'_>,
        files_field: &str,
        (name, is_file): (&str, bool),
        mut part: Field<'static>,
    ) -> Result<()> {
        let charset = part.content_type().and_then(|kind| kind.get_param("charset"));
        let charset = charset.map(|charset| charset.as_str().to_owned());
        let mut unknown = draft.check_form_name(name).err();
        let mut bytes = Vec::new();
        while let Some(piece) = part.chunk().await.map_err(|error| form_error(error, self.limits))? {
            let Some(left) = self.text_left.checked_sub(piece.len()) else {
                return Err(unknown.take().unwrap_or_else(|| self.too_much_text()));
            };
            self.text_left = left;
            bytes.extend_from_slice(&piece);
        }
        // Browsers send an empty part for each empty input of a form. Empty parts are ignored.
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(error) = unknown {
            return Err(error);
        }
        let wrong = |what: &str| Err(Error::invalid_field(name.to_owned(), format!("{name}: {what}")));
        if name == files_field {
            return wrong("a file needs a file name; with curl, write -F files=@PATH");
        }
        match disposition::in_charset(charset.as_deref().unwrap_or("utf-8"), &bytes) {
            // Browsers send a file name with each Blob, so a text part may have one.
            Some(text) => draft.form_text(name, &text),
            None if is_file => wrong("must be text, not a file"),
            None => match charset {
                Some(charset) => wrong(&format!("the text is not {charset}")),
                None => wrong("the text is not UTF-8"),
            },
        }
    }
}

/// The chunks of a body. `Pending` follows each chunk, because multer would otherwise buffer all available chunks
/// before parsing. The stream fails if a part's headers exceed `MAX_PART_HEADER_BYTES`.
struct Paced {
    inner: BodyDataStream,
    /// True if the previous poll returned a chunk. The next poll must then return `Pending`.
    rests: bool,
    /// Number of bytes that may be read before the part's headers must end; `usize::MAX` in the content of a part.
    allowance: Arc<AtomicUsize>,
}

#[derive(Debug, thiserror::Error)]
#[error("the headers of a part are larger than {MAX_PART_HEADER_BYTES} bytes")]
struct EndlessHeaders;

impl Stream for Paced {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let allowance = self.allowance.load(Ordering::Relaxed);
        if allowance == 0 {
            return Poll::Ready(Some(Err(EndlessHeaders.into())));
        }
        Poll::Ready(match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
            Some(Ok(piece)) => {
                self.rests = true;
                if allowance != usize::MAX {
                    self.allowance
                        .store(allowance.saturating_sub(piece.len()), Ordering::Relaxed);
                }
                Some(Ok(piece))
            }
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        })
    }
}

fn form_error(error: multer::Error, limits: FormLimits) -> Error {
    match error {
        multer::Error::StreamSizeExceeded { .. } => too_large(limits.form_bytes),
        multer::Error::StreamReadFailed(cause) if cause.is::<EndlessHeaders>() => Error::invalid(cause.to_string()),
        multer::Error::StreamReadFailed(cause) => Error::invalid("the form ended early").caused_by(cause),
        multer::Error::IncompleteStream
        | multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders => Error::invalid("the form is incomplete: the final boundary is missing"),
        other => Error::invalid(format!("the form cannot be read: {other}")),
    }
}

fn too_large(limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the form is larger than {limit} bytes"))
}
