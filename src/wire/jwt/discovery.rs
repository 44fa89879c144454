//! The discovery document of an issuer (OpenID Connect Discovery 1.0).
//!
//! Invariant: a discovery document of another issuer is refused.

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::remote::Fetcher;

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// The endpoints with which a browser signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub authorization: Url,
    pub token: Url,
    pub end_session: Option<Url>,
    pub revocation: Option<Url>,
    /// The algorithms that may sign ID tokens; empty if the document does not list them.
    pub signing_algorithms: Vec<String>,
    /// True if the issuer adds `iss` to its answers (RFC 9207).
    pub names_issuer: bool,
}

pub(super) struct Discovery {
    pub(super) keys: Url,
    /// The endpoints, or the reason why the document permits no sign-in.
    pub(super) endpoints: Result<Endpoints, String>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    /// An unusable value of any other member must not prevent the loading of the keys.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Returns the URL of an issuer's discovery document.
pub(super) fn url_of(fetcher: &Fetcher, issuer: &str) -> Result<Url, String> {
    if issuer.contains(WELL_KNOWN) {
        return Err(format!("{issuer:?} must be the issuer, without {WELL_KNOWN}"));
    }
    if issuer.contains(['?', '#']) {
        return Err(format!("{issuer:?} must not contain a query or a fragment"));
    }
    fetcher.check(&format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/')))
}

/// Reads the text of a discovery document.
pub(super) fn read(fetcher: &Fetcher, issuer: &str, text: &str) -> Result<Discovery, String> {
    let document: Document =
        serde_json::from_str(text).map_err(|error| format!("the response is not a discovery document: {error}"))?;
    if document.issuer != issuer {
        return Err(format!(
            "the discovery document names the issuer {:?}, but auth.issuer_url is {issuer:?}; set auth.issuer_url to exactly that \
             issuer",
            document.issuer
        ));
    }
    let keys = fetcher
        .check(&document.jwks_uri)
        .map_err(|why| format!("jwks_uri: {why}"))?;
    Ok(Discovery {
        keys,
        endpoints: endpoints(fetcher, &document.others),
    })
}

fn endpoints(fetcher: &Fetcher, document: &Map<String, Value>) -> Result<Endpoints, String> {
    let optional = |name: &str| {
        let url = document.get(name).and_then(Value::as_str);
        url.map(|url| fetcher.check(url).map_err(|why| format!("{name}: {why}")))
            .transpose()
    };
    let required =
        |name: &str| optional(name)?.ok_or_else(|| format!("the discovery document of the issuer has no {name}"));
    let token = required("token_endpoint")?;
    // The content security policy of the console permits requests to the origin of the token endpoint only.
    let revocation = optional("revocation_endpoint")?.filter(|url| url.origin() == token.origin());
    let algorithms = document.get("id_token_signing_alg_values_supported");
    let algorithms = algorithms.and_then(Value::as_array).into_iter().flatten();
    Ok(Endpoints {
        authorization: required("authorization_endpoint")?,
        token,
        end_session: optional("end_session_endpoint")?,
        revocation,
        signing_algorithms: algorithms.filter_map(Value::as_str).map(str::to_owned).collect(),
        names_issuer: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
    })
}
