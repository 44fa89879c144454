//! Compresses and decompresses messages with gzip and zstd.
//!
//! Decompression stops when the output exceeds a limit, so a small request cannot exhaust the memory.

use std::io::{self, Read};

use flate2::read::{GzEncoder, MultiGzDecoder};
use http::{HeaderMap, HeaderName};

/// Minimum message size for compression, in bytes. Smaller messages hardly shrink.
pub const MIN_BYTES: usize = 1024;
/// Base-2 logarithm of the maximum zstd window, 8 MiB (recommended by RFC 8878).
const MAX_ZSTD_WINDOW_LOG: u32 = 23;
/// Compression level of gzip and zstd: fast rather than small.
const LEVEL: u32 = 1;

/// A compression algorithm. HTTP, gRPC and Connect use the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// Reason why a message cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// The decompressed message exceeds this limit, in bytes.
    #[error("the decompressed message is larger than {0} bytes")]
    TooLarge(usize),
    /// The input is not valid for the algorithm.
    #[error("the message cannot be decompressed")]
    Invalid(#[source] io::Error),
}

/// The error for a header that names an unsupported algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression; use {}", Encoding::NAMES)]
pub struct UnknownEncoding;

impl Encoding {
    /// The names of all algorithms, in the format of `Accept-Encoding`.
    pub const NAMES: &str = "gzip, zstd";

    /// Returns the name of the algorithm in HTTP headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Returns the algorithm with this name, in any case; `None` if the name is unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Gzip, Self::Zstd]
            .into_iter()
            .find(|encoding| name.eq_ignore_ascii_case(encoding.as_str()))
    }

    /// Returns the algorithm in a header such as `Content-Encoding`; `None` for an uncompressed message.
    ///
    /// # Errors
    /// The header names an algorithm other than `identity`, `gzip` and `zstd`.
    pub fn declared(headers: &HeaderMap, header: &HeaderName) -> Result<Option<Self>, UnknownEncoding> {
        let Some(value) = headers.get(header) else {
            return Ok(None);
        };
        let name = value.to_str().unwrap_or("?").trim();
        if name.is_empty() || name.eq_ignore_ascii_case("identity") {
            return Ok(None);
        }
        Self::from_name(name).map(Some).ok_or(UnknownEncoding)
    }

    /// Returns the first supported algorithm in a header such as `Accept-Encoding`. Weights are ignored, except that
    /// the weight 0 refuses an algorithm.
    pub fn accepted(headers: &HeaderMap, header: &HeaderName) -> Option<Self> {
        let values = headers.get_all(header).iter();
        let names = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let mut wanted = names.filter(|name| !is_refused(name));
        wanted.find_map(|name| Self::from_name(name.split(';').next().unwrap_or_default().trim()))
    }

    /// Returns the compressed message, which can be larger than `message`.
    ///
    /// # Errors
    /// The compression fails, for example because memory is exhausted.
    pub fn compress(self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut output = Vec::with_capacity(message.len() / 2);
        match self {
            Self::Gzip => {
                GzEncoder::new(message, flate2::Compression::new(LEVEL)).read_to_end(&mut output)?;
            }
            Self::Zstd => {
                let level = i32::try_from(LEVEL).unwrap_or_default();
                zstd::stream::read::Encoder::with_buffer(message, level)?.read_to_end(&mut output)?;
            }
        }
        Ok(output)
    }

    /// Decompresses a message, and stops as soon as the output exceeds `max_bytes`.
    ///
    /// # Errors
    /// The output is larger than `max_bytes`, or the input is invalid.
    pub fn decompress(self, message: &[u8], max_bytes: usize) -> Result<Vec<u8>, DecompressError> {
        let mut output = Vec::new();
        let limit = (max_bytes as u64).saturating_add(1);
        let read = match self {
            Self::Gzip => MultiGzDecoder::new(message).take(limit).read_to_end(&mut output),
            Self::Zstd => unpack_zstd(message, limit, &mut output),
        };
        read.map_err(DecompressError::Invalid)?;
        if output.len() > max_bytes {
            return Err(DecompressError::TooLarge(max_bytes));
        }
        Ok(output)
    }
}

fn unpack_zstd(message: &[u8], limit: u64, output: &mut Vec<u8>) -> io::Result<usize> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(message)?;
    decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
    decoder.take(limit).read_to_end(output)
}

/// Returns true if an entry of `Accept-Encoding` has the weight 0.
fn is_refused(entry: &str) -> bool {
    let parameters = entry.split(';').skip(1);
    let mut weights = parameters.filter_map(|parameter| parameter.trim().strip_prefix("q="));
    weights.any(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

    use super::*;

    #[test]
    fn a_message_survives_compression() {
        let message = b"the same words, the same words, the same words".repeat(100);
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let small = encoding.compress(&message).unwrap();
            assert!(small.len() < message.len() / 4, "{encoding:?}");
            assert_eq!(encoding.decompress(&small, message.len()).unwrap(), message);
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = vec![0; 64 * 1024 * 1024];
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let small = encoding.compress(&bomb).unwrap();
            let refused = encoding.decompress(&small, 1_000_000).unwrap_err();
            assert!(
                matches!(refused, DecompressError::TooLarge(1_000_000)),
                "{encoding:?}: {refused}"
            );
            let refused = encoding.decompress(b"not compressed", 1_000_000).unwrap_err();
            assert!(
                matches!(refused, DecompressError::Invalid(_)),
                "{encoding:?}: {refused}"
            );
        }
    }

    #[test]
    fn headers_name_the_encoding() {
        let headers = |value: &'static str| {
            let value = http::HeaderValue::from_static(value);
            HeaderMap::from_iter([(ACCEPT_ENCODING, value.clone()), (CONTENT_ENCODING, value)])
        };
        for (value, accepted) in [
            ("gzip", Some(Encoding::Gzip)),
            ("br, ZSTD;q=0.5, gzip", Some(Encoding::Zstd)),
            ("zstd;q=0, gzip ;q=1", Some(Encoding::Gzip)),
            ("gzip; q=0.000", None),
            ("identity", None),
            ("", None),
        ] {
            assert_eq!(
                Encoding::accepted(&headers(value), &ACCEPT_ENCODING),
                accepted,
                "{value}"
            );
        }
        for (value, declared) in [
            ("gzip", Ok(Some(Encoding::Gzip))),
            ("Zstd", Ok(Some(Encoding::Zstd))),
            ("identity", Ok(None)),
            ("br", Err(UnknownEncoding)),
            ("gzip, gzip", Err(UnknownEncoding)),
        ] {
            assert_eq!(
                Encoding::declared(&headers(value), &CONTENT_ENCODING),
                declared,
                "{value}"
            );
        }
        assert_eq!(Encoding::declared(&HeaderMap::new(), &CONTENT_ENCODING), Ok(None));
    }
}
