//! Token checks of `runyard doctor`.

use super::Check;
use crate::{
    config::{Auth, Config},
    wire::jwt::{self, Verifier},
};

/// Unlike the server, creates no secret.
pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let mut checks = vec![secret(config)];
    if config.auth.has_public_keys() {
        checks.push(rules(&config.auth));
        checks.extend(keys(&config.auth).await);
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

/// Checks that the public keys can be loaded. Warns if http to private networks is permitted, because another machine
/// in such a network could replace the keys.
async fn keys(auth: &Auth) -> Option<Check> {
    let name = "identity provider";
    // Loading the public keys needs no secret.
    let verifier = match Verifier::new(auth, None) {
        Ok(verifier) => verifier,
        Err(error) => return Some(Check::bad(name, error.message())),
    };
    let keys = verifier.inspect_keys().await?;
    let usable = match keys.usable {
        Ok(usable) => format!("{usable} usable key(s) from {}", keys.source),
        Err(why) => {
            let message = format!(
                "the keys of {} cannot be loaded ({why}): tokens are refused until this is fixed",
                keys.source
            );
            return Some(Check::bad(name, message));
        }
    };
    Some(match keys.problems {
        Some(problems) => Check::warn(name, format!("{usable}; problems: {problems}")),
        None if auth.allow_private_http => Check::warn(
            name,
            format!(
                "{usable}; auth.allow_private_http permits http in private networks, where another machine could replace the keys"
            ),
        ),
        None => Check::ok(name, usable),
    })
}
