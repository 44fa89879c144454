//! Settings of the sign-in with OpenID Connect in the console.

use serde::Deserialize;

use super::{Auth, place::Mistake};

/// The scope that makes an OAuth request an OpenID Connect request.
const OPENID: &str = "openid";

/// The settings of the console as a public client of the identity provider. None of them is secret: the server sends them
/// to everyone who opens the console.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Client id of the console. If it is `None`, the console accepts only a token that the user enters.
    pub client_id: Option<String>,
    pub scopes: Vec<String>,
    /// Parameter `audience` of the sign-in request. Auth0 needs it to issue a JWT as the access token.
    pub audience: Option<String>,
    /// Parameter `resource` (RFC 8707) of the sign-in and token requests. Logto and others need it to issue a JWT as the
    /// access token.
    pub resource: Option<String>,
    /// Parameter `prompt` of the sign-in request, such as `select_account`.
    pub prompt: Option<String>,
    /// Text of the button in the console.
    pub button: Option<String>,
    /// The token that the console sends to the API.
    pub token: SignInToken,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SignInToken {
    AccessToken,
    /// For providers whose access tokens are opaque.
    IdToken,
}

impl SignInToken {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::IdToken => "id_token",
        }
    }
}

pub(super) fn check(auth: &Auth) -> Result<(), Mistake<'_>> {
    let settings = &auth.sign_in;
    let at = |key: &'static str, what: String| Err(Mistake::at(["auth", "sign_in", key], what));
    for (key, value) in [
        ("client_id", &settings.client_id),
        ("audience", &settings.audience),
        ("resource", &settings.resource),
        ("prompt", &settings.prompt),
        ("button", &settings.button),
    ] {
        let Some(value) = value else { continue };
        if value.trim().is_empty() || value.contains(char::is_control) {
            return at(key, "must be a text without control characters".to_owned());
        }
        if settings.client_id.is_none() {
            return at(
                key,
                "has no effect without a client: also set auth.sign_in.client_id".to_owned(),
            );
        }
    }
    if let Some(scope) = settings.scopes.iter().find(|scope| !is_scope(scope)) {
        return at(
            "scopes",
            format!("{scope:?} is not a scope: write each scope as its own text in the list, without spaces"),
        );
    }
    if !settings.scopes.iter().any(|scope| scope == OPENID) {
        return at("scopes", format!("must contain {OPENID:?}"));
    }
    let Some(client) = &settings.client_id else {
        return Ok(());
    };
    if auth.issuer_url.is_none() {
        return at(
            "client_id",
            "needs auth.issuer_url: the discovery document of the issuer names its sign-in page".to_owned(),
        );
    }
    if !auth.client_ids.is_empty() && !auth.client_ids.contains(client) {
        return at(
            "client_id",
            format!(
                "auth.client_ids does not contain {client:?}, so the server would refuse its tokens; add it to that list"
            ),
        );
    }
    if settings.token == SignInToken::IdToken
        && let Some(audience) = &auth.audience
        && audience != client
    {
        return at(
            "token",
            format!(
                "the audience of an ID token is the client {client:?}, but auth.audience is {audience:?}, so the server would \
                 refuse the token; set auth.audience to the client id"
            ),
        );
    }
    Ok(())
}

/// Returns true for a `scope-token` of RFC 6749, section 3.3.
fn is_scope(text: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    !text.is_empty() && text.bytes().all(is_allowed)
}
