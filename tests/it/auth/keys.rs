//! Key sets: the choice of the key that verifies a token, and the permitted content of a JWKS file.

use std::{fs, time::Duration};

use runyard::{config::Auth, wire::jwt::Verifier};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    accept, claims, now, refuse,
    signer::{SECRET, Signer, auth, base64, jwks},
};

fn verifier(keys: &[Value]) -> Result<Verifier, String> {
    let file = jwks(keys);
    let auth = Auth {
        jwks_file: Some(file.path().into()),
        ..auth()
    };
    Verifier::new(&auth, None).map_err(|error| error.message().to_owned())
}

/// Sets a member of a JWK. `Null` removes the member.
fn change(jwk: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut jwk = jwk.clone();
    match value.into() {
        Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
        value => jwk[name] = value,
    }
    jwk
}

#[test]
fn a_key_id_selects_its_key() {
    let (first, second, ed) = (Signer::ec(), Signer::ec(), Signer::ed());
    let verifier = verifier(&[first.jwk(), second.jwk(), ed.jwk()]).unwrap();
    for signer in [&first, &second, &ed] {
        accept(&verifier, &signer.sign_with_kid(&claims()));
    }
    // The token is signed with the first key but contains the id of the second key.
    refuse(
        &verifier,
        &first.sign_with_header(&json!({"alg": "ES256", "kid": second.kid()}), &claims()),
    );
    // Without a key id, every key for the algorithm is tried.
    for signer in [&first, &second, &ed] {
        accept(&verifier, &signer.sign(&claims()));
    }
    refuse(&verifier, &Signer::ec().sign(&claims()));
    // RFC 9864 defines the algorithm name "Ed25519" for EdDSA with the curve Ed25519.
    accept(&verifier, &ed.sign_with_header(&json!({"alg": "Ed25519"}), &claims()));
}

#[test]
fn a_key_without_an_id_verifies_tokens_with_any_id() {
    let (unnamed, named) = (Signer::ec(), Signer::ec());
    let verifier = verifier(&[change(&unnamed.jwk(), "kid", Value::Null), named.jwk()]).unwrap();
    accept(&verifier, &unnamed.sign(&claims()));
    accept(&verifier, &unnamed.sign_with_kid(&claims()));
    accept(&verifier, &named.sign_with_kid(&claims()));
    let kid = json!({"alg": "ES256", "kid": named.kid()});
    refuse(&verifier, &unnamed.sign_with_header(&kid, &claims()));
    refuse(&verifier, &Signer::ec().sign_with_kid(&claims()));
}

#[test]
fn j09_a_hostile_key_id_is_treated_as_unknown() {
    let signer = Signer::ec();
    let verifier = verifier(&[signer.jwk()]).unwrap();
    accept(&verifier, &signer.sign_with_kid(&claims()));
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
fn a_secret_verifies_tokens_with_any_key_id_beside_a_key_set() {
    let (secret, ec) = (Signer::secret(), Signer::ec());
    let file = jwks(&[ec.jwk()]);
    let auth = Auth {
        jwks_file: Some(file.path().into()),
        ..auth()
    };
    let verifier = Verifier::new(&auth, Some(&SecretString::from(SECRET))).unwrap();
    accept(&verifier, &secret.sign(&claims()));
    accept(&verifier, &ec.sign(&claims()));
    accept(&verifier, &ec.sign_with_kid(&claims()));
    let long = "k".repeat(4000);
    for kid in ["IBZFPqpuE0oC+hnZ", "", "unknown", ec.kid(), &long] {
        let header = json!({"alg": "HS256", "kid": kid});
        accept(&verifier, &secret.sign_with_header(&header, &claims()));
        let other = Signer::from_secret(b"another secret of 32 bytes or more");
        refuse(&verifier, &other.sign_with_header(&header, &claims()));
        // A public key is never used as an HS256 secret, even if the token contains its id.
        for form in ec.public_forms() {
            refuse(
                &verifier,
                &Signer::from_secret(&form).sign_with_header(&header, &claims()),
            );
        }
    }
}

#[tokio::test]
async fn the_key_file_is_reloaded_for_an_unknown_key_and_removed_keys_expire() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let file = jwks(&[old.jwk()]);
    let auth = Auth {
        jwks_file: Some(file.path().into()),
        ..auth()
    };
    let verifier = Verifier::new(&auth, None).unwrap();
    let mut said = claims();
    said["exp"] = (now().timestamp() + 10_000).into();
    let at = async |signer: &Signer, seconds| {
        let token = signer.sign_with_kid(&said);
        let outcome = verifier.authenticate(&token, now() + Duration::from_secs(seconds));
        outcome.await.is_ok()
    };
    assert!(at(&old, 0).await);
    fs::write(file.path(), json!({"keys": [old.jwk(), new.jwk()]}).to_string()).unwrap();
    assert!(at(&new, 1).await);
    // A file that is not a JWKS causes a warning, and the loaded keys stay valid.
    fs::write(file.path(), "<html>").unwrap();
    assert!(at(&new, 400).await);
    fs::write(file.path(), json!({"keys": [new.jwk()]}).to_string()).unwrap();
    assert!(at(&old, 410).await, "the old key is valid until the next reload");
    assert!(!at(&old, 800).await);
    assert!(at(&new, 800).await);
}

#[test]
fn every_algorithm_is_verified_with_a_key_that_names_it_and_with_one_that_names_none() {
    let all = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    ];
    for alg in all {
        let signer = Signer::with_algorithm(alg, SECRET);
        let unpinned = verifier(&[signer.jwk()]).unwrap();
        let pinned = verifier(&[change(&signer.jwk(), "alg", alg)]).unwrap();
        for verifier in [&unpinned, &pinned] {
            accept(verifier, &signer.sign(&claims()));
            accept(verifier, &signer.sign_with_kid(&claims()));
            let foreign = Signer::with_algorithm(alg, SECRET);
            refuse(verifier, &foreign.sign(&claims()));
            for other in all.into_iter().chain(["HS256", "HS512", "none", "ES256K", "RSA-OAEP"]) {
                if other != alg {
                    let header = json!({"alg": other, "kid": signer.kid()});
                    refuse(verifier, &signer.sign_with_header(&header, &claims()));
                }
            }
        }
    }
}

#[test]
fn a_key_that_names_its_algorithm_allows_no_other() {
    let rsa = Signer::rsa_with("RS512");
    let token = rsa.sign_with_kid(&claims());
    accept(&verifier(&[change(&rsa.jwk(), "alg", "RS512")]).unwrap(), &token);
    accept(&verifier(&[rsa.jwk()]).unwrap(), &token);
    for other in ["RS256", "PS512"] {
        let why = refuse(&verifier(&[change(&rsa.jwk(), "alg", other)]).unwrap(), &token);
        assert!(why.contains("not for the algorithm"), "{why}");
    }
}

#[test]
fn unusable_keys_are_skipped_and_usable_keys_work() {
    let (ec, rsa, good) = (Signer::ec(), Signer::rsa(), Signer::ed());
    let (ec, rsa) = (ec.jwk(), rsa.jwk());
    let padded = format!("{}=", ec["x"].as_str().unwrap());
    let elsewhere = ec["x"].clone();
    let even = base64(&[254; 256]);
    for (what, bad) in [
        ("its use is \"tls\"", change(&ec, "use", "tls")),
        ("key_ops", change(&ec, "key_ops", json!(["sign"]))),
        ("the algorithm \"ES384\"", change(&ec, "alg", "ES384")),
        ("the algorithm \"HS256\"", change(&rsa, "alg", "HS256")),
        ("the algorithm \"RSA-OAEP\"", change(&rsa, "alg", "RSA-OAEP")),
        ("the algorithm \"none\"", change(&rsa, "alg", "none")),
        ("it is a secret", Signer::secret().jwk()),
        (
            "the key type \"AKP\"",
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AQAB"}),
        ),
        ("the curve \"secp256k1\"", change(&ec, "crv", "secp256k1")),
        (
            "the curve \"Ed448\"",
            json!({"kty": "OKP", "crv": "Ed448", "x": "AQAB"}),
        ),
        ("the curve \"\"", change(&ec, "crv", Value::Null)),
        ("17 bits", change(&rsa, "n", "AQAB")),
        ("0 bits", change(&rsa, "n", "AAAA")),
        ("n is missing", change(&rsa, "n", Value::Null)),
        ("e is missing", change(&rsa, "e", Value::Null)),
        ("valid public key", change(&rsa, "e", "AQ")),
        ("valid public key", change(&rsa, "n", even)),
        ("y is missing", change(&ec, "y", Value::Null)),
        ("x is not base64url", change(&ec, "x", padded)),
        ("x is longer than 32 bytes", change(&ec, "x", base64(&[7; 33]))),
        ("valid public key", change(&ec, "y", elsewhere)),
        ("valid public key", change(&ec, "crv", "P-384")),
        (
            "x must be 32 bytes",
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AQAB"}),
        ),
        ("missing field `kty`", json!({"kid": "odd"})),
        ("invalid type", json!(null)),
        ("invalid type", json!("key")),
        ("invalid type", change(&ec, "alg", 256)),
        ("invalid type", change(&ec, "kid", json!(["a"]))),
    ] {
        let why = verifier(std::slice::from_ref(&bad)).unwrap_err();
        assert!(why.contains("no key that can verify tokens: key 0"), "{why}");
        assert!(why.contains(what), "{why} instead of {what}");
        for keys in [[bad.clone(), good.jwk()], [good.jwk(), bad.clone()]] {
            accept(&verifier(&keys).unwrap(), &good.sign_with_kid(&claims()));
        }
    }
    let encrypts = change(&rsa, "use", "enc");
    assert!(
        verifier(std::slice::from_ref(&encrypts))
            .unwrap_err()
            .ends_with("no key that can verify tokens")
    );
    accept(
        &verifier(&[encrypts, good.jwk()]).unwrap(),
        &good.sign_with_kid(&claims()),
    );
    for fine in [
        change(&ec, "use", "sig"),
        change(&ec, "key_ops", json!(["sign", "verify"])),
        change(&ec, "alg", "ES256"),
        change(&rsa, "alg", "PS384"),
        change(&rsa, "x5c", json!(["MIIC"])),
    ] {
        assert!(verifier(&[fine]).is_ok());
    }
}

#[test]
fn keys_with_the_same_id_are_all_tried() {
    let (first, second, rsa) = (Signer::ec(), Signer::ec(), Signer::rsa());
    let same = |signer: &Signer| change(&signer.jwk(), "kid", "same");
    let short = change(&same(&rsa), "n", "AQAB");
    for keys in [
        [same(&first), same(&second), same(&rsa), short.clone()],
        [short.clone(), same(&rsa), same(&second), same(&first)],
    ] {
        let verifier = verifier(&keys).unwrap();
        for signer in [&first, &second, &rsa] {
            let header = json!({"alg": signer.alg(), "kid": "same"});
            accept(&verifier, &signer.sign_with_header(&header, &claims()));
        }
        let header = json!({"alg": "ES256", "kid": "same"});
        refuse(&verifier, &Signer::ec().sign_with_header(&header, &claims()));
    }
}

#[test]
fn numbers_may_have_any_number_of_leading_zeros() {
    let decode = |text: &Value| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
    };
    let with_zero = |text: &Value| base64(&[vec![0], decode(text)].concat());
    let rsa = Signer::rsa();
    let mut jwk = rsa.jwk();
    jwk["n"] = with_zero(&jwk["n"]).into();
    jwk["e"] = with_zero(&jwk["e"]).into();
    accept(&verifier(&[jwk]).unwrap(), &rsa.sign(&claims()));
    // In about one key in 256, the coordinate x begins with a zero byte. The key is accepted with and without this
    // byte.
    let short = (0..100_000)
        .map(|_| Signer::ec())
        .find(|signer| decode(&signer.jwk()["x"])[0] == 0)
        .unwrap();
    let mut jwk = short.jwk();
    accept(&verifier(&[jwk.clone()]).unwrap(), &short.sign(&claims()));
    jwk["x"] = base64(&decode(&jwk["x"])[1..]).into();
    accept(&verifier(&[jwk.clone()]).unwrap(), &short.sign(&claims()));
    jwk["y"] = with_zero(&jwk["y"]).into();
    accept(&verifier(&[jwk]).unwrap(), &short.sign(&claims()));
}

#[test]
fn a_file_that_is_no_key_set_is_refused_at_start() {
    let with = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let auth = Auth {
            jwks_file: Some(file.path().into()),
            ..auth()
        };
        Verifier::new(&auth, None).unwrap_err().message().to_owned()
    };
    for (text, cause) in [
        ("", "not a JWKS"),
        ("<html>", "not a JWKS"),
        ("[]", "not a JWKS"),
        (r#"{"keys": {}}"#, "not a JWKS"),
        (r#"{"keys": null}"#, "no list \"keys\""),
        // Firebase publishes its certificates in this form, at a URL similar to that of its JWKS.
        (
            r#"{"f2e82732b971a135": "-----BEGIN CERTIFICATE-----"}"#,
            "no list \"keys\"",
        ),
        (r#"{"keys": []}"#, "no key that can verify tokens"),
    ] {
        let why = with(text);
        assert!(why.starts_with("the JWKS file /") && why.contains(cause), "{why}");
    }
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
