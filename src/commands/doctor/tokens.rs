//! Token checks of `runyard doctor`.

use super::Check;
use crate::{
    config::{Auth, Config},
    wire::jwt::{self, PublishedKeys, Verifier},
};

/// Unlike the server, creates no secret.
pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let mut checks = vec![secret(config)];
    if config.auth.has_public_keys() {
        checks.push(rules(&config.auth));
        checks.extend(provider(&config.auth).await);
    }
    checks
}

fn secret(config: &Config) -> Check {
    match jwt::load_secret(config) {
        Err(error) => Check::bad("tokens", error.message()),
        Ok(Some(_)) => Check::ok("tokens", "the secret is long enough and its file is private"),
        Ok(None) if config.auth.has_public_keys() => Check::ok("tokens", "verified with public keys only"),
        Ok(None) => Check::ok("tokens", "the first start will create a secret in the data folder"),
    }
}

/// Warns if the server accepts tokens of every issuer, or tokens that were issued for services other than Runyard.
fn rules(auth: &Auth) -> Check {
    let name = "token claims";
    if auth.expected_issuer().is_none() {
        let message =
            "tokens of every issuer are accepted: set auth.issuer_url, or auth.issuer if you use auth.jwks_url";
        return Check::warn(name, message);
    }
    if auth.audience.is_none() && auth.client_ids.is_empty() {
        let message = "tokens that your identity provider issued for other services are accepted: set auth.audience, or \
                       auth.client_ids if the tokens have no aud";
        return Check::warn(name, message);
    }
    Check::ok(name, "the server checks the issuer, and the audience or the client")
}

/// Checks that the public keys can be loaded, and that the console finds the sign-in page.
async fn provider(auth: &Auth) -> Vec<Check> {
    // Loading the public keys needs no secret.
    let verifier = match Verifier::new(auth, None) {
        Ok(verifier) => verifier,
        Err(error) => return vec![Check::bad("identity provider", error.message())],
    };
    let Some(published) = verifier.inspect_keys().await else {
        return Vec::new();
    };
    let sign_in = sign_in(auth, &published);
    std::iter::once(keys(auth, published)).chain(sign_in).collect()
}

/// Warns if http to private networks is permitted, because another machine in such a network could replace the keys.
fn keys(auth: &Auth, keys: PublishedKeys) -> Check {
    let name = "identity provider";
    let usable = match keys.usable {
        Ok(usable) => format!("{usable} usable key(s) from {}", keys.source),
        Err(why) => {
            let message = format!(
                "the keys of {} cannot be loaded ({why}): tokens are refused until this is fixed",
                keys.source
            );
            return Check::bad(name, message);
        }
    };
    match keys.problems {
        Some(problems) => Check::warn(name, format!("{usable}; problems: {problems}")),
        None if auth.allow_private_http => Check::warn(
            name,
            format!(
                "{usable}; auth.allow_private_http permits http in private networks, where another machine could replace the keys"
            ),
        ),
        None => Check::ok(name, usable),
    }
}

/// `None` if no sign-in is configured, or if the discovery document could not be loaded, which [`keys`] reports.
fn sign_in(auth: &Auth, keys: &PublishedKeys) -> Option<Check> {
    let name = "console sign-in";
    let client = auth.sign_in.client_id.as_ref()?;
    Some(match keys.endpoints.as_ref()? {
        Ok(endpoints) => Check::ok(
            name,
            format!("the client {client} signs in at {}", endpoints.authorization),
        ),
        Err(why) => Check::bad(name, format!("the console cannot sign in: {why}")),
    })
}
