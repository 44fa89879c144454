//! Tests of images: formats, limits, scaling and damaged files.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};

use super::*;
use crate::config::VisionSettings;

fn low(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

fn picture(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb([low(x), low(y), 7])).into()
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn limits(max_side: u32, max_bytes: u64, formats: ImageFormats) -> Vision {
    Vision::from(VisionSettings {
        images: Some(true),
        max_side: Some(max_side),
        max_bytes: Some(max_bytes),
        max_count: None,
        formats: Some(formats),
    })
}

#[tokio::test]
async fn an_image_within_the_limits_is_unchanged() {
    for (format, media_type) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::WebP, "image/webp"),
        (ImageFormat::Gif, "image/gif"),
    ] {
        let bytes = written(&picture(300, 200), format);
        let image = Image::read("a", None, bytes.clone()).unwrap();
        assert_eq!(
            (image.media_type(), image.width(), image.height()),
            (media_type, 300, 200)
        );
        let fitted = image.fitted(&limits(300, 1 << 20, ImageFormats::All)).await.unwrap();
        assert_eq!(fitted.inner.bytes, bytes, "{media_type}");
        assert_eq!(fitted.base64(), STANDARD.encode(&bytes));
    }
}

#[tokio::test]
async fn a_large_image_is_scaled_and_keeps_its_shape() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let image = Image::read("a", None, written(&picture(400, 100), format)).unwrap();
        let fitted = image.fitted(&limits(200, 1 << 20, ImageFormats::All)).await.unwrap();
        assert_eq!((fitted.width(), fitted.height()), (200, 50));
        let again = Image::read("a", None, fitted.inner.bytes.clone()).unwrap();
        assert_eq!((again.width(), again.height()), (200, 50));
    }
}

#[tokio::test]
async fn an_image_of_too_many_bytes_becomes_smaller() {
    let noise =
        |x: u32, y: u32| low((x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503).wrapping_mul(x | 1)) >> 13);
    let picture = RgbImage::from_fn(400, 400, |x, y| image::Rgb([noise(x, y), noise(y, x), noise(x + 9, y)]));
    let image = Image::read("a", None, written(&picture.into(), ImageFormat::Png)).unwrap();
    assert!(image.size() > 100_000, "{}", image.size());
    let fitted = image.fitted(&limits(400, 20_000, ImageFormats::All)).await.unwrap();
    assert!(fitted.size() <= 20_000, "{}", fitted.size());
}

#[tokio::test]
async fn a_format_that_the_provider_does_not_accept_is_converted() {
    let convert = async |format, formats| {
        let image = Image::read("a", None, written(&picture(20, 20), format)).unwrap();
        image.fitted(&limits(100, 1 << 20, formats)).await.unwrap().media_type()
    };
    assert_eq!(convert(ImageFormat::Gif, ImageFormats::PngJpegWebp).await, "image/png");
    assert_eq!(
        convert(ImageFormat::WebP, ImageFormats::PngJpegWebp).await,
        "image/webp"
    );
    assert_eq!(convert(ImageFormat::WebP, ImageFormats::PngJpeg).await, "image/jpeg");
}

#[tokio::test]
async fn transparency_becomes_white_in_jpeg() {
    let clear: DynamicImage = RgbaImage::from_pixel(8, 8, image::Rgba([0, 0, 0, 0])).into();
    let laid = fit::on_white(&clear);
    assert_eq!(laid.get_pixel(3, 3).0, [255, 255, 255]);
}

/// Returns a PNG file whose header states these dimensions.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = written(&picture(2, 2), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Returns the checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[tokio::test]
async fn an_image_of_too_many_pixels_is_refused_before_it_is_decoded() {
    let fault = Image::read("bomb.png", None, claiming(60_000, 60_000)).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "it has 60000 × 60000 pixels, and the limit is 40 million pixels"
    );
    // The same file with smaller numbers passes this check, and the decoder finds that the pixels are missing.
    let image = Image::read("a.png", None, claiming(6_000, 6_000)).unwrap();
    let fault = image
        .fitted(&limits(100, 1 << 20, ImageFormats::All))
        .await
        .unwrap_err();
    assert_eq!(fault.to_string(), "the file is damaged");
}

#[tokio::test]
async fn a_damaged_image_is_not_sent() {
    let mut bytes = written(&picture(300, 200), ImageFormat::Png);
    bytes.truncate(bytes.len() / 2);
    let image = Image::read("a.png", None, bytes).unwrap();
    let vision = limits(1_000, 1 << 20, ImageFormats::All);
    assert_eq!(
        image.fitted(&vision).await.unwrap_err().to_string(),
        "the file is damaged"
    );
    assert!(Image::read("a.png", None, &b"\x89PNG\r\n\x1a\n"[..]).is_err());
    assert!(Image::read("a.png", None, &b"plain text"[..]).is_err());
}

#[test]
fn tokens_grow_with_the_image_up_to_a_limit() {
    let tokens = |width, height| {
        let bytes = Bytes::new();
        Image::of("a".to_owned(), None, ImageFormat::Png, (width, height), bytes).tokens()
    };
    assert_eq!(tokens(10, 10), MIN_TOKENS);
    assert_eq!(tokens(1_000, 750), 1_000);
    assert_eq!(tokens(6_000, 6_000), tokens(1_568, 1_568));
}
