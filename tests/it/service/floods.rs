//! Tests of clients that send as much data as they can. The memory of the program stays small, and other clients are
//! served.

use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use reqwest::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::program::{OPEN, Program};
use crate::test_server::TEST_TIMEOUT;

const MAX_GROWTH: u64 = 48 * 1024 * 1024;
const FLOOD: usize = 64 * 1024 * 1024;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Returns an HPACK header block that adds nothing to the dynamic table. `method` is an index into the static table.
pub(super) fn block(method: u8, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    // `:method` and `:scheme: http` are complete entries of the static table. The table contains only the names of
    // `:path` and `:authority`.
    let mut block = vec![0x80 | method, 0x86, 0x04];
    let text = |block: &mut Vec<u8>, text: &str| {
        let length = text.len();
        if length < 127 {
            block.push(u8::try_from(length).unwrap());
        } else {
            block.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128 + 128).unwrap());
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
        block.extend_from_slice(text.as_bytes());
    };
    text(&mut block, path);
    block.push(0x01);
    text(&mut block, "a");
    for (name, value) in more {
        block.push(0x00);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

pub(super) const GET: u8 = 2;
pub(super) const POST: u8 = 3;

async fn open(program: &Program) -> TcpStream {
    let mut stream = TcpStream::connect(program.address).await.unwrap();
    // Without TCP_NODELAY, each small frame would wait about 40 ms for the acknowledgement of the previous frame.
    stream.set_nodelay(true).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

#[derive(Debug, PartialEq)]
enum End {
    Closed,
    /// The server stopped reading, because the client does not read the responses.
    Stalled,
    /// The server read the whole flood.
    Taken,
}

/// Sends up to [`FLOOD`] bytes without reading the answers. The server has `seconds` to read each piece.
async fn flood(program: &Program, seconds: u64, mut piece: impl FnMut(u32) -> Vec<u8>) -> End {
    let mut stream = open(program).await;
    let mut sent = 0;
    for number in 0.. {
        let bytes = piece(number);
        sent += bytes.len();
        match timeout(Duration::from_secs(seconds), stream.write_all(&bytes)).await {
            Err(_) => return End::Stalled,
            Ok(Err(_)) => return End::Closed,
            Ok(Ok(())) if sent >= FLOOD => return End::Taken,
            Ok(Ok(())) => {}
        }
    }
    End::Taken
}

pub(super) async fn assert_served(program: &Program) {
    let others = program.request("GET", "/agents").send();
    let answer = timeout(TEST_TIMEOUT, others)
        .await
        .expect("other clients should be served")
        .unwrap();
    assert_eq!(answer.status(), 200);
}

/// Runs an attack while another client sends requests. Returns the outcome of the attack.
async fn beside<T>(program: &Program, what: &str, hostile: impl Future<Output = T>) -> T {
    assert_served(program).await;
    let before = program.memory();
    let work = async {
        let ((), outcome) = tokio::join!(
            async {
                for _ in 0..20 {
                    assert_served(program).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            hostile
        );
        outcome
    };
    let (outcome, most) = program.most(work).await;
    let growth = most.saturating_sub(before);
    assert!(growth < MAX_GROWTH, "{what} took {} MiB", growth / 1024 / 1024);
    assert_served(program).await;
    outcome
}

#[tokio::test]
async fn u04_floods_of_http2_frames_are_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let ask = block(GET, "/healthz", &[]);

    let end = beside(&program, "rapid reset", async {
        flood(&program, 15, |number| {
            let (mut bytes, first) = (Vec::new(), number * 200 + 1);
            for stream in (first..first + 200).step_by(2) {
                bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &ask));
                bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            }
            bytes
        })
        .await
    });
    assert_eq!(
        end.await,
        End::Closed,
        "endless opened and reset streams should close the connection"
    );

    let end = beside(&program, "continuation", async {
        let mut first = true;
        flood(&program, 15, |_| {
            let more = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat().repeat(100);
            let begin = if std::mem::take(&mut first) {
                frame(HEADERS, 0, 1, &ask)
            } else {
                Vec::new()
            };
            [begin, frame(CONTINUATION, 0, 1, &more)].concat()
        })
        .await
    });
    assert_eq!(end.await, End::Closed, "endless headers should close the connection");

    for (what, kind, payload) in [
        ("settings", SETTINGS, &[0, 4, 0, 1, 0, 0][..]),
        ("pings", PING, &[0; 8][..]),
    ] {
        let bytes = frame(kind, 0, 0, payload).repeat(500);
        let end = beside(&program, what, flood(&program, 2, |_| bytes.clone())).await;
        assert_ne!(
            end,
            End::Taken,
            "endless {what} with unread answers should not be accepted"
        );
    }
    let end = beside(&program, "data without a stream", async {
        flood(&program, 15, |_| frame(DATA, 0, 1, &[0; 16_384])).await
    });
    assert_eq!(end.await, End::Closed);
}

/// Reads frames until `wanted` returns a value for a frame's type, stream id and payload. Returns `None` if the
/// connection ends first.
pub(super) async fn find<T>(stream: &mut TcpStream, mut wanted: impl FnMut(u8, u32, &[u8]) -> Option<T>) -> Option<T> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if let Some(found) = wanted(head[3], number, &payload) {
            return Some(found);
        }
    }
}

/// The server announces the maximum number of concurrent streams. It refuses only streams beyond this number.
#[tokio::test]
async fn h05_streams_beyond_the_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let hostile = async {
        let mut stream = open(&program).await;
        let limit = find(&mut stream, |kind, _, payload| {
            let settings = payload.chunks_exact(6).filter(|_| kind == SETTINGS);
            let most = settings.filter(|setting| setting[..2] == [0, 3]);
            most.map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()))
                .next()
        });
        let limit = timeout(TEST_TIMEOUT, limit)
            .await
            .unwrap()
            .expect("the server should announce the limit");
        assert_eq!(limit, 1000);
        // The bodies of these requests never arrive, so each request keeps its stream open.
        let token = format!("Bearer {}", program.token);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let ask = block(POST, "/threads", &headers);
        for number in 0..=limit {
            let bytes = frame(HEADERS, END_HEADERS, number * 2 + 1, &ask);
            stream.write_all(&bytes).await.unwrap();
        }
        let last = limit * 2 + 1;
        let refused = find(&mut stream, |kind, number, payload| {
            assert_ne!(kind, GO_AWAY, "only the stream should be refused, not the connection");
            (kind == RST_STREAM).then(|| (number, u32::from_be_bytes(payload.try_into().unwrap())))
        });
        let refused = timeout(TEST_TIMEOUT, refused).await.unwrap();
        // The error code REFUSED_STREAM (7) tells the client that it may retry.
        assert_eq!(refused, Some((last, 7)));
    };
    beside(&program, "a thousand streams", hostile).await;
}

/// The server answers a refused request before the body arrives. When body bytes arrive later, the server closes
/// neither the connection nor its other streams.
#[tokio::test]
async fn l11_thousands_of_refusals_keep_the_connection_open() {
    const REFUSALS: u32 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let mut stream = open(&program).await;
    let others = async {
        for number in 0..=REFUSALS {
            let id = number * 2 + 1;
            let is_last = number == REFUSALS;
            // The first request has a valid token. Otherwise the server would close the connection after a minute.
            let is_good = is_last || number == 0;
            let token = format!("Bearer {}", if is_good { &program.token } else { "x.y.z" });
            let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
            let (method, flags) = if is_good { (GET, END_STREAM) } else { (POST, 0) };
            let ask = frame(HEADERS, END_HEADERS | flags, id, &block(method, "/agents", &headers));
            stream.write_all(&ask).await.unwrap();
            let status = find(&mut stream, |kind, at, payload| {
                assert_ne!(
                    kind,
                    GO_AWAY,
                    "after {number}: {}",
                    String::from_utf8_lossy(&payload[8..])
                );
                // In HPACK, the byte 0x88 is the entry `:status: 200` of the static table.
                (kind == HEADERS && at == id).then(|| payload[0] == 0x88)
            });
            let is_accepted = timeout(TEST_TIMEOUT, status).await.unwrap();
            assert_eq!(is_accepted, Some(is_good), "{number}");
            if !is_good {
                let late = [
                    frame(DATA, 0, id, b"{"),
                    frame(DATA, 0, id, b"}"),
                    frame(DATA, END_STREAM, id, b""),
                ];
                stream.write_all(&late.concat()).await.unwrap();
            }
        }
    };
    others.await;
}

#[tokio::test]
async fn h05_thousands_of_idle_connections_delay_no_other_client() {
    const CONNECTIONS: usize = 3000;
    let (soft, hard) = descriptors();
    assert!(
        hard > 4000,
        "this test needs 4000 file descriptors, the hard limit is {hard}"
    );
    if soft < 4000 {
        rustix::process::setrlimit(
            rustix::process::Resource::Nofile,
            rustix::process::Rlimit {
                current: Some(4000),
                maximum: Some(hard),
            },
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let hostile = async {
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for number in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(program.address).await.unwrap();
            let half: &[u8] = match number % 4 {
                0 => b"",
                1 => b"PRI * HTTP/2.0\r\n\r\nSM",
                2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
                _ => b"POST /agents HTTP/1.1\r\nHost: a\r\nX-Slow: ",
            };
            stream.write_all(half).await.unwrap();
            connections.push(stream);
        }
        assert_served(&program).await;
        connections
    };
    let connections = beside(&program, "idle connections", hostile).await;
    assert_eq!(connections.len(), CONNECTIONS);
}

fn descriptors() -> (u64, u64) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// A small message that would expand to a gibibyte is refused. gRPC and Connect stop decompressing at the maximum
/// message size. HTTP accepts no compressed messages.
#[tokio::test]
async fn h07_a_compression_bomb_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let send = async |encoding: &str, is_compressed: bool, message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[u8::from(is_compressed)][..], &length, message].concat();
        let request = client
            .post(format!("{}/runyard.v1.AgentService/ListAgents", program.url))
            .bearer_auth(&program.token)
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding);
        let answer = timeout(TEST_TIMEOUT, request.body(body).send()).await.unwrap().unwrap();
        let status = answer.headers().get("grpc-status");
        status.map_or(0, |status| status.to_str().unwrap().parse::<u8>().unwrap())
    };
    let bomb = bomb(1024);
    assert!(bomb.len() < 2 * 1024 * 1024, "the compressed message should be small");
    assert_eq!(
        send("identity", false, &[]).await,
        0,
        "an uncompressed message should be accepted"
    );
    let frame = runyard_transcode::compression::Encoding::Zstd.compress(&vec![0; 64 * 1024 * 1024]);
    let zstd_bomb = frame.unwrap();
    for (encoding, bomb, expected) in [("gzip", &bomb, 8), ("deflate", &bomb, 12), ("zstd", &zstd_bomb, 8)] {
        let status = beside(&program, encoding, send(encoding, true, bomb)).await;
        assert_eq!(status, expected, "{encoding} over gRPC");
        let connect = async {
            let request = program.request("POST", "/runyard.v1.ThreadService/CreateThread");
            let request = request.header("content-encoding", encoding).body(bomb.clone());
            let answer = timeout(TEST_TIMEOUT, request.header("content-type", "application/json").send());
            answer.await.unwrap().unwrap().status().as_u16()
        };
        let status = beside(&program, encoding, connect).await;
        let expected = if expected == 8 { 429 } else { 501 };
        assert_eq!(status, expected, "{encoding} over Connect");
        let others = async {
            let request = program.request("POST", "/threads").header("content-encoding", encoding);
            let request = request.header("content-type", "application/json").body(bomb.clone());
            timeout(TEST_TIMEOUT, request.send())
                .await
                .unwrap()
                .unwrap()
                .status()
                .as_u16()
        };
        let status = beside(&program, encoding, others).await;
        assert!((400..500).contains(&status), "{encoding} over HTTP: {status}");
    }
}

/// Returns this many mebibytes of zeros, compressed with gzip.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut output = Vec::with_capacity(64 * 1024);
    let mut deflate = Compress::new(Compression::best(), false);
    // A full flush makes the chunk independent of the data before it, so the chunk can be repeated.
    let piece = deflate.compress_vec(&vec![0; 1024 * 1024], &mut output, FlushCompress::Full);
    assert_eq!(piece.unwrap(), flate2::Status::Ok);
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..], &output.repeat(mebibytes)].concat()
}
