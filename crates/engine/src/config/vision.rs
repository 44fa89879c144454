//! Whether a model sees images, and which images its provider accepts.

use serde::Deserialize;

/// Longest side that an image may have after scaling, for a provider without an own limit.
const DEFAULT_SIDE: u32 = 2_048;
/// Size limit of one image, for a provider without an own limit.
const DEFAULT_BYTES: u64 = 4 << 20;
/// Number of images in one request, for a provider without an own limit.
const DEFAULT_COUNT: u32 = 20;
/// Smallest accepted value of [`VisionSettings::max_side`]. Smaller images show nothing.
const MIN_SIDE: u32 = 64;
/// Smallest accepted value of [`VisionSettings::max_bytes`].
const MIN_BYTES: u64 = 16 << 10;

/// Settings of a model's vision. `None` keeps the value of the built-in table.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct VisionSettings {
    /// True if the model sees images.
    pub images: Option<bool>,
    /// Maximum width and height of an image in pixels. Larger images are scaled down. The minimum is 64.
    pub max_side: Option<u32>,
    /// Maximum size of an image in bytes, before Base64. Larger images are scaled down. The minimum is 16384.
    pub max_bytes: Option<u64>,
    /// Maximum number of images in one request. Older images are replaced by a line of text.
    pub max_count: Option<u32>,
    /// Formats that the provider accepts. Images in other formats are converted.
    pub formats: Option<ImageFormats>,
}

impl VisionSettings {
    /// Settings that change nothing.
    pub const UNSET: Self = Self {
        images: None,
        max_side: None,
        max_bytes: None,
        max_count: None,
        formats: None,
    };

    /// Replaces each setting that `over` sets.
    pub fn lay(&mut self, over: Self) {
        self.images = over.images.or(self.images);
        self.max_side = over.max_side.or(self.max_side);
        self.max_bytes = over.max_bytes.or(self.max_bytes);
        self.max_count = over.max_count.or(self.max_count);
        self.formats = over.formats.or(self.formats);
    }
}

/// Image formats that a provider accepts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormats {
    /// PNG and JPEG.
    PngJpeg,
    /// PNG, JPEG and WebP.
    PngJpegWebp,
    /// PNG, JPEG, WebP and GIF.
    All,
}

/// Vision of a model: [`VisionSettings`] with all values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vision {
    /// True if the model sees images. If false, it is told the name, the format and the size of each image.
    pub images: bool,
    /// Maximum width and height of an image in pixels.
    pub max_side: u32,
    /// Maximum size of an image in bytes, before Base64.
    pub max_bytes: usize,
    /// Maximum number of images in one request.
    pub max_count: usize,
    /// Formats that the provider accepts.
    pub formats: ImageFormats,
}

impl Vision {
    /// Vision of a model that sees no images.
    pub fn none() -> Self {
        Self::from(VisionSettings::UNSET)
    }
}

impl From<VisionSettings> for Vision {
    fn from(settings: VisionSettings) -> Self {
        let max_bytes = settings.max_bytes.unwrap_or(DEFAULT_BYTES).max(MIN_BYTES);
        let max_count = settings.max_count.unwrap_or(DEFAULT_COUNT);
        Self {
            images: settings.images.unwrap_or(false),
            max_side: settings.max_side.unwrap_or(DEFAULT_SIDE).max(MIN_SIDE),
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
            max_count: usize::try_from(max_count).unwrap_or(usize::MAX),
            formats: settings.formats.unwrap_or(ImageFormats::PngJpeg),
        }
    }
}
