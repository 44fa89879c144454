//! HTTP clients that share the TLS settings and the CA certificates of the system.
//!
//! reqwest loads the certificates again for each client, which takes some milliseconds. The clients of this crate load one
//! copy, at the first connection with TLS.

mod verifier;

use std::sync::{Arc, LazyLock};

use reqwest::ClientBuilder;
use rustls::{
    ClientConfig,
    crypto::{CryptoProvider, aws_lc_rs},
};

use verifier::SystemVerifier;

static TLS: LazyLock<Option<ClientConfig>> = LazyLock::new(|| {
    let provider = CryptoProvider::get_default().map_or_else(|| Arc::new(aws_lc_rs::default_provider()), Arc::clone);
    let verifier = SystemVerifier::new(Arc::clone(&provider));
    let config = ClientConfig::builder_with_provider(provider);
    let mut config = config
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    Some(config)
});

/// Returns a builder whose clients verify servers with the CA certificates of the system. The clients share these
/// certificates and their TLS sessions.
pub fn builder() -> ClientBuilder {
    let builder = reqwest::Client::builder();
    match &*TLS {
        Some(config) => builder.tls_backend_preconfigured(config.clone()),
        // reqwest reports the reason when it builds the client.
        None => builder,
    }
}
