//! The verifier reads the JWKS URL of an issuer from the issuer's discovery document.

use runyard::{config::Auth, error::Code, wire::jwt::Verifier};
use serde_json::{Value, json};

use super::{
    NOW,
    issuer::{Issuer, Says},
    remote::{authenticate, gets_in},
    signer::{Signer, auth},
};

fn settings(issuer: &str) -> Auth {
    Auth {
        issuer_url: Some(issuer.to_owned()),
        ..auth()
    }
}

fn verifier(issuer: &str) -> Verifier {
    Verifier::new(&settings(issuer), None).unwrap()
}

fn token(signer: &Signer, issuer: &str) -> String {
    signer.sign_with_kid(&json!({"iss": issuer, "sub": "ann", "exp": NOW + 100_000}))
}

#[tokio::test]
async fn the_discovery_document_leads_to_the_keys_and_the_issuer_is_required() {
    let signer = Signer::ec();
    let issuer = Issuer::start(&[signer.jwk()]).await;
    let verifier = verifier(&issuer.name);
    assert!(gets_in(&verifier, &token(&signer, &issuer.name), 0).await);
    for other in [format!("{}/", issuer.name), "https://other.example".into()] {
        assert!(!gets_in(&verifier, &token(&signer, &other), 0).await);
    }
    assert_eq!((issuer.documents(), issuer.asked()), (1, 1));
}

#[tokio::test]
async fn an_issuer_may_end_in_a_slash() {
    let signer = Signer::ec();
    let issuer = Issuer::start(&[signer.jwk()]).await;
    let name = format!("{}/", issuer.name);
    issuer.say_document(json!({"issuer": name, "jwks_uri": issuer.url}));
    let verifier = verifier(&name);
    assert!(gets_in(&verifier, &token(&signer, &name), 0).await);
    assert!(!gets_in(&verifier, &token(&signer, &issuer.name), 0).await);
}

#[tokio::test]
async fn an_unusable_document_names_the_cause_and_is_fetched_again() {
    let signer = Signer::ec();
    let issuer = Issuer::start(&[signer.jwk()]).await;
    let elsewhere = Issuer::start(&[signer.jwk()]).await;
    let good = json!({"issuer": issuer.name, "jwks_uri": issuer.url});
    let with = |name: &str, value: &str| {
        let mut document = good.clone();
        document[name] = value.into();
        document
    };
    let verifier = verifier(&issuer.name);
    let mut seconds = 0;
    for (document, cause) in [
        (
            with("issuer", &elsewhere.name),
            "set auth.issuer_url to exactly that issuer",
        ),
        (
            with("issuer", &format!("{}/", issuer.name)),
            "set auth.issuer_url to exactly that issuer",
        ),
        (with("jwks_uri", "http://issuer.example/jwks"), "must be an https URL"),
        (with("jwks_uri", "file:///etc/passwd"), "must be an https URL"),
        (json!({"issuer": issuer.name}), "jwks_uri"),
        (json!([]), "not a discovery document"),
        (json!({"keys": []}), "not a discovery document"),
    ] {
        issuer.say_document(document.clone());
        let error = authenticate(&verifier, &token(&signer, &issuer.name), seconds)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{document}");
        let why = verifier.inspect_keys().await.unwrap().usable.unwrap_err();
        assert!(why.contains(cause) && why.contains(&issuer.name), "{why}");
        seconds += 5;
    }
    assert_eq!(issuer.asked() + elsewhere.asked(), 0);
    issuer.say_document(good);
    assert!(gets_in(&verifier, &token(&signer, &issuer.name), seconds).await);
}

#[tokio::test]
async fn moved_keys_are_found_and_a_failure_keeps_the_known_keys() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let issuer = Issuer::start(&[old.jwk()]).await;
    let moved = Issuer::start(&[old.jwk(), new.jwk()]).await;
    let verifier = verifier(&issuer.name);
    assert!(gets_in(&verifier, &token(&old, &issuer.name), 0).await);
    issuer.say_document(json!({"issuer": issuer.name, "jwks_uri": moved.url}));
    assert!(gets_in(&verifier, &token(&new, &issuer.name), 5).await);
    issuer.say_document(Value::Null);
    moved.say(Says::Keys(Vec::new()));
    for seconds in [400, 800] {
        assert!(gets_in(&verifier, &token(&old, &issuer.name), seconds).await);
        assert!(gets_in(&verifier, &token(&new, &issuer.name), seconds).await);
    }
}

#[test]
fn an_issuer_url_must_be_an_issuer() {
    let refusal = |url: &str| {
        Verifier::new(&settings(url), None)
            .err()
            .map(|error| error.message().to_owned())
    };
    for url in [
        "https://issuer.example",
        "https://issuer.example/a/",
        "http://127.0.0.1:1/realms/x",
    ] {
        assert_eq!(refusal(url), None, "{url}");
    }
    for (url, cause) in [
        (
            "https://issuer.example/.well-known/openid-configuration",
            "without /.well-known",
        ),
        ("https://issuer.example/?tenant=a", "query"),
        ("https://issuer.example/#a", "fragment"),
        ("http://issuer.example", "must be an https URL"),
        ("issuer.example", "is not a URL"),
    ] {
        let why = refusal(url).unwrap();
        assert!(why.starts_with("auth.issuer_url: ") && why.contains(cause), "{why}");
    }
}
