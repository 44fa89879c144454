//! Keys from a JWKS URL whose server rotates keys, fails, sends oversized responses, is slow, or redirects.

use std::time::{Duration, Instant};

use chrono::DateTime;
use futures::future::join_all;
use runyard::{
    config::Auth,
    error::Code,
    wire::jwt::{Claims, Verifier},
};
use serde_json::json;

use super::{
    NOW,
    issuer::{Issuer, Says},
    signer::{Signer, auth, jwks},
};

fn verifier(issuer: &Issuer) -> Verifier {
    let auth = Auth {
        jwks_url: Some(issuer.url.clone()),
        ..auth()
    };
    Verifier::new(&auth, None).unwrap()
}

pub fn token(signer: &Signer) -> String {
    signer.sign_with_kid(&json!({"sub": "ann", "exp": NOW + 100_000}))
}

pub async fn authenticate(verifier: &Verifier, token: &str, seconds: i64) -> runyard::error::Result<Claims> {
    let now = DateTime::from_timestamp(NOW + seconds, 0).unwrap();
    let accepted = verifier.authenticate(token, now).await?;
    Ok(accepted.claims.clone())
}

pub async fn gets_in(verifier: &Verifier, token: &str, seconds: i64) -> bool {
    authenticate(verifier, token, seconds).await.is_ok()
}

#[tokio::test]
async fn j11_rotated_keys_are_picked_up_and_removed_keys_refused() {
    let (old, new) = (Signer::ec(), Signer::ed());
    let issuer = Issuer::start(&[old.jwk()]).await;
    let verifier = verifier(&issuer);
    assert!(gets_in(&verifier, &token(&old), 0).await);
    assert!(!gets_in(&verifier, &token(&new), 1).await);
    assert_eq!(issuer.asked(), 2);
    // A new key is accepted immediately, even if the keys were fetched a second ago.
    issuer.say(Says::Keys(vec![old.jwk(), new.jwk()]));
    assert!(gets_in(&verifier, &token(&new), 1).await);
    assert!(gets_in(&verifier, &token(&old), 2).await);
    // A removed key stays valid until the next fetch, which follows within five minutes.
    issuer.say(Says::Keys(vec![new.jwk()]));
    assert!(gets_in(&verifier, &token(&old), 300).await);
    assert!(!gets_in(&verifier, &token(&old), 301).await);
    assert!(gets_in(&verifier, &token(&new), 302).await);
    assert_eq!(issuer.asked(), 4);
}

#[tokio::test]
async fn j11_many_unknown_key_ids_cause_few_fetches() {
    let (known, unknown, new) = (Signer::ec(), Signer::ec(), Signer::ec());
    let issuer = Issuer::start(&[known.jwk()]).await;
    let verifier = verifier(&issuer);
    let tokens = [token(&known), token(&unknown)];
    for (seconds, fetches) in [(0, 1), (1, 2)] {
        let outcomes = join_all((0..200).map(|number| gets_in(&verifier, &tokens[number % 2], seconds))).await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome).count(), 100);
        assert_eq!(issuer.asked(), fetches);
    }
    // Tokens with an unknown key id cause a burst of three fetches, and then one fetch every five seconds.
    for (seconds, fetches) in [(60, 5), (61, 5), (64, 5), (65, 6), (69, 6), (70, 7), (74, 7)] {
        for _ in 0..50 {
            assert!(!gets_in(&verifier, &tokens[1], seconds).await);
        }
        assert_eq!(issuer.asked(), fetches, "after {seconds} seconds");
    }
    // Despite the limit of one fetch in five seconds, a new key is accepted within five seconds.
    issuer.say(Says::Keys(vec![known.jwk(), new.jwk()]));
    assert!(!gets_in(&verifier, &token(&new), 74).await);
    assert!(gets_in(&verifier, &token(&new), 75).await);
    assert_eq!(issuer.asked(), 8);
    // No new key could make these tokens valid, so they cause no fetch: an expired token, a token with a wrong
    // signature, and an HS256 token.
    let forged = known.sign_with_header(
        &json!({"alg": "ES256", "kid": known.kid()}),
        &json!({"sub": "ann", "exp": NOW - 100}),
    );
    let foreign = unknown.sign_with_header(
        &json!({"alg": "ES256", "kid": known.kid()}),
        &json!({"sub": "ann", "exp": NOW + 100}),
    );
    for token in [
        forged,
        foreign,
        Signer::secret().sign(&json!({"sub": "ann", "exp": NOW + 100})),
    ] {
        assert!(!gets_in(&verifier, &token, 120).await);
    }
    assert_eq!(issuer.asked(), 8);
}

#[tokio::test]
async fn concurrent_tokens_with_a_new_key_are_all_accepted() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let issuer = Issuer::start(&[old.jwk()]).await;
    let verifier = verifier(&issuer);
    assert!(gets_in(&verifier, &token(&old), 0).await);
    issuer.say(Says::Keys(vec![new.jwk()]));
    let fresh = token(&new);
    let outcomes = join_all((0..100).map(|_| gets_in(&verifier, &fresh, 10))).await;
    assert!(outcomes.iter().all(|outcome| *outcome));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_rotated_key_without_an_id_is_picked_up() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let without_id = |signer: &Signer| {
        let mut jwk = signer.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let issuer = Issuer::start(&[without_id(&old)]).await;
    let verifier = verifier(&issuer);
    assert!(gets_in(&verifier, &token(&old), 0).await);
    issuer.say(Says::Keys(vec![without_id(&new)]));
    assert!(gets_in(&verifier, &token(&new), 1).await);
    assert!(!gets_in(&verifier, &token(&old), 2).await);
}

#[tokio::test]
async fn j11_a_failing_issuer_keeps_the_known_keys() {
    let (known, unknown) = (Signer::ec(), Signer::ec());
    let elsewhere = Issuer::start(&[unknown.jwk()]).await;
    let issuer = Issuer::start(&[known.jwk()]).await;
    let verifier = verifier(&issuer);
    assert!(gets_in(&verifier, &token(&known), 0).await);
    let html = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>".to_vec();
    let away = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    let none = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}".to_vec();
    let null = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"keys\":null}".to_vec();
    let leads = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    let mut seconds = 400;
    for says in [
        Says::Raw(html),
        Says::Raw(away),
        Says::Raw(none),
        Says::Raw(null),
        Says::Raw(leads.into_bytes()),
        Says::Raw(Vec::new()),
        Says::Flood,
        Says::Silence,
    ] {
        issuer.say(says);
        let (before, began) = (issuer.asked(), Instant::now());
        assert!(!gets_in(&verifier, &token(&unknown), seconds).await);
        assert!(gets_in(&verifier, &token(&known), seconds + 1).await);
        assert_eq!(issuer.asked(), before + 1);
        assert!(began.elapsed() < Duration::from_mins(1));
        seconds += 100;
    }
    assert_eq!(elsewhere.asked(), 0);
    issuer.say(Says::Keys(vec![unknown.jwk()]));
    assert!(gets_in(&verifier, &token(&unknown), seconds).await);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_start_makes_tokens_unavailable_instead_of_invalid() {
    let signer = Signer::ec();
    let issuer = Issuer::start(&[]).await;
    let verifier = verifier(&issuer);
    for seconds in [0, 1, 5] {
        let error = authenticate(&verifier, &token(&signer), seconds).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
    }
    // No key could make a malformed token valid, so it is refused as invalid even before any key is loaded.
    let error = authenticate(&verifier, "a.b.c", 6).await.unwrap_err();
    assert_eq!(error.code(), Code::NotAuthenticated);
    issuer.say(Says::Keys(vec![signer.jwk()]));
    assert!(gets_in(&verifier, &token(&signer), 10).await);
    let error = authenticate(&verifier, &token(&Signer::ec()), 15).await.unwrap_err();
    assert_eq!(error.code(), Code::NotAuthenticated);
}

#[tokio::test]
async fn an_inspection_names_the_cause_of_a_failure_and_the_unusable_keys() {
    let issuer = Issuer::start(&[]).await;
    let inspect = async || verifier(&issuer).inspect_keys().await.unwrap();
    let mut short = Signer::rsa().jwk();
    short["n"] = "AQAB".into();
    issuer.say(Says::Keys(vec![short, Signer::ec().jwk()]));
    let keys = inspect().await;
    assert_eq!((keys.source.as_str(), keys.usable), (issuer.url.as_str(), Ok(1)));
    let problems = keys.problems.unwrap();
    assert!(problems.contains("key 0") && problems.contains("17 bits"), "{problems}");
    issuer.say(Says::Raw(
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
    ));
    let why = inspect().await.usable.unwrap_err();
    assert!(why.contains(&issuer.url) && why.contains("404"), "{why}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let auth = Auth {
        jwks_url: Some(format!("http://{closed}/jwks")),
        ..auth()
    };
    let keys = Verifier::new(&auth, None).unwrap().inspect_keys().await.unwrap();
    let why = keys.usable.unwrap_err();
    assert!(why.contains("refused"), "{why}");
}

fn refusal(auth: &Auth) -> Option<String> {
    Verifier::new(auth, None).err().map(|error| error.message().to_owned())
}

#[test]
fn a_jwks_url_must_be_https_or_loopback() {
    let with = |url: &str, allow_private_http: bool| {
        refusal(&Auth {
            jwks_url: Some(url.to_owned()),
            allow_private_http,
            ..auth()
        })
    };
    for url in [
        "https://issuer.example/jwks",
        "http://127.0.0.1:1/x",
        "http://[::1]:1/x",
        "http://localhost/x",
    ] {
        assert_eq!(with(url, false), None, "{url}");
    }
    for url in [
        "http://10.0.0.1/jwks",
        "http://172.20.0.3:8080/jwks",
        "http://192.168.1.1/jwks",
        "http://100.64.0.1/jwks",
        "http://[fd00::1]/jwks",
        "http://keycloak:8080/jwks",
        "http://keycloak.default.svc.cluster.local/jwks",
    ] {
        let why = with(url, false).unwrap();
        assert!(
            why.starts_with("auth.jwks_url: ") && why.contains("allow_private_http"),
            "{why}"
        );
        assert_eq!(with(url, true), None, "{url}");
    }
    for url in [
        "http://8.8.8.8/",
        "http://169.254.169.254/latest",
        "http://[2001:db8::1]/",
        "http://172.32.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "jwks",
        "https://a:b@c/",
        "http://a@localhost/",
    ] {
        for allow in [false, true] {
            let said = with(url, allow).unwrap();
            assert!(said.starts_with("auth.jwks_url: "), "{said}");
        }
    }
}

#[tokio::test]
async fn http_with_a_host_name_is_fetched_from_private_addresses() {
    let signer = Signer::ec();
    let issuer = Issuer::start(&[signer.jwk()]).await;
    let auth = Auth {
        jwks_url: Some(issuer.url.replace("127.0.0.1", "localhost")),
        ..auth()
    };
    let verifier = Verifier::new(&auth, None).unwrap();
    assert!(gets_in(&verifier, &token(&signer), 0).await);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let file = jwks(&[Signer::ec().jwk()]);
    let url = || Some("https://issuer.example/jwks".to_owned());
    let issuer = || Some("https://issuer.example".to_owned());
    let good = Auth {
        issuer_url: issuer(),
        issuer: issuer(),
        ..auth()
    };
    assert_eq!(refusal(&good), None);
    for (what, bad) in [
        (
            "set only one of them",
            Auth {
                jwks_file: Some(file.path().into()),
                jwks_url: url(),
                ..auth()
            },
        ),
        (
            "set only one of them",
            Auth {
                jwks_url: url(),
                issuer_url: issuer(),
                ..auth()
            },
        ),
        (
            "remove auth.issuer",
            Auth {
                issuer: Some("https://issuer.example/".into()),
                ..good
            },
        ),
        ("no key to verify tokens", auth()),
    ] {
        let why = refusal(&bad).unwrap();
        assert!(why.contains(what), "{why}");
    }
}
