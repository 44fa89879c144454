//! Tests of the connection limit. When it is reached, the server closes idle connections without a credential. At any
//! time, the server closes a connection that has sent no valid credential within a minute.

use std::time::Duration;

use runyard_upstream::Turn;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::test_server::{TEST_TIMEOUT, on_every_database_with};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn closed(stream: &mut TcpStream) {
    let mut piece = [0; 4096];
    while !matches!(stream.read(&mut piece).await, Ok(0) | Err(_)) {}
}

#[tokio::test]
async fn at_the_connection_limit_the_oldest_unauthenticated_connection_is_closed() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.http.max_connections = 20,
        async |server| {
            let token = server.caller("ann").token;
            // This client is authenticated. Its connection is as idle as the other connections.
            let mut known = TcpStream::connect(server.address).await.unwrap();
            let ask = format!("GET /agents HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
            known.write_all(ask.as_bytes()).await.unwrap();
            let mut piece = [0; 4096];
            let read = known.read(&mut piece).await.unwrap();
            assert!(piece[..read].starts_with(b"HTTP/1.1 200"));
            let mut idle = Vec::new();
            for number in 0..100 {
                let mut stream = TcpStream::connect(server.address).await.unwrap();
                let first: &[u8] = if number % 2 == 0 { PREFACE } else { b"" };
                // The server may already have closed the connection.
                let _ = stream.write_all(first).await;
                idle.push(stream);
            }
            let client = reqwest::Client::new();
            let request = client.get(server.url("/healthz")).send();
            let answer = timeout(TEST_TIMEOUT, request)
                .await
                .expect("other clients should be served")
                .unwrap();
            assert_eq!(answer.status(), 200);
            timeout(TEST_TIMEOUT, closed(&mut idle[0]))
                .await
                .expect("the oldest connection should be closed");
            known.write_all(ask.as_bytes()).await.unwrap();
            let read = timeout(TEST_TIMEOUT, known.read(&mut piece)).await.unwrap().unwrap();
            assert!(
                piece[..read].starts_with(b"HTTP/1.1 200"),
                "the authenticated client should keep its connection"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_connection_without_a_credential_is_closed_after_a_minute() {
    on_every_database_with(
        |_| Turn::text("x"),
        |_| {},
        async |server| {
            let caller = server.caller("ann");
            let mut silent = TcpStream::connect(server.address).await.unwrap();
            silent.write_all(PREFACE).await.unwrap();
            // An authenticated HTTP/2 client keeps its connection, although the connection is as idle as `silent`.
            let client = reqwest::Client::builder()
                .http2_prior_knowledge()
                .pool_idle_timeout(None)
                .build()
                .unwrap();
            let ask = || client.get(server.url("/agents")).bearer_auth(&caller.token).send();
            let first = ask().await.unwrap();
            assert_eq!(first.status(), 200);
            timeout(Duration::from_secs(100), closed(&mut silent))
                .await
                .expect("the server should close the connection");
            assert_eq!(ask().await.unwrap().status(), 200);
        },
    )
    .await;
}
