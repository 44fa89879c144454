//! Key sets: the key that verifies a token, and the permitted content of a JWKS file.

use std::{fs, time::Duration};

use runyard::{config::Auth, wire::jwt::Verifier};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    accept, claims, now, refuse,
    signer::{Signer, auth, jwks},
};

fn verifier(keys: &[Value]) -> Result<Verifier, String> {
    let file = jwks(keys);
    let auth = Auth {
        jwks_file: Some(file.path().into()),
        ..auth()
    };
    Verifier::new(&auth, None).map_err(|error| error.message().to_owned())
}

#[test]
fn a_key_id_selects_its_key() {
    let (first, second, ed) = (Signer::ec(), Signer::ec(), Signer::ed());
    let verifier = verifier(&[first.jwk(), second.jwk(), ed.jwk()]).unwrap();
    for signer in [&first, &second, &ed] {
        accept(
            &verifier,
            &signer.sign_with_header(&json!({"alg": signer.alg(), "kid": signer.kid()}), &claims()),
        );
    }
    // The token is signed by one key but names the other key.
    refuse(
        &verifier,
        &first.sign_with_header(&json!({"alg": "ES256", "kid": second.kid()}), &claims()),
    );
    // Tokens without a key id. Only one EdDSA key matches, but two ES256 keys are ambiguous.
    accept(&verifier, &ed.sign(&claims()));
    refuse(&verifier, &first.sign(&claims()));
    // RFC 9864 gives EdDSA with this curve its own algorithm name, "Ed25519".
    accept(&verifier, &ed.sign_with_header(&json!({"alg": "Ed25519"}), &claims()));
}

#[test]
fn j09_a_hostile_key_id_is_treated_as_unknown() {
    let signer = Signer::ec();
    let verifier = verifier(&[signer.jwk()]).unwrap();
    accept(
        &verifier,
        &signer.sign_with_header(&json!({"alg": "ES256", "kid": signer.kid()}), &claims()),
    );
    let long = "k".repeat(4000);
    for kid in [
        "../../../../dev/null",
        "' OR 1=1--",
        "http://127.0.0.1/k",
        "\0",
        "",
        "unknown",
        &long,
    ] {
        refuse(
            &verifier,
            &signer.sign_with_header(&json!({"alg": "ES256", "kid": kid}), &claims()),
        );
    }
    for kid in [json!(1), json!(null), json!({}), json!([signer.kid()])] {
        refuse(
            &verifier,
            &signer.sign_with_header(&json!({"alg": "ES256", "kid": kid}), &claims()),
        );
    }
}

#[test]
fn a_secret_and_a_key_set_work_side_by_side() {
    let (secret, ec) = (Signer::secret(), Signer::ec());
    let file = jwks(&[ec.jwk()]);
    let auth = Auth {
        jwks_file: Some(file.path().into()),
        ..auth()
    };
    let text = SecretString::from(super::signer::SECRET);
    let verifier = Verifier::new(&auth, Some(&text)).unwrap();
    accept(&verifier, &secret.sign(&claims()));
    accept(&verifier, &ec.sign(&claims()));
    refuse(
        &verifier,
        &secret.sign_with_header(&json!({"alg": "HS256", "kid": ec.kid()}), &claims()),
    );
}

#[test]
fn the_key_file_is_reloaded_at_most_once_a_minute_and_removed_keys_expire() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let file = jwks(&[old.jwk()]);
    let auth = Auth {
        jwks_file: Some(file.path().into()),
        ..auth()
    };
    let verifier = Verifier::new(&auth, None).unwrap();
    let mut said = claims();
    said["exp"] = (now().timestamp() + 10_000).into();
    let sign = |signer: &Signer| signer.sign_with_header(&json!({"alg": "ES256", "kid": signer.kid()}), &said);
    let at = |seconds| now() + Duration::from_secs(seconds);
    assert!(verifier.verify(&sign(&old), at(0)).is_ok());
    fs::write(file.path(), json!({"keys": [old.jwk(), new.jwk()]}).to_string()).unwrap();
    assert!(
        verifier.verify(&sign(&new), at(30)).is_err(),
        "the file is read at most once a minute"
    );
    assert!(verifier.verify(&sign(&new), at(61)).is_ok());
    // An unreadable file only causes a warning; the known keys stay valid.
    fs::write(file.path(), "<html>").unwrap();
    assert!(verifier.verify(&sign(&new), at(400)).is_ok());
    fs::write(file.path(), json!({"keys": [new.jwk()]}).to_string()).unwrap();
    assert!(
        verifier.verify(&sign(&old), at(410)).is_ok(),
        "the old key is valid until the next reload"
    );
    assert!(verifier.verify(&sign(&old), at(800)).is_err());
    assert!(verifier.verify(&sign(&new), at(800)).is_ok());
}

#[test]
fn keys_for_other_uses_are_skipped() {
    let (ec, rsa, p384) = (Signer::ec(), Signer::rsa(), Signer::ec_p384());
    let change = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    assert!(verifier(&[change(&ec.jwk(), "use", json!("sig"))]).is_ok());
    assert!(verifier(&[change(&ec.jwk(), "key_ops", json!(["verify"]))]).is_ok());
    assert!(verifier(&[change(&ec.jwk(), "alg", json!("ES256"))]).is_ok());
    for useless in [
        change(&ec.jwk(), "use", json!("enc")),
        change(&ec.jwk(), "key_ops", json!(["encrypt"])),
        change(&ec.jwk(), "alg", json!("ES384")),
        change(&rsa.jwk(), "alg", json!("PS256")),
        change(&rsa.jwk(), "alg", json!("HS256")),
        Signer::secret().jwk(),
        p384.jwk(),
    ] {
        let why = verifier(std::slice::from_ref(&useless)).unwrap_err();
        assert!(
            why.ends_with("has no key for RS256, ES256 or EdDSA signatures"),
            "{why}"
        );
        // A usable key in the same set makes the set valid.
        let mut good = Signer::ed().jwk();
        good["kid"] = "good".into();
        assert!(verifier(&[useless, good]).is_ok());
    }
}

#[test]
fn a_broken_key_set_is_refused_at_start() {
    let (ec, rsa) = (Signer::ec(), Signer::rsa());
    let change = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    let twice = verifier(&[ec.jwk(), ec.jwk()]).unwrap_err();
    assert!(twice.contains("occurs twice"), "{twice}");
    let short = verifier(&[change(&rsa.jwk(), "n", json!("AQAB"))]).unwrap_err();
    assert!(short.contains("at least 2048 bits"), "{short}");
    let cut = verifier(&[change(&ec.jwk(), "x", json!("AQAB"))]).unwrap_err();
    assert!(cut.contains("x must be 32 bytes"), "{cut}");
    assert!(
        verifier(&[change(&ec.jwk(), "y", json!(null))])
            .unwrap_err()
            .contains("y is missing")
    );
    assert!(verifier(&[json!("key")]).is_err());
    let auth = Auth {
        jwks_file: Some("/nowhere/jwks.json".into()),
        ..auth()
    };
    let missing = Verifier::new(&auth, None).unwrap_err();
    assert!(
        missing.message().contains("/nowhere/jwks.json cannot be read"),
        "{}",
        missing.message()
    );
}
