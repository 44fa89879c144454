//! Image files for tests.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

/// Returns the bytes of a colored image.
pub fn picture(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let color = |at: u32| u8::try_from(at % 256).unwrap_or_default();
    let pixels = RgbImage::from_fn(width, height, |x, y| image::Rgb([color(x), color(y), 90]));
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    picture(ImageFormat::Png, width, height)
}

/// Returns a small PNG file whose header states 60000 × 60000 pixels.
pub fn bomb() -> Vec<u8> {
    let mut bytes = png(2, 2);
    bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    bytes
}
