//! Builds the exporter of spans. The libraries read the endpoint, the headers, the timeout and the compression from the
//! `OTEL_EXPORTER_OTLP_` variables.

use std::{fs, time::Duration};

use opentelemetry_otlp::{SpanExporter, WithHttpConfig, WithTonicConfig, tonic_types::transport as tls};
use reqwest::{blocking::Client, redirect::Policy};
use tokio::runtime::Handle;

use super::settings::{Protocol, Settings};
use crate::error::{Error, Result};

pub(super) fn build(settings: &Settings, runtime: &Handle) -> Result<SpanExporter> {
    let files = Files::read(settings)?;
    let built = match settings.protocol {
        Protocol::Grpc => {
            // The connection's task runs on this runtime.
            let _entered = runtime.enter();
            let mut exporter = SpanExporter::builder().with_tonic();
            if settings.endpoint.as_ref().is_some_and(|url| url.scheme() == "https") {
                exporter = exporter.with_tls_config(files.for_grpc());
            }
            exporter.build()
        }
        Protocol::HttpProtobuf => SpanExporter::builder()
            .with_http()
            .with_http_client(files.for_http(settings.timeout)?)
            .build(),
    };
    built.map_err(|error| Error::invalid(format!("the OTEL_EXPORTER_OTLP_ variables are wrong: {error}")))
}

/// The content of the files in PEM.
struct Files {
    authorities: Option<Vec<u8>>,
    /// Certificate and key.
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Files {
    fn read(settings: &Settings) -> Result<Self> {
        let load = |name: &str, path: &Option<String>| {
            let load = |path: &String| {
                fs::read(path).map_err(|error| {
                    Error::invalid(format!(
                        "the variable OTEL_EXPORTER_OTLP_{name} names the file {path:?}, which cannot be read: {error}"
                    ))
                })
            };
            path.as_ref().map(load).transpose()
        };
        let certificate = load("CLIENT_CERTIFICATE", &settings.client_certificate)?;
        let client = match (certificate, load("CLIENT_KEY", &settings.client_key)?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(Error::invalid(
                    "set both OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY, or neither",
                ));
            }
        };
        Ok(Self {
            authorities: load("CERTIFICATE", &settings.certificate)?,
            client,
        })
    }

    fn for_grpc(self) -> tls::ClientTlsConfig {
        let mut config = tls::ClientTlsConfig::new();
        config = match self.authorities {
            Some(authorities) => config.ca_certificate(tls::Certificate::from_pem(authorities)),
            None => config.with_native_roots(),
        };
        match self.client {
            Some((certificate, key)) => config.identity(tls::Identity::from_pem(certificate, key)),
            None => config,
        }
    }

    fn for_http(self, timeout: Duration) -> Result<Client> {
        let wrong = |name: &'static str| {
            move |error: reqwest::Error| {
                Error::invalid(format!(
                    "the file of OTEL_EXPORTER_OTLP_{name} is not valid PEM: {error}"
                ))
            }
        };
        let mut client = Client::builder().redirect(Policy::none()).timeout(timeout);
        if let Some(authorities) = self.authorities {
            let authorities = reqwest::Certificate::from_pem_bundle(&authorities).map_err(wrong("CERTIFICATE"))?;
            client = client.tls_certs_only(authorities);
        }
        if let Some((mut certificate, key)) = self.client {
            certificate.push(b'\n');
            certificate.extend(key);
            let identity = reqwest::Identity::from_pem(&certificate).map_err(wrong("CLIENT_CERTIFICATE"))?;
            client = client.identity(identity);
        }
        client
            .build()
            .map_err(|error| Error::internal("the HTTP client of the trace exporter could not start", error))
    }
}
