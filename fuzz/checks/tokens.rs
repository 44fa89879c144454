//! Checks JSON Web Tokens. Unsigned and modified tokens must be refused. A signed token must yield the signed claims.
//!
//! The first byte of the input selects the check: 0 for a token, 1 for an Authorization header, 2 for a payload to
//! sign, 3 for a header to sign.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use runyard::{
    config::Config,
    wire::jwt::{Claims, Credential, LEEWAY_SECONDS, MAX_TOKEN_BYTES, Verifier, credential},
};
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;

const SECRET: &str = "a secret that no fuzzer will ever guess, is it";
const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;
const PAYLOAD: &str = r#"{"sub":"ann","exp":1790003600}"#;
/// Time of verification, in seconds since the Unix epoch.
const NOW: i64 = 1_790_000_000;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let config = Config::parse("the fuzzer's configuration", "").unwrap();
    Verifier::new(&config.auth, Some(&SecretString::from(SECRET))).unwrap()
});

pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((0, token)) => unsigned(token),
        Some((1, header)) => authorization(header),
        Some((2, payload)) => signed_payload(payload),
        Some((3, header)) => signed_header(header),
        _ => {}
    }
}

fn unsigned(token: &[u8]) {
    if let Ok(token) = std::str::from_utf8(token) {
        assert!(verify(token).is_none(), "an unsigned token was accepted");
    }
}

/// Checks that an accepted credential is exactly the text after `Bearer` and a space. Unsigned tokens and a second
/// Authorization header must be refused.
fn authorization(header: &[u8]) {
    let Ok(value) = http::HeaderValue::from_bytes(header) else {
        return;
    };
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", value.clone());
    if let Ok(Credential::Jwt(word) | Credential::ApiKey(word)) = credential(&headers) {
        assert!(!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic()));
        let (scheme, rest) = value.to_str().unwrap().split_once(' ').unwrap();
        assert!(scheme.eq_ignore_ascii_case("bearer") && rest == word);
        assert!(verify(word).is_none(), "an unsigned token was accepted");
    }
    headers.append("authorization", value);
    assert!(credential(&headers).is_err(), "two credentials were accepted");
}

/// Checks that an accepted token has valid claims, and that serde_json reads the same claims.
fn signed_payload(payload: &[u8]) {
    let token = sign(HEADER.as_bytes(), payload);
    let Some(claims) = verify(&token) else {
        return;
    };
    assert!(token.len() <= MAX_TOKEN_BYTES);
    let said: Value = serde_json::from_slice(payload).expect("an accepted payload is JSON");
    assert_eq!(said["sub"].as_str(), Some(&*claims.subject));
    assert_eq!(said["iss"].as_str().unwrap_or_default(), claims.issuer);
    assert!(!claims.subject.is_empty() && !claims.subject.contains(char::is_control));
    assert!(
        claims.expires_at.timestamp() + LEEWAY_SECONDS > NOW,
        "an expired token was accepted"
    );
    #[expect(clippy::cast_possible_truncation, reason = "claims keep whole seconds")]
    let exp = said["exp"].as_f64().expect("an accepted payload has an expiry time") as i64;
    assert_eq!(exp, claims.expires_at.timestamp());
    changed(&token, payload);
}

/// Checks that an accepted header names HS256 and has no field that would change the verification.
fn signed_header(header: &[u8]) {
    let token = sign(header, PAYLOAD.as_bytes());
    if let Some(claims) = verify(&token) {
        let said: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
        assert_eq!(said["alg"], "HS256", "the key determines the algorithm");
        for name in ["crit", "b64", "zip", "enc", "cty"] {
            assert!(said.get(name).is_none(), "a header with {name} was accepted");
        }
        assert_eq!(&*claims.subject, "ann");
        changed(&token, header);
    }
}

/// Changes one character of a valid token, and checks that the token is refused. `data` determines the position.
fn changed(token: &str, data: &[u8]) {
    let sum: usize = data.iter().map(|byte| usize::from(*byte)).sum();
    let mut letters = token.as_bytes().to_vec();
    let place = sum % letters.len();
    for letter in [b'A', b'B', b'z', b'_', b'.', b'=', b' '] {
        if letter != token.as_bytes()[place] {
            letters[place] = letter;
            let other = std::str::from_utf8(&letters).unwrap();
            assert!(verify(other).is_none(), "the letter {place} of a token can be changed");
        }
    }
}

fn verify(token: &str) -> Option<Claims> {
    VERIFIER.verify(token, DateTime::from_timestamp(NOW, 0).unwrap()).ok()
}

fn sign(header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
