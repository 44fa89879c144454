//! A verified token is remembered until it expires or the keys are reloaded.

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use runyard::{
    config::Auth,
    wire::jwt::{LEEWAY_SECONDS, VerifiedToken, Verifier},
};
use runyard_upstream::Turn;
use serde_json::json;

use super::{
    NOW,
    issuer::{Issuer, Says},
    remote::token,
    signer::{Signer, auth},
};
use crate::test_server::on_every_database;

/// Authenticates a token `seconds` after the start of the test.
async fn verify(verifier: &Verifier, token: &str, seconds: i64) -> Option<Arc<VerifiedToken>> {
    let now = DateTime::from_timestamp(NOW + seconds, 0).unwrap();
    verifier.authenticate(token, now).await.ok()
}

fn is_same(first: Option<&Arc<VerifiedToken>>, second: Option<&Arc<VerifiedToken>>) -> bool {
    Arc::ptr_eq(first.unwrap(), second.unwrap())
}

fn verifier(issuer: &Issuer) -> Verifier {
    let auth = Auth {
        jwks_url: Some(issuer.url.clone()),
        ..auth()
    };
    Verifier::new(&auth, None).unwrap()
}

#[tokio::test]
async fn a_remembered_token_is_refused_when_it_expires() {
    let signer = Signer::secret();
    let verifier = signer.verifier();
    let token = signer.sign(&json!({"sub": "ann", "exp": NOW + 100}));
    let first = verify(&verifier, &token, 0).await;
    let last = verify(&verifier, &token, 99 + LEEWAY_SECONDS).await;
    assert!(
        is_same(first.as_ref(), last.as_ref()),
        "control: the token was remembered"
    );
    assert!(verify(&verifier, &token, 100 + LEEWAY_SECONDS).await.is_none());
}

#[tokio::test]
async fn only_exactly_the_verified_token_is_remembered() {
    let signer = Signer::secret();
    let verifier = signer.verifier();
    let [ann, bob] = ["ann", "bob"].map(|sub| signer.sign(&json!({"sub": sub, "exp": NOW + 100})));
    let first = verify(&verifier, &ann, 0).await;
    let other = verify(&verifier, &bob, 0).await.unwrap();
    assert_eq!(&*other.claims.subject, "bob");
    let ((claims, _), (_, signature)) = (ann.rsplit_once('.').unwrap(), bob.rsplit_once('.').unwrap());
    let forged = format!("{claims}.{signature}");
    for _ in 0..2 {
        assert!(verify(&verifier, &forged, 0).await.is_none(), "a refusal is final");
    }
    assert!(is_same(first.as_ref(), verify(&verifier, &ann, 1).await.as_ref()));
}

#[tokio::test]
async fn new_keys_make_the_verifier_forget_all_tokens() {
    let (old, new) = (Signer::ec(), Signer::ed());
    let issuer = Issuer::start(&[old.jwk()]).await;
    let verifier = verifier(&issuer);
    let kept = token(&old);
    let first = verify(&verifier, &kept, 0).await;
    assert!(
        is_same(first.as_ref(), verify(&verifier, &kept, 1).await.as_ref()),
        "control"
    );
    issuer.say(Says::Keys(vec![old.jwk(), new.jwk()]));
    assert!(verify(&verifier, &token(&new), 1).await.is_some());
    let again = verify(&verifier, &kept, 1).await;
    assert!(
        !is_same(first.as_ref(), again.as_ref()),
        "the token was verified with the new keys"
    );
    assert!(is_same(again.as_ref(), verify(&verifier, &kept, 2).await.as_ref()));
}

#[tokio::test]
async fn a_remembered_token_is_refused_at_once_when_its_key_is_removed() {
    let (old, new) = (Signer::ec(), Signer::ed());
    let issuer = Issuer::start(&[old.jwk()]).await;
    let verifier = verifier(&issuer);
    let (removed, kept) = (token(&old), token(&new));
    let first = verify(&verifier, &removed, 0).await;
    assert!(is_same(first.as_ref(), verify(&verifier, &removed, 0).await.as_ref()));
    issuer.say(Says::Keys(vec![new.jwk()]));
    // This token needs the new key, so the verifier reloads the keys.
    assert!(verify(&verifier, &kept, 0).await.is_some());
    assert!(verify(&verifier, &removed, 0).await.is_none());
    assert!(verify(&verifier, &kept, 0).await.is_some());
    // Stale keys are reloaded even if every token is remembered.
    issuer.say(Says::Keys(vec![old.jwk()]));
    assert!(verify(&verifier, &kept, 299).await.is_some());
    assert!(verify(&verifier, &kept, 300).await.is_none());
}

#[tokio::test]
async fn the_server_refuses_a_remembered_token_after_its_expiry() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let ann = server.caller("ann");
            for _ in 0..2 {
                assert_eq!(ann.get("/agents").await.status, 200);
            }
            server.clock.advance(Duration::from_mins(61));
            assert_eq!(ann.get("/agents").await.status, 401);
            assert_eq!(
                server.caller("ann").get("/agents").await.status,
                200,
                "control: a new token"
            );
        },
    )
    .await;
}
