//! Keys from a JWKS URL. The server at this URL rotates keys, fails, sends too much, is slow, or redirects.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use runyard::{config::Auth, wire::jwt::Verifier};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    NOW,
    signer::{Signer, auth},
};

/// The issuer's answer to a request for its keys.
#[derive(Clone)]
enum Says {
    Keys(Vec<Value>),
    Raw(Vec<u8>),
    /// A response that never ends.
    Flood,
    /// The start of a response. The rest never arrives.
    Silence,
}

struct Issuer {
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
    url: String,
}

impl Issuer {
    async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let says = Arc::new(Mutex::new(Says::Keys(keys.to_vec())));
        let asked = Arc::new(AtomicUsize::new(0));
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (told, counted) = (Arc::clone(&says), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (says, asked) = (told.lock().unwrap().clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    let _ = stream.read(&mut request).await;
                    asked.fetch_add(1, Ordering::SeqCst);
                    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
                    let answer = match says {
                        Says::Keys(keys) => format!("{head}{}", json!({ "keys": keys })).into_bytes(),
                        Says::Raw(bytes) => bytes,
                        Says::Flood => {
                            let _ = stream.write_all(head.as_bytes()).await;
                            while stream.write_all(&[b' '; 8192]).await.is_ok() {}
                            return;
                        }
                        Says::Silence => {
                            let _ = stream.write_all(head.as_bytes()).await;
                            std::future::pending().await
                        }
                    };
                    let _ = stream.write_all(&answer).await;
                });
            }
        });
        Self { says, asked, url }
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn verifier(&self) -> Verifier {
        let auth = Auth {
            jwks_url: Some(self.url.clone()),
            ..auth()
        };
        Verifier::new(&auth, None).unwrap()
    }
}

fn token(signer: &Signer) -> String {
    let claims = json!({"sub": "ann", "exp": NOW + 100_000});
    signer.sign_with_header(&json!({"alg": signer.alg(), "kid": signer.kid()}), &claims)
}

/// Returns true if the token is accepted `seconds` after the start of the test.
async fn gets_in(verifier: &Verifier, token: &str, seconds: i64) -> bool {
    let now = chrono::DateTime::from_timestamp(NOW + seconds, 0).unwrap();
    verifier.refresh_for(token, now).await;
    verifier.verify(token, now).is_ok()
}

#[tokio::test]
async fn j11_rotated_keys_are_picked_up_and_removed_keys_refused() {
    let (old, new) = (Signer::ec(), Signer::ed());
    let issuer = Issuer::start(&[old.jwk()]).await;
    let verifier = issuer.verifier();
    assert!(gets_in(&verifier, &token(&old), 0).await);
    assert!(!gets_in(&verifier, &token(&new), 1).await);
    assert_eq!(issuer.asked(), 1);
    // A new key is accepted within a minute of the first token that names it.
    issuer.say(Says::Keys(vec![old.jwk(), new.jwk()]));
    assert!(!gets_in(&verifier, &token(&new), 59).await);
    assert!(gets_in(&verifier, &token(&new), 60).await);
    assert!(gets_in(&verifier, &token(&old), 61).await);
    // A removed key is refused within five minutes.
    issuer.say(Says::Keys(vec![new.jwk()]));
    assert!(gets_in(&verifier, &token(&old), 359).await);
    assert!(!gets_in(&verifier, &token(&old), 360).await);
    assert!(gets_in(&verifier, &token(&new), 361).await);
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn j11_many_unknown_key_ids_cause_one_fetch_a_minute() {
    let (known, unknown) = (Signer::ec(), Signer::ec());
    let issuer = Issuer::start(&[known.jwk()]).await;
    let verifier = issuer.verifier();
    let tokens = [token(&known), token(&unknown)];
    let outcomes = join_all((0..200).map(|number| gets_in(&verifier, &tokens[number % 2], 0))).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome).count(), 100);
    assert_eq!(issuer.asked(), 1);
    join_all((0..200).map(|number| gets_in(&verifier, &tokens[number % 2], 30 + i64::try_from(number).unwrap() % 30)))
        .await;
    assert_eq!(issuer.asked(), 1);
    join_all((0..200).map(|number| gets_in(&verifier, &tokens[number % 2], 61))).await;
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn j11_a_failing_issuer_keeps_the_known_keys() {
    let (known, unknown) = (Signer::ec(), Signer::ec());
    let elsewhere = Issuer::start(&[unknown.jwk()]).await;
    let issuer = Issuer::start(&[known.jwk()]).await;
    let verifier = issuer.verifier();
    assert!(gets_in(&verifier, &token(&known), 0).await);
    let html = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>".to_vec();
    let away = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    let none = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}".to_vec();
    let leads = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    let mut seconds = 400;
    for says in [
        Says::Raw(html),
        Says::Raw(away),
        Says::Raw(none),
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
        assert!(began.elapsed() < Duration::from_secs(10));
        seconds += 100;
    }
    assert_eq!(elsewhere.asked(), 0);
    // Positive control: after the issuer recovers, its new key is accepted.
    issuer.say(Says::Keys(vec![unknown.jwk()]));
    assert!(gets_in(&verifier, &token(&unknown), seconds).await);
}

#[test]
fn a_jwks_url_must_be_https_or_loopback() {
    let verifier = |url: &str| {
        let auth = Auth {
            jwks_url: Some(url.to_owned()),
            ..auth()
        };
        Verifier::new(&auth, None)
            .map(drop)
            .map_err(|error| error.message().to_owned())
    };
    for url in [
        "https://issuer.example/jwks",
        "http://127.0.0.1:1/x",
        "http://[::1]:1/x",
        "http://localhost/x",
    ] {
        verifier(url).unwrap();
    }
    for url in [
        "http://issuer.example/jwks",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "jwks",
        "https://a:b@c/",
    ] {
        let said = verifier(url).unwrap_err();
        assert!(said.starts_with("auth.jwks_url: "), "{said}");
    }
}
