//! Tests of the real program with an identity provider that is unavailable at the start.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::program::{OPEN, Program};
use crate::{
    auth::{
        issuer::{Issuer, Says},
        signer::{SECRET, Signer, jwks},
    },
    test_server::TEST_TIMEOUT,
};

fn token(signer: &Signer, claims: &Value) -> String {
    let now = chrono::Utc::now().timestamp();
    let mut all = json!({"sub": "ann", "iat": now, "exp": now + 3600});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    signer.sign_with_kid(&all)
}

async fn status(program: &Program, token: &str) -> StatusCode {
    let request = program.http.get(format!("{}/agents", program.url));
    request.bearer_auth(token).send().await.unwrap().status()
}

/// Sends the token until it is accepted, and returns the statuses of the refusals.
async fn refusals_until_accepted(program: &Program, token: &str) -> Vec<StatusCode> {
    let mut refusals = Vec::new();
    let asking = async {
        loop {
            match status(program, token).await {
                StatusCode::OK => return,
                refused => refusals.push(refused),
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, asking)
        .await
        .expect("the token should be accepted");
    refusals
}

#[tokio::test]
async fn an_issuer_that_is_down_at_start_is_tried_again_and_rotated_keys_are_noticed() {
    let (old, new) = (Signer::ec_p384(), Signer::rsa_with("PS256"));
    let issuer = Issuer::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[auth]\nissuer_url = \"{}\"\nclient_ids = [\"app\"]\n{OPEN}",
        issuer.name
    );
    let program = Program::start(folder.path(), &config).await;
    let warning = program
        .line("the failed load", |line| {
            line["level"] == "WARN"
                && line["error"]
                    .as_str()
                    .is_some_and(|why| why.contains("no key that can verify"))
        })
        .await;
    assert_eq!(warning["source"], issuer.name, "{warning}");
    let claims = json!({"iss": issuer.name, "client_id": "app"});
    assert_eq!(
        status(&program, &token(&old, &claims)).await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    // A token from `runyard token` is signed with the HS256 secret, so the server accepts it even without the keys of
    // the provider.
    assert_eq!(status(&program, &program.token).await, StatusCode::OK);
    issuer.say(Says::Keys(vec![old.jwk()]));
    let refusals = refusals_until_accepted(&program, &token(&old, &claims)).await;
    assert!(refusals.iter().all(|status| *status == StatusCode::SERVICE_UNAVAILABLE));
    // The provider rotates its keys right after Runyard has loaded them.
    issuer.say(Says::Keys(vec![old.jwk(), new.jwk()]));
    let refusals = refusals_until_accepted(&program, &token(&new, &claims)).await;
    assert!(refusals.iter().all(|status| *status == StatusCode::UNAUTHORIZED));
    for claims in [
        json!({"iss": "https://other.example", "client_id": "app"}),
        json!({"iss": issuer.name, "client_id": "other"}),
        json!({"iss": issuer.name}),
    ] {
        assert_eq!(
            status(&program, &token(&old, &claims)).await,
            StatusCode::UNAUTHORIZED,
            "{claims}"
        );
    }
}

#[tokio::test]
async fn unusable_keys_are_one_warning_with_the_reason() {
    let (good, secret) = (Signer::rsa(), Signer::from_secret(SECRET.as_bytes()));
    let mut short = Signer::rsa().jwk();
    short["n"] = "AQAB".into();
    let mut padded = Signer::ec().jwk();
    padded["x"] = format!("{}=", padded["x"].as_str().unwrap()).into();
    let file = jwks(&[short, padded, json!({"kid": "odd"}), Value::Null, good.jwk()]);
    let folder = tempfile::tempdir().unwrap();
    let config = format!("[auth]\njwks_file = \"{}\"\n{OPEN}", file.path().display());
    let program = Program::start(folder.path(), &config).await;
    assert_eq!(status(&program, &token(&good, &json!({}))).await, StatusCode::OK);
    assert_eq!(status(&program, &token(&secret, &json!({}))).await, StatusCode::OK);
    assert_eq!(
        status(&program, &token(&Signer::rsa(), &json!({}))).await,
        StatusCode::UNAUTHORIZED
    );
    let lines = program.lines();
    let problems: Vec<_> = lines.iter().filter_map(|line| line["problems"].as_str()).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    for reason in [
        "key 0 (",
        "17 bits",
        "key 1 (",
        "not base64url",
        "key 2 (\"odd\")",
        "key 3: ",
    ] {
        assert!(problems[0].contains(reason), "{reason} in {problems:?}");
    }
}
