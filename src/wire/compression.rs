//! Compresses large messages of gRPC responses with gzip or zstd, if the client accepts one of them.
//!
//! This layer replaces tonic's compression of responses. tonic would also compress small messages, which saves
//! little, and the contents of files, although most large files are already compressed.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures::TryFutureExt;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use prost_reflect::DescriptorPool;
use runyard_transcode::compression::{Encoding, MIN_BYTES};
use tonic::{Status, body::Body};
use tower::{ServiceExt, service_fn};

use super::answers::Answers;

const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Message type of a chunk of a file.
const HTTP_BODY: &str = "google.api.HttpBody";
/// Size in bytes of a gRPC message header: one byte of flags and four bytes of length.
const HEADER_BYTES: usize = 5;
const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;

pub(super) fn compress_answers<S: Answers<Body>>(grpc: S, pool: &DescriptorPool) -> impl Answers<Body> + use<S> {
    let files = Arc::new(methods_of_files(pool));
    service_fn(move |request: Request<Body>| {
        let accepted = Encoding::accepted(request.headers(), &ACCEPT_ENCODING);
        let encoding = accepted.filter(|_| !files.contains(request.uri().path()));
        grpc.clone().oneshot(request).map_ok(move |answer| match encoding {
            Some(encoding) => compressed(answer, encoding),
            None => answer,
        })
    })
}

/// Returns the gRPC paths of the methods that send files.
fn methods_of_files(pool: &DescriptorPool) -> HashSet<String> {
    let methods = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>());
    methods
        .filter(|method| method.output().full_name() == HTTP_BODY)
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect()
}

fn compressed(mut answer: Response<Body>, encoding: Encoding) -> Response<Body> {
    // A gRPC status in the headers means that the response has no messages. An encoding means that the messages are
    // already compressed.
    if answer.headers().contains_key(&STATUS) || answer.headers().contains_key(&ENCODING) {
        return answer;
    }
    let name = HeaderValue::from_static(encoding.as_str());
    answer.headers_mut().insert(ENCODING, name);
    answer.map(|body| {
        Body::new(CompressedBody {
            body,
            encoding,
            received: BytesMut::new(),
        })
    })
}

struct CompressedBody {
    body: Body,
    encoding: Encoding,
    /// Received bytes of an incomplete message.
    received: BytesMut,
}

impl CompressedBody {
    /// Removes the complete messages from `received`, compresses the large ones and returns all of them.
    fn take_messages(&mut self) -> Bytes {
        let mut out = Vec::with_capacity(self.received.len());
        while let Some(length) = first_length(&self.received) {
            let message = self.received.split_to(HEADER_BYTES + length);
            if !self.compress(&message, &mut out) {
                out.extend_from_slice(&message);
            }
        }
        out.into()
    }

    /// Compresses a message and appends it to `out`. Returns false and appends nothing if the message is too small,
    /// already compressed, or would not become smaller.
    fn compress(&self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let (header, content) = message.split_at(HEADER_BYTES);
        if header[0] != PLAIN || content.len() < MIN_BYTES {
            return false;
        }
        let packed = self.encoding.compress(content).unwrap_or_default();
        match u32::try_from(packed.len()) {
            Ok(length) if !packed.is_empty() && packed.len() < content.len() => {
                out.push(COMPRESSED);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&packed);
                true
            }
            _ => false,
        }
    }
}

/// Returns the length of the first message without its header. Returns `None` if the message is incomplete.
fn first_length(received: &[u8]) -> Option<usize> {
    let &[_, a, b, c, d] = received.first_chunk::<HEADER_BYTES>()?;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    (received.len() - HEADER_BYTES >= length).then_some(length)
}

/// Returns true if a frame consists of complete messages that are too small to compress.
fn is_small(mut frame: &[u8]) -> bool {
    while let Some(length) = first_length(frame) {
        if length >= MIN_BYTES {
            return false;
        }
        frame = &frame[HEADER_BYTES + length..];
    }
    frame.is_empty()
}

impl http_body::Body for CompressedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            if self.received.is_empty() && is_small(&data) {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            self.received.extend_from_slice(&data);
            let messages = self.take_messages();
            if !messages.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(messages))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.received.len() as u64);
        hint
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failing test panics")]

    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn framed(content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[PLAIN][..], &length, content].concat()
    }

    /// Sends the bytes in chunks of `piece` bytes. Returns each received message, with true if it was compressed.
    async fn messages(sent: &[u8], piece: usize, encoding: Encoding) -> Vec<(bool, Vec<u8>)> {
        let pieces: Vec<_> = sent
            .chunks(piece)
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let answer = compressed(
            Response::new(Body::new(StreamBody::new(stream::iter(pieces)))),
            encoding,
        );
        assert_eq!(answer.headers()[ENCODING], encoding.as_str());
        let received = answer.into_body().collect().await.unwrap().to_bytes();
        let mut rest = &received[..];
        let mut messages = Vec::new();
        while let Some(length) = first_length(rest) {
            let (message, after) = rest.split_at(HEADER_BYTES + length);
            rest = after;
            let content = &message[HEADER_BYTES..];
            messages.push(match message[0] {
                PLAIN => (false, content.to_vec()),
                _ => (true, encoding.decompress(content, 1 << 20).unwrap()),
            });
        }
        assert!(rest.is_empty());
        messages
    }

    #[tokio::test]
    async fn only_large_messages_are_compressed() {
        let large = b"the same words, ".repeat(1000);
        let sent = [framed(b"small"), framed(&large), framed(b""), framed(&large)].concat();
        let expected = [
            (false, b"small".to_vec()),
            (true, large.clone()),
            (false, Vec::new()),
            (true, large),
        ];
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            for piece in [1, 7, 5000, sent.len()] {
                assert_eq!(messages(&sent, piece, encoding).await, expected, "{encoding:?} {piece}");
            }
        }
    }

    #[test]
    fn frames_of_small_messages_are_recognised() {
        let small = [framed(b"a"), framed(b"")].concat();
        assert!(is_small(&small));
        assert!(!is_small(&small[..small.len() - 1]), "an incomplete message");
        assert!(!is_small(&framed(&[0; MIN_BYTES])));
    }
}
