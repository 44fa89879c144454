//! Tests of the access token verifier, without a server.

mod credential;
mod discovery;
pub mod issuer;
mod keys;
mod providers;
mod remembered;
mod remote;
mod secret;
pub mod signer;

use chrono::{DateTime, Utc};
use runyard::{
    error::{Code, Kind},
    wire::jwt::{Claims, LEEWAY_SECONDS, MAX_TOKEN_BYTES, Verifier},
};
use serde_json::{Value, json};
use signer::{Signer, auth, encode};

const NOW: i64 = 1_790_000_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

fn claims() -> Value {
    json!({"sub": "2f6f3c1e-0f50-4b6a-9d52-0c4f6f8b8a11", "exp": NOW + 600})
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn accept(verifier: &Verifier, token: &str) -> Claims {
    verifier
        .verify(token, now())
        .unwrap_or_else(|error| panic!("refused: {error}"))
}

/// Checks that the verifier refuses a token. Returns the cause of the refusal, which the API hides from the caller.
fn refuse(verifier: &Verifier, token: &str) -> String {
    let error = match verifier.verify(token, now()) {
        Ok(claims) => panic!("accepted: {claims:?}"),
        Err(error) => error,
    };
    assert_eq!(error.code(), Code::NotAuthenticated);
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert_eq!(error.message(), "Not authenticated");
    error
        .cause()
        .expect("a refusal carries its cause, for the log")
        .to_string()
}

#[test]
fn a_valid_token_yields_its_claims() {
    let signer = Signer::secret();
    let mut payload = claims();
    payload["iss"] = "https://issuer.example".into();
    payload["role"] = "super_admin".into();
    let found = accept(&signer.verifier(), &signer.sign(&payload));
    assert_eq!(found.issuer, "https://issuer.example");
    assert_eq!(&*found.subject, "2f6f3c1e-0f50-4b6a-9d52-0c4f6f8b8a11");
    assert_eq!(found.role.as_deref(), Some("super_admin"));
    assert_eq!(found.expires_at.timestamp(), NOW + 600);
    let plain = accept(&signer.verifier(), &signer.sign(&claims()));
    assert_eq!((plain.issuer.as_str(), plain.role), ("", None));
}

#[test]
fn j02_a_token_without_a_signature_is_refused() {
    let signer = Signer::secret();
    let verifier = signer.verifier();
    accept(&verifier, &signer.sign(&claims()));
    for alg in ["none", "None", "nOnE", "NONE", "", "hs256", "HS384", "HS512"] {
        let unsigned = format!("{}.{}.", encode(&json!({"alg": alg})), encode(&claims()));
        refuse(&verifier, &unsigned);
        refuse(&verifier, &signer.sign_with_header(&json!({"alg": alg}), &claims()));
    }
    refuse(&verifier, &signer.sign_with_header(&json!({"typ": "JWT"}), &claims()));
}

#[test]
fn j03_a_public_key_is_not_accepted_as_an_hmac_secret() {
    let rsa = Signer::rsa();
    let verifier = rsa.verifier();
    accept(&verifier, &rsa.sign(&claims()));
    for secret in rsa.public_forms() {
        refuse(&verifier, &Signer::from_secret(&secret).sign(&claims()));
        let kid = json!({"alg": "HS256", "kid": rsa.kid()});
        refuse(
            &verifier,
            &Signer::from_secret(&secret).sign_with_header(&kid, &claims()),
        );
    }
}

#[test]
fn j04_the_key_determines_the_algorithm() {
    let signers = [
        Signer::secret(),
        Signer::rsa(),
        Signer::rsa_with("PS256"),
        Signer::rsa_with("RS512"),
        Signer::ec(),
        Signer::ec_p384(),
        Signer::ec_p521(),
        Signer::ed(),
    ];
    for ours in &signers {
        let verifier = ours.verifier();
        accept(&verifier, &ours.sign(&claims()));
        for theirs in &signers {
            if theirs.alg() == ours.alg() {
                continue;
            }
            refuse(&verifier, &theirs.sign(&claims()));
            // The header names an algorithm that does not match the key.
            refuse(
                &verifier,
                &ours.sign_with_header(&json!({"alg": theirs.alg()}), &claims()),
            );
            refuse(
                &verifier,
                &ours.sign_with_header(&json!({"alg": theirs.alg(), "kid": ours.kid()}), &claims()),
            );
        }
    }
}

#[test]
fn j05_only_the_jws_form_of_an_ecdsa_signature_is_accepted() {
    let ec = Signer::ec();
    let verifier = ec.verifier();
    let good = ec.sign(&claims());
    accept(&verifier, &good);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let psychic = signer::base64(&[0; 64]);
    refuse(&verifier, &format!("{signed}.{psychic}"));
    refuse(
        &verifier,
        &format!("{signed}.{}", signer::base64(&ec.der_signature(signed.as_bytes()))),
    );
    refuse(&verifier, &format!("{signed}."));
    // These tokens are signed with keys that the verifier does not have: one on the same curve as the verifier's key,
    // and one on a different curve.
    refuse(
        &verifier,
        &Signer::ec().sign_with_header(&json!({"alg": "ES256", "kid": ec.kid()}), &claims()),
    );
    refuse(
        &verifier,
        &Signer::ec_p384().sign_with_header(&json!({"alg": "ES256"}), &claims()),
    );
}

#[test]
fn j06_changing_any_bit_invalidates_a_token() {
    for signer in [Signer::secret(), Signer::ec(), Signer::ed()] {
        let verifier = signer.verifier();
        let token = signer.sign(&claims()).into_bytes();
        accept(&verifier, std::str::from_utf8(&token).unwrap());
        for position in 0..token.len() {
            for bit in 0..7 {
                let mut changed = token.clone();
                changed[position] ^= 1 << bit;
                refuse(&verifier, std::str::from_utf8(&changed).unwrap());
            }
        }
    }
}

#[test]
fn j07_expiry_and_not_before_are_checked() {
    let signer = Signer::secret();
    let verifier = signer.verifier();
    accept(&verifier, &signer.sign(&with("exp", NOW - LEEWAY_SECONDS + 1)));
    let at_the_end = refuse(&verifier, &signer.sign(&with("exp", NOW - LEEWAY_SECONDS)));
    assert_eq!(at_the_end, "the token has expired");
    refuse(&verifier, &signer.sign(&without("exp")));
    for exp in [
        json!("1790000600"),
        json!(-1),
        json!(null),
        json!(true),
        json!([NOW]),
        json!(9_223_372_036_854_775_808_u64),
    ] {
        refuse(&verifier, &signer.sign(&with("exp", exp)));
    }
    for exp in ["1e400", "-1e400", "NaN", "1790000600e", "0x7fffffff"] {
        refuse(&verifier, &signer.sign_text(&format!(r#"{{"sub":"a","exp":{exp}}}"#)));
    }
    accept(
        &verifier,
        &signer.sign_text(&format!(r#"{{"sub":"a","exp":{}.5}}"#, NOW + 5)),
    );
    for name in ["nbf", "iat"] {
        accept(&verifier, &signer.sign(&with(name, NOW + LEEWAY_SECONDS)));
        refuse(&verifier, &signer.sign(&with(name, NOW + LEEWAY_SECONDS + 1)));
        refuse(&verifier, &signer.sign(&with(name, "yesterday")));
    }
}

#[test]
fn j08_issuer_and_audience_are_checked() {
    let signer = Signer::secret();
    let mut configured = auth();
    configured.issuer = Some("https://issuer.example".into());
    configured.audience = Some("runyard".into());
    let verifier = signer.verifier_with(&configured);
    let say = |iss: Value, aud: Value| {
        let mut payload = claims();
        payload["iss"] = iss;
        payload["aud"] = aud;
        signer.sign(&payload)
    };
    accept(&verifier, &say("https://issuer.example".into(), "runyard".into()));
    accept(
        &verifier,
        &say("https://issuer.example".into(), json!(["other", "runyard"])),
    );
    let mut many: Vec<String> = (0..500).map(|number| format!("aud{number}")).collect();
    refuse(&verifier, &say("https://issuer.example".into(), json!(many)));
    many.push("runyard".into());
    accept(&verifier, &say("https://issuer.example".into(), json!(many)));
    for iss in [
        json!("https://issuer.example/"),
        json!("other"),
        json!(""),
        json!(["https://issuer.example"]),
        json!(null),
    ] {
        refuse(&verifier, &say(iss, "runyard".into()));
    }
    for aud in [
        json!("Runyard"),
        json!([]),
        json!({}),
        json!(null),
        json!(["other"]),
        json!([["runyard"]]),
    ] {
        refuse(&verifier, &say("https://issuer.example".into(), aud));
    }
    refuse(&verifier, &signer.sign(&with("aud", "runyard")));
    refuse(&verifier, &signer.sign(&with("iss", "https://issuer.example")));
}

#[test]
fn j10_keys_in_a_token_header_are_ignored() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let ours = Signer::ec();
    let verifier = ours.verifier();
    let theirs = Signer::ec();
    for (name, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", theirs.jwk()),
        ("x5c", json!([signer::base64(&theirs.public_forms()[0])])),
    ] {
        refuse(
            &verifier,
            &theirs.sign_with_header(&json!({"alg": "ES256", name: value}), &claims()),
        );
        accept(
            &verifier,
            &ours.sign_with_header(&json!({"alg": "ES256", name: value}), &claims()),
        );
    }
    for (name, value) in [
        ("crit", json!(["x"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        refuse(
            &verifier,
            &ours.sign_with_header(&json!({"alg": "ES256", name: value}), &claims()),
        );
    }
    assert!(listener.accept().is_err(), "a URL in a token header was fetched");
    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert!(listener.accept().is_ok(), "control: the listener sees a connection");
}

#[test]
fn j12_tokens_over_the_size_limit_are_refused() {
    let signer = Signer::secret();
    let verifier = signer.verifier();
    let sized = |length: usize| {
        let empty = signer.sign(&with("pad", "")).len();
        let pad = "x".repeat((length - empty) * 3 / 4);
        signer.sign(&with("pad", pad))
    };
    let fits = sized(MAX_TOKEN_BYTES - 2);
    assert!(
        fits.len() <= MAX_TOKEN_BYTES && fits.len() > MAX_TOKEN_BYTES - 8,
        "{}",
        fits.len()
    );
    accept(&verifier, &fits);
    refuse(&verifier, &sized(MAX_TOKEN_BYTES + 8));
    refuse(&verifier, &"x".repeat(10 * 1024 * 1024));
}

#[test]
fn j13_only_the_compact_form_is_accepted() {
    let signer = Signer::secret();
    let verifier = signer.verifier();
    let good = signer.sign(&claims());
    accept(&verifier, &good);
    let (header_and_payload, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = header_and_payload.split_once('.').unwrap();
    for bad in [
        String::new(),
        "..".into(),
        header_and_payload.into(),
        format!("{good}."),
        format!("{good}.a.b"),
        format!("{header}.{payload}="),
        format!("{good}="),
        format!("{good} "),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{header}.{payload}\n.{signature}"),
        format!("{header}.{payload}.{signature}\u{e9}"),
    ] {
        refuse(&verifier, &bad);
    }
    refuse(
        &verifier,
        &signer.sign_with_header(&json!({"alg": "HS256", "enc": "A128GCM"}), &claims()),
    );
    // The base64 form of this payload contains both characters in which URL-safe and standard base64 differ.
    let unusual = r#"{"sub":"~~~???>>>","exp":1790000600}"#;
    let url_safe = signer::base64(unusual.as_bytes());
    let standard = url_safe.replace('-', "+").replace('_', "/");
    assert_ne!(url_safe, standard);
    accept(
        &verifier,
        &signer.sign_parts(&encode(&json!({"alg": "HS256"})), &url_safe),
    );
    refuse(
        &verifier,
        &signer.sign_parts(&encode(&json!({"alg": "HS256"})), &standard),
    );
    refuse(
        &verifier,
        &signer.sign_parts(&format!("{}=", encode(&json!({"alg": "HS256"}))), &url_safe),
    );
    for twice in [
        r#"{"sub":"a","sub":"b","exp":1790000600}"#,
        r#"{"sub":"a","sub":"a","exp":1790000600}"#,
        r#"{"sub":"a","exp":1,"exp":1790000600}"#,
        r#"{"sub":"a","s\u0075b":"b","exp":1790000600}"#,
        r#"{"sub":"a","exp":1790000600,"role":"x","role":"super_admin"}"#,
        r#"[{"sub":"a","exp":1790000600}]"#,
        r#"{"sub":"a","exp":1790000600} {}"#,
    ] {
        refuse(&verifier, &signer.sign_text(twice));
    }
    let header_twice = signer::base64(br#"{"alg":"HS256","alg":"HS256"}"#);
    refuse(&verifier, &signer.sign_parts(&header_twice, payload));
}

#[test]
fn j17_a_subject_is_scoped_to_its_issuer() {
    let signer = Signer::secret();
    let verifier = signer.verifier();
    let ours = accept(&verifier, &signer.sign(&claims()));
    let foreign = accept(&verifier, &signer.sign(&with("iss", "https://other.example")));
    assert_eq!(ours.subject, foreign.subject);
    assert_ne!(ours.issuer, foreign.issuer);
    // A subject with a Cyrillic letter that looks like the Latin a is a different subject.
    let latin = accept(&verifier, &signer.sign(&with("sub", "alice")));
    let cyrillic = accept(&verifier, &signer.sign(&with("sub", "\u{430}lice")));
    assert_ne!(latin.subject, cyrillic.subject);
    accept(&verifier, &signer.sign(&with("sub", "x".repeat(255))));
    for sub in [
        json!(""),
        json!("x".repeat(256)),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!(7),
        json!(null),
        json!(["a"]),
        json!({}),
    ] {
        refuse(&verifier, &signer.sign(&with("sub", sub)));
    }
    refuse(&verifier, &signer.sign(&without("sub")));
    refuse(&verifier, &signer.sign(&with("iss", "")));
}

#[test]
fn the_name_of_the_role_claim_is_configurable() {
    let signer = Signer::secret();
    let mut configured = auth();
    configured.role_claim = "runyard_role".into();
    let verifier = signer.verifier_with(&configured);
    assert_eq!(accept(&verifier, &signer.sign(&with("role", "super_admin"))).role, None);
    let named = accept(&verifier, &signer.sign(&with("runyard_role", "super_admin")));
    assert_eq!(named.role.as_deref(), Some("super_admin"));
    let list = accept(&verifier, &signer.sign(&with("runyard_role", json!(["super_admin"]))));
    assert_eq!(list.role, None);
}
