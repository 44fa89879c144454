//! JWT: no token panics, and none that was not signed with the secret is taken.
#![no_main]

use std::sync::LazyLock;

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use runyard::{
    config::Config,
    wire::jwt::{Verifier, credential},
};
use secrecy::SecretString;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let config = Config::parse("the fuzzer's configuration", "").unwrap();
    let secret = SecretString::from("a secret that no fuzzer will ever guess, is it");
    Verifier::new(&config.auth, Some(&secret)).unwrap()
});

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        assert!(VERIFIER.verify(text, now).is_err(), "a token was taken that nobody signed");
    }
    let mut headers = http::HeaderMap::new();
    if let Ok(value) = http::HeaderValue::from_bytes(data) {
        headers.insert("authorization", value);
        let _ = credential(&headers);
    }
});
