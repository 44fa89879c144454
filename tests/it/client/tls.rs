//! Tests of the client over TLS, through a proxy whose certificate is signed by the CA in `tls/`. The keys in `tls/`
//! are used only in these tests. The CA's private key was deleted.

use std::{net::SocketAddr, process::Stdio, sync::Arc};

use runyard_upstream::Turn;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    process::Command,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::test_server::{TEST_TIMEOUT, on_every_database};

/// The certificate of the CA.
pub const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/client/tls/authority.pem");

/// Starts a proxy that terminates TLS for `localhost` and forwards to `server`. Clients may use `protocol` (ALPN).
/// Returns the port of the proxy.
pub async fn tls_proxy(server: SocketAddr, protocol: &[u8]) -> u16 {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate disconnects here.
                let Ok(mut near) = acceptor.accept(near).await else {
                    return;
                };
                let mut far = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_is_reached_over_tls_when_its_certificate_is_trusted() {
    on_every_database(
        |_| Turn::words(1),
        async |server| {
            let url = format!("https://localhost:{}", tls_proxy(server.address, b"h2").await);
            let list = async |trusted: Option<&str>| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_runyard"));
                command
                    .args(["agents", "list", "--server", &url])
                    .env_clear()
                    .env("RUNYARD_TOKEN", server.caller("ann").token)
                    .stdin(Stdio::null())
                    .kill_on_drop(true);
                command.envs(trusted.map(|path| ("SSL_CERT_FILE", path)));
                let output = timeout(TEST_TIMEOUT, command.output()).await.expect("an end").unwrap();
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                (output.status.code(), text(output.stdout), text(output.stderr))
            };
            let (code, out, errors) = list(Some(AUTHORITY)).await;
            assert_eq!(code, Some(0), "{errors}");
            assert!(out.is_empty() && errors.contains("you have no agents"), "{out}{errors}");
            let (code, out, errors) = list(None).await;
            assert_eq!((code, out.as_str()), (Some(1), ""));
            assert!(errors.contains("no server answers at https://localhost"), "{errors}");
            assert!(errors.contains("certificate"), "{errors}");
        },
    )
    .await;
}
