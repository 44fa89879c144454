//! Decodes an image, and scales it to the limits of a provider.
//!
//! This code blocks, so it runs on a blocking thread. Memory is bounded: the number of pixels is checked before, and
//! the decoder gets a limit for its allocations.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, codecs::jpeg::JpegEncoder,
    imageops::FilterType,
};

use super::{Image, ImageFault};
use crate::config::Vision;

/// Maximum memory in bytes for the pixels of an image, and again for the work of the decoder.
const MAX_ALLOC: u64 = 256 << 20;
/// Quality of JPEG images that are written.
const JPEG_QUALITY: u8 = 85;
/// Number of sizes that are tried until the image is small enough. Each is three quarters of the size before.
const MAX_SIZES: u32 = 10;

/// Returns the image within the limits; unchanged if it already is.
pub(super) fn fit(image: &Image, vision: &Vision) -> Result<Image, ImageFault> {
    let inner = &image.inner;
    let decoded = decode(image)?;
    let longest = inner.width.max(inner.height);
    let is_within = longest <= vision.max_side && inner.bytes.len() <= vision.max_bytes;
    if is_within && vision.formats.accepts(inner.format) {
        return Ok(image.clone());
    }
    let is_drawn = matches!(inner.format, ImageFormat::Png | ImageFormat::Gif) || decoded.color().has_alpha();
    let mut side = longest.min(vision.max_side);
    for _ in 0..MAX_SIZES {
        let scaled = scale(&decoded, side);
        let formats: &[ImageFormat] = if is_drawn {
            &[ImageFormat::Png, ImageFormat::Jpeg]
        } else {
            &[ImageFormat::Jpeg]
        };
        for format in formats {
            let bytes = encode(&scaled, *format)?;
            if bytes.len() <= vision.max_bytes {
                let dimensions = (scaled.width(), scaled.height());
                return Ok(Image::of(
                    inner.name.clone(),
                    inner.path.clone(),
                    *format,
                    dimensions,
                    bytes.into(),
                ));
            }
        }
        side = (side * 3 / 4).max(1);
    }
    Err(ImageFault("it cannot be made small enough".to_owned()))
}

/// Decodes the image, or the first picture of an animation, and turns it as its metadata requests.
fn decode(image: &Image) -> Result<DynamicImage, ImageFault> {
    let damaged = |_| ImageFault("the file is damaged".to_owned());
    let mut reader = ImageReader::with_format(Cursor::new(&image.inner.bytes), image.inner.format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    if decoder.total_bytes() > MAX_ALLOC {
        return Err(ImageFault("decoding it needs too much memory".to_owned()));
    }
    let orientation = decoder.orientation().map_err(damaged)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Scales the image to a longest side, with 8 bits per color.
fn scale(decoded: &DynamicImage, side: u32) -> DynamicImage {
    let longest = decoded.width().max(decoded.height());
    let scaled = if longest <= side {
        decoded.clone()
    } else {
        decoded.resize(side, side, FilterType::Triangle)
    };
    if scaled.color().has_alpha() {
        scaled.into_rgba8().into()
    } else {
        scaled.into_rgb8().into()
    }
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>, ImageFault> {
    let mut bytes = Cursor::new(Vec::new());
    let written = match format {
        ImageFormat::Jpeg => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(&on_white(image)),
        format => image.write_to(&mut bytes, format),
    };
    written.map_err(|_| ImageFault("it cannot be scaled".to_owned()))?;
    Ok(bytes.into_inner())
}

/// Lays the image on white, because JPEG has no transparency.
pub(super) fn on_white(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let rgba = image.to_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0.map(u16::from);
        let laid = |color: u16| u8::try_from((color * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        image::Rgb([laid(red), laid(green), laid(blue)])
    })
}
