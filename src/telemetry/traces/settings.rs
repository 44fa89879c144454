//! Reads the `OTEL_` variables that the libraries do not read, or read without an error for a wrong value.

use std::time::Duration;

use url::Url;

use crate::{
    config::environment::Lookup,
    error::{Error, Result},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    HttpProtobuf,
}

impl Protocol {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    /// `None` for the default endpoint of the protocol.
    pub(super) endpoint: Option<Url>,
    /// True if a variable contains the name of the service.
    pub(super) names_service: bool,
    /// True if the trace context of callers is accepted, and passed on.
    pub(super) propagates: bool,
    /// Maximum time of an export.
    pub(super) timeout: Duration,
    /// Paths of files in PEM: certificates of authorities, and the certificate and the key of the client.
    pub(super) certificate: Option<String>,
    pub(super) client_certificate: Option<String>,
    pub(super) client_key: Option<String>,
}

/// The default of the OpenTelemetry specification.
const TIMEOUT: Duration = Duration::from_secs(10);
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";
const RATIO_SAMPLERS: [&str; 2] = ["traceidratio", "parentbased_traceidratio"];
const SAMPLERS: [&str; 4] = [
    "always_on",
    "always_off",
    "parentbased_always_on",
    "parentbased_always_off",
];
/// Variables with a positive whole number.
const NUMBERS: [&str; 9] = [
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
];

impl Settings {
    /// Returns `None` if tracing is off: if it is disabled, or if no variable contains an endpoint or the exporter `otlp`.
    pub(super) fn read(lookup: Lookup<'_>) -> Result<Option<Self>> {
        if lookup("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let endpoint = of_traces(lookup, "ENDPOINT");
        let exporter = lookup(EXPORTER);
        match (exporter.as_deref().map(str::trim), &endpoint) {
            (Some("none"), _) | (None, None) => return Ok(None),
            (Some("otlp"), _) | (None, Some(_)) => {}
            (Some(other), _) => return wrong(EXPORTER, other, "otlp or none"),
        }
        let protocol = match of_traces(lookup, "PROTOCOL") {
            None => Protocol::HttpProtobuf,
            Some((variable, name)) => match name.as_str() {
                "grpc" => Protocol::Grpc,
                "http/protobuf" => Protocol::HttpProtobuf,
                other => return wrong(&variable, other, "grpc or http/protobuf"),
            },
        };
        let endpoint = match endpoint {
            None => None,
            Some((variable, text)) => match Url::parse(&text) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
                // The endpoint can contain a password, so the error does not repeat it.
                _ => {
                    return Err(Error::invalid(format!(
                        "the variable {variable} must be a URL that begins with http:// or https://"
                    )));
                }
            },
        };
        check_sampler(lookup)?;
        check_numbers(lookup)?;
        let value = |name: &str| of_traces(lookup, name).map(|(_, path)| path);
        Ok(Some(Self {
            protocol,
            endpoint,
            names_service: lookup("OTEL_SERVICE_NAME").is_some()
                || lookup("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|pairs| {
                    pairs
                        .split(',')
                        .any(|pair| pair.split('=').next().map(str::trim) == Some("service.name"))
                }),
            propagates: propagates(lookup)?,
            timeout: value("TIMEOUT")
                .and_then(|millis| millis.parse().ok())
                .map_or(TIMEOUT, Duration::from_millis),
            certificate: value("CERTIFICATE"),
            client_certificate: value("CLIENT_CERTIFICATE"),
            client_key: value("CLIENT_KEY"),
        }))
    }

    /// The host of the endpoint, for the log. The rest of a URL can contain secrets.
    pub(super) fn endpoint_host(&self) -> &str {
        self.endpoint.as_ref().and_then(Url::host_str).unwrap_or("localhost")
    }
}

/// Reads a variable for traces or, if it is unset, the variable for all signals. Returns the variable and its value.
fn of_traces(lookup: Lookup<'_>, name: &str) -> Option<(String, String)> {
    ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"]
        .iter()
        .find_map(|prefix| {
            let variable = format!("{prefix}{name}");
            lookup(&variable).map(|value| (variable, value))
        })
}

fn check_sampler(lookup: Lookup<'_>) -> Result<()> {
    let Some(sampler) = lookup(SAMPLER) else { return Ok(()) };
    if !RATIO_SAMPLERS.contains(&sampler.as_str()) {
        if SAMPLERS.contains(&sampler.as_str()) {
            return Ok(());
        }
        return wrong(SAMPLER, &sampler, &[&SAMPLERS[..], &RATIO_SAMPLERS].concat().join(", "));
    }
    let ratio = lookup(SAMPLER_ARG).unwrap_or_else(|| "1".to_owned());
    match ratio.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(()),
        _ => wrong(SAMPLER_ARG, &ratio, "a number from 0 to 1"),
    }
}

fn check_numbers(lookup: Lookup<'_>) -> Result<()> {
    for variable in NUMBERS {
        if let Some(value) = lookup(variable)
            && !value.parse::<u32>().is_ok_and(|number| number > 0)
        {
            return wrong(variable, &value, "a positive whole number");
        }
    }
    Ok(())
}

fn propagates(lookup: Lookup<'_>) -> Result<bool> {
    let names = lookup(PROPAGATORS).unwrap_or_else(|| "tracecontext".to_owned());
    let mut found = false;
    for name in names.split(',').map(str::trim) {
        match name {
            "tracecontext" => found = true,
            // Baggage can contain data of the caller's users, so it is not passed to model providers.
            "baggage" | "none" => {}
            other => return wrong(PROPAGATORS, other, "tracecontext, baggage or none"),
        }
    }
    Ok(found)
}

fn wrong<T>(variable: &str, value: &str, expected: &str) -> Result<T> {
    Err(Error::invalid(format!(
        "the variable {variable} must be {expected}, not {value:?}"
    )))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Settings>> {
        let lookup = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&lookup)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    #[test]
    fn only_an_endpoint_or_the_exporter_turns_tracing_on() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "agents")]).unwrap(), None);
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]).unwrap(), None);
        assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]).unwrap(), None);
        let on = read(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!(
            (on.protocol, on.endpoint_host(), on.names_service, on.propagates),
            (Protocol::HttpProtobuf, "collector", false, true)
        );
        assert_eq!(on.timeout, Duration::from_secs(10));
        let standard = read(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().unwrap();
        assert_eq!(
            (standard.endpoint.as_ref(), standard.endpoint_host()),
            (None, "localhost")
        );
    }

    #[test]
    fn variables_for_traces_take_precedence() {
        let settings = read(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example/v1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_RESOURCE_ATTRIBUTES", "region=eu, service.name=agents"),
            ("OTEL_PROPAGATORS", "none"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(
            (settings.protocol, settings.endpoint_host()),
            (Protocol::Grpc, "traces.example")
        );
        assert!(settings.names_service && !settings.propagates);
        assert_eq!(settings.certificate.as_deref(), Some("/ca.pem"));
    }

    #[test]
    fn errors_name_the_variable() {
        for (variable, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_PROPAGATORS", "b3"),
        ] {
            let refused = read(&[ENDPOINT, (variable, value)]).unwrap_err();
            assert!(refused.message().contains(variable), "{}", refused.message());
        }
        let ratio = |value| {
            read(&[
                ENDPOINT,
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", value),
            ])
        };
        assert!(ratio("0.25").is_ok());
        assert!(ratio("25 %").unwrap_err().message().contains("OTEL_TRACES_SAMPLER_ARG"));
        let secret = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://user:password@host")]).unwrap_err();
        assert!(!secret.message().contains("password"));
    }
}
