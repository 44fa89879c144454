//! Images for models: their format, their dimensions, and what a model without vision is told about them.
//!
//! [`Image::read`] reads only the header of an image, in bounded memory. [`Image::fitted`] decodes the image, and scales
//! it to the limits of a provider. Bytes of images come from users and from tools, so nothing here trusts them: an image
//! that cannot be shown is replaced by a sentence, and the run continues.

mod fit;

use std::{
    fmt,
    io::Cursor,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use image::{ImageFormat, ImageReader};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    config::{ImageFormats, Vision},
    llm::ChatMessage,
};

/// Maximum size of an image file in bytes.
pub const MAX_FILE_BYTES: u64 = 20 << 20;
/// Maximum number of pixels of an image. The limit is checked before anything is decoded.
pub const MAX_PIXELS: u64 = 40_000_000;
/// Number of bytes at the beginning of a file that [`is_image`] needs.
pub const SIGNATURE_BYTES: usize = 16;

/// Longest side in pixels at which a provider counts the tokens of an image.
const COUNTED_SIDE: u64 = 1_568;
/// Number of pixels per token, as Anthropic documents it. Other providers count similar numbers.
const PIXELS_PER_TOKEN: u64 = 750;
/// Smallest estimate for an image in tokens, including its label.
const MIN_TOKENS: u64 = 100;
/// Maximum time to decode and scale one image, including the wait for other images.
const MAX_FIT_TIME: Duration = Duration::from_secs(30);
/// Limits how many images the process decodes at the same time, because each may need much memory.
static DECODERS: Semaphore = Semaphore::const_new(2);

/// Reason why an image is not shown to a model, as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImageFault(String);

/// An image whose format and dimensions are known. Clones share the bytes.
#[derive(Clone)]
pub struct Image {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    path: Option<String>,
    format: ImageFormat,
    width: u32,
    height: u32,
    bytes: Bytes,
    base64: OnceLock<String>,
    /// The image after scaling, for the limits of the last request. The steps of a run share it.
    fitted: Mutex<Option<(Vision, Result<Image, ImageFault>)>>,
    /// True if a provider refused a request with this image.
    is_refused: AtomicBool,
}

impl Image {
    /// Reads the header of an image. `name` is shown to the model. `path` is the path of the file in the workspace, if
    /// there is one.
    ///
    /// # Errors
    /// Fails if the format is not PNG, JPEG, WebP or GIF, if the header is damaged, or if the image is too large.
    pub fn read(name: &str, path: Option<&str>, bytes: impl Into<Bytes>) -> Result<Self, ImageFault> {
        let bytes = bytes.into();
        let Some(format) = format(&bytes) else {
            return Err(ImageFault("it is not a PNG, JPEG, WebP or GIF image".to_owned()));
        };
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(too_many_bytes(bytes.len() as u64));
        }
        let dimensions = ImageReader::with_format(Cursor::new(&bytes), format).into_dimensions();
        let (width, height) = dimensions.map_err(|_| ImageFault("the file is damaged".to_owned()))?;
        if width == 0 || height == 0 {
            return Err(ImageFault("the file is damaged".to_owned()));
        }
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(ImageFault(format!(
                "it has {width} × {height} pixels, and the limit is {} million pixels",
                MAX_PIXELS / 1_000_000
            )));
        }
        // A name with line breaks could pretend to be another part of the conversation.
        let name = name.replace(char::is_control, "\u{fffd}");
        Ok(Self::of(name, path.map(str::to_owned), format, (width, height), bytes))
    }

    fn of(name: String, path: Option<String>, format: ImageFormat, (width, height): (u32, u32), bytes: Bytes) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                path,
                format,
                width,
                height,
                bytes,
                base64: OnceLock::new(),
                fitted: Mutex::new(None),
                is_refused: AtomicBool::new(false),
            }),
        }
    }

    /// Returns the name that the model sees.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the path of the file in the workspace; `None` if the image is not in a file.
    pub fn path(&self) -> Option<&str> {
        self.inner.path.as_deref()
    }

    /// Returns the media type, which follows from the bytes and not from the name.
    pub fn media_type(&self) -> &'static str {
        self.inner.format.to_mime_type()
    }

    /// Returns the width in pixels.
    pub fn width(&self) -> u32 {
        self.inner.width
    }

    /// Returns the height in pixels.
    pub fn height(&self) -> u32 {
        self.inner.height
    }

    /// Returns the size of the file in bytes.
    pub fn size(&self) -> usize {
        self.inner.bytes.len()
    }

    /// Returns the bytes of the file in Base64.
    pub fn base64(&self) -> &str {
        self.inner.base64.get_or_init(|| STANDARD.encode(&self.inner.bytes))
    }

    /// Describes the image in words: name, format, dimensions and size.
    pub fn described(&self) -> String {
        let dimensions = Some((self.width(), self.height()));
        described(self.name(), self.media_type(), dimensions, self.size() as u64)
    }

    /// Estimates the number of tokens of the image.
    pub fn tokens(&self) -> u64 {
        let (width, height) = (u64::from(self.width()), u64::from(self.height()));
        let longest = width.max(height).max(COUNTED_SIDE);
        let scaled = |side: u64| (side * COUNTED_SIDE / longest).max(1);
        (scaled(width) * scaled(height) / PIXELS_PER_TOKEN).max(MIN_TOKENS)
    }

    /// Returns the image within the limits of a provider. An image that is within the limits is returned unchanged. The
    /// image is decoded in any case, so that a damaged image does not reach the provider.
    ///
    /// # Errors
    /// Fails if the image cannot be decoded, or if a provider refused it earlier.
    pub async fn fitted(&self, vision: &Vision) -> Result<Self, ImageFault> {
        if self.is_refused() {
            return Err(ImageFault("the model provider refused it".to_owned()));
        }
        let known = || self.inner.fitted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((limits, fitted)) = &*known()
            && limits == vision
        {
            return fitted.clone();
        }
        let fitted = self.fit(*vision).await;
        *known() = Some((*vision, fitted.clone()));
        fitted
    }

    async fn fit(&self, vision: Vision) -> Result<Self, ImageFault> {
        let image = self.clone();
        let work = async move {
            let permit = DECODERS.acquire().await;
            // The permit is held until the decoder ends, even if the caller no longer waits.
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                fit::fit(&image, &vision)
            })
            .await
        };
        match timeout(MAX_FIT_TIME, work).await {
            Ok(Ok(fitted)) => fitted,
            Ok(Err(_panic)) => Err(ImageFault("it cannot be decoded".to_owned())),
            Err(_elapsed) => Err(ImageFault("decoding it takes too long".to_owned())),
        }
    }

    /// Returns whether a provider refused a request with this image.
    pub fn is_refused(&self) -> bool {
        self.inner.is_refused.load(Ordering::Relaxed)
    }

    /// Notes that a provider refused a request with this image. The image is not sent again.
    pub(crate) fn refuse(&self) {
        self.inner.is_refused.store(true, Ordering::Relaxed);
    }
}

impl ImageFormats {
    fn accepts(self, format: ImageFormat) -> bool {
        match format {
            ImageFormat::Png | ImageFormat::Jpeg => true,
            ImageFormat::WebP => self != Self::PngJpeg,
            _ => self == Self::All,
        }
    }
}

/// Returns whether a file is a PNG, JPEG, WebP or GIF image, by its first [`SIGNATURE_BYTES`] bytes.
pub fn is_image(start: &[u8]) -> bool {
    media_type(start).is_some()
}

/// Returns the media type of a PNG, JPEG, WebP or GIF image, by its first [`SIGNATURE_BYTES`] bytes; `None` for any other
/// file.
pub fn media_type(start: &[u8]) -> Option<&'static str> {
    format(start).map(|format| format.to_mime_type())
}

/// Returns the fault of a file of more than [`MAX_FILE_BYTES`] bytes.
pub fn too_many_bytes(size: u64) -> ImageFault {
    ImageFault(format!(
        "it has {size} bytes, and the limit is {} MiB",
        MAX_FILE_BYTES >> 20
    ))
}

fn format(start: &[u8]) -> Option<ImageFormat> {
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif];
    let format = image::guess_format(start).ok()?;
    known.contains(&format).then_some(format)
}

/// Returns the sentence that replaces an image that the model does not get.
pub fn not_shown(name: &str, why: &dyn fmt::Display) -> String {
    format!("[image {name} is not shown: {why}]")
}

/// Describes an image in words: name, format, dimensions and size.
pub fn described(name: &str, media_type: &str, dimensions: Option<(u32, u32)>, size: u64) -> String {
    let pixels = dimensions.map_or_else(String::new, |(width, height)| format!(" {width} × {height} pixels,"));
    format!("{name}: {media_type},{pixels} {size} bytes")
}

/// Returns the line that a model without vision gets instead of an image.
pub fn unseen(described: &str) -> String {
    format!("[image {described}; you cannot see images]")
}

/// Replaces all images of a message by text for a model that sees no images. Returns the number of images.
pub(crate) fn describe(message: &mut ChatMessage) -> usize {
    replace(message, |image| unseen(&image.described()))
}

/// Replaces all images of a message by text. Returns the number of images.
pub(crate) fn replace(message: &mut ChatMessage, line: impl Fn(&Image) -> String) -> usize {
    let (ChatMessage::User { text, images } | ChatMessage::Tool { text, images, .. }) = message else {
        return 0;
    };
    let count = images.len();
    for image in images.drain(..) {
        add_line(text, &line(&image));
    }
    count
}

/// Adds a line to a text.
pub fn add_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Image").field(&self.described()).finish()
    }
}

impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.inner.bytes == other.inner.bytes
    }
}

impl Eq for Image {}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests;
