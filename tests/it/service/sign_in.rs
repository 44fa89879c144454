//! The sign-in of the console with OpenID Connect: its settings, `/console.json` and the content security policy.

use reqwest::Method;
use runyard::config::{Config, SignInToken};
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use crate::{
    auth::{
        issuer::{Issuer, Says},
        signer::Signer,
    },
    test_server::{Answer, TestServer, on_every_database_with},
};

fn parse(settings: &str) -> Result<Config, String> {
    Config::parse("c.toml", settings).map_err(|error| error.message().to_owned())
}

const GOOD: &str = "[auth]\nissuer_url = \"https://issuer.example\"\naudience = \"api\"\nclient_ids = [\"console\"]\n\
                    [auth.sign_in]\nclient_id = \"console\"\n";

#[test]
fn the_sign_in_is_off_by_default_and_a_client_switches_it_on() {
    assert_eq!(parse("").unwrap().auth.sign_in.client_id, None);
    let sign_in = parse(GOOD).unwrap().auth.sign_in;
    assert_eq!(sign_in.client_id.as_deref(), Some("console"));
    assert_eq!(sign_in.scopes, ["openid"]);
    assert_eq!(sign_in.token, SignInToken::AccessToken);
    let variable = |name: &str| (name == "RUNYARD_SIGN_IN_CLIENT_ID").then(|| "app".to_owned());
    let issuer = |name: &str| (name == "RUNYARD_ISSUER_URL").then(|| "https://issuer.example".to_owned());
    let config = Config::load(None, &|name| variable(name).or_else(|| issuer(name))).unwrap();
    assert_eq!(config.auth.sign_in.client_id.as_deref(), Some("app"));
    assert!(Config::load(None, &variable).is_err(), "without an issuer");
}

#[test]
fn a_wrong_setting_is_refused_with_the_line_and_the_cause() {
    parse(GOOD).unwrap();
    for (from, to, cause) in [
        (
            "issuer_url = \"https://issuer.example\"\n",
            "jwks_url = \"https://issuer.example/jwks\"\n",
            "line 6, auth.sign_in.client_id: needs auth.issuer_url",
        ),
        (
            "client_ids = [\"console\"]",
            "client_ids = [\"other\"]",
            "line 6, auth.sign_in.client_id: auth.client_ids does not contain \"console\"",
        ),
        (
            "client_id = \"console\"\n",
            "client_id = \" \"\n",
            "line 6, auth.sign_in.client_id: must be a text",
        ),
        (
            "client_id = \"console\"\n",
            "button = \"Sign in\"\n",
            "line 6, auth.sign_in.button: has no effect without a client",
        ),
        (
            "client_id = \"console\"\n",
            "client_id = \"console\"\nscopes = [\"email\"]\n",
            "line 7, auth.sign_in.scopes: must contain \"openid\"",
        ),
        (
            "client_id = \"console\"\n",
            "client_id = \"console\"\nscopes = [\"openid email\"]\n",
            "line 7, auth.sign_in.scopes: \"openid email\" is not a scope",
        ),
        (
            "client_id = \"console\"\n",
            "client_id = \"console\"\ntoken = \"id_token\"\n",
            "line 7, auth.sign_in.token: the audience of an ID token is the client \"console\"",
        ),
        (
            "client_id = \"console\"\n",
            "client_id = \"console\"\ntoken = \"opaque\"\n",
            "line 7, auth.sign_in.token: unknown variant `opaque`",
        ),
        (
            "client_id = \"console\"\n",
            "client_id = \"console\"\nsecret = \"x\"\n",
            "line 7, auth.sign_in.secret: unknown field `secret`",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let why = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert!(why.contains(cause), "{why}");
    }
    // An ID token fits if the audience is the client.
    let fitting = GOOD.replace("audience = \"api\"", "audience = \"console\"");
    parse(&format!("{fitting}token = \"id_token\"\n")).unwrap();
}

async fn with_sign_in(issuer: &Issuer, settings: &str, test: impl AsyncFn(&mut TestServer)) {
    let written = format!("[auth]\nissuer_url = \"{}\"\n[auth.sign_in]\n{settings}", issuer.name);
    let change = |config: &mut Config| {
        let secret = config.auth.jwt_secret.take();
        config.auth = parse(&written).unwrap().auth;
        config.auth.jwt_secret = secret;
    };
    on_every_database_with(|_| Script::function(|_| Turn::words(1)), change, test).await;
}

async fn ask(server: &TestServer, method: Method, path: &str) -> Answer {
    Answer::of(server.http.request(method, server.url(path)).send().await.unwrap()).await
}

async fn get(server: &TestServer, path: &str) -> Answer {
    ask(server, Method::GET, path).await
}

fn document(issuer: &Issuer) -> Value {
    json!({
        "issuer": issuer.name,
        "jwks_uri": issuer.url,
        "authorization_endpoint": "https://login.example/authorize?tenant=a",
        "token_endpoint": "https://login.example:8443/token",
        "end_session_endpoint": "https://login.example/logout",
        "revocation_endpoint": "https://login.example:8443/revoke",
        "id_token_signing_alg_values_supported": ["ES384"],
        "authorization_response_iss_parameter_supported": true,
        "registration_endpoint": "https://login.example/register",
    })
}

#[tokio::test]
async fn without_a_client_the_console_learns_that_there_is_no_sign_in() {
    on_every_database_with(
        |_| Script::function(|_| Turn::words(1)),
        |_| {},
        async |server| {
            let settings = get(server, "/console.json").await;
            assert_eq!(settings.json(), json!({"sign_in": null}));
            let policy = get(server, "/").await.header("content-security-policy").to_owned();
            assert!(policy.contains("connect-src 'self';"), "{policy}");
        },
    )
    .await;
}

#[tokio::test]
async fn the_console_learns_the_client_and_the_endpoints_without_a_token() {
    let issuer = Issuer::start(&[Signer::ec().jwk()]).await;
    issuer.say_document(document(&issuer));
    let settings = "client_id = \"console\"\nscopes = [\"openid\", \"offline_access\"]\naudience = \"api\"\nresource = \
                    \"https://api.example\"\nprompt = \"consent\"\nbutton = \"Sign in with Example\"\ntoken = \"id_token\"\n";
    with_sign_in(&issuer, settings, async |server| {
        let answer = get(server, "/console.json").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "public, max-age=60");
        let expected = json!({"sign_in": {
            "client_id": "console",
            "issuer": issuer.name,
            "scope": "openid offline_access",
            "audience": "api",
            "resource": "https://api.example",
            "prompt": "consent",
            "button": "Sign in with Example",
            "token": "id_token",
            "server": {
                "issuer": issuer.name,
                "authorization_endpoint": "https://login.example/authorize?tenant=a",
                "token_endpoint": "https://login.example:8443/token",
                "end_session_endpoint": "https://login.example/logout",
                "revocation_endpoint": "https://login.example:8443/revoke",
                "id_token_signing_alg_values_supported": ["ES384"],
                "authorization_response_iss_parameter_supported": true,
            },
        }});
        assert_eq!(answer.json(), expected);
        let head = ask(server, Method::HEAD, "/console.json").await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        ask(server, Method::POST, "/console.json")
            .await
            .refused(405, "METHOD_NOT_ALLOWED");
        // A neighbouring path needs a token.
        get(server, "/console.jso").await.refused(401, "NOT_AUTHENTICATED");
    })
    .await;
}

#[tokio::test]
async fn pages_may_call_exactly_the_origin_of_the_token_endpoint() {
    let issuer = Issuer::start(&[Signer::ec().jwk()]).await;
    issuer.say_document(document(&issuer));
    with_sign_in(&issuer, "client_id = \"console\"\n", async |server| {
        let page = get(server, "/").await;
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("; connect-src 'self' https://login.example:8443; font-src 'self'"),
            "{policy}"
        );
        assert_eq!(policy.matches("login.example").count(), 1, "{policy}");
        let script = get(server, "/without.css").await;
        assert_eq!(script.header("content-security-policy"), "");
        // The policy belongs to the tag, so that a browser does not keep an old policy with an unchanged page.
        let tag = page.header("etag").to_owned();
        let again = server.http.get(server.url("/")).header("if-none-match", &tag);
        assert_eq!(again.send().await.unwrap().status(), 304);
        let mut moved = document(&issuer);
        moved["token_endpoint"] = "https://new.example/token".into();
        issuer.say_document(moved);
        server.restart().await;
        let again = server.http.get(server.url("/")).header("if-none-match", &tag);
        let again = again.send().await.unwrap();
        assert_eq!(again.status(), 200);
        let policy = again.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("connect-src 'self' https://new.example;"), "{policy}");
        issuer.say_document(document(&issuer));
    })
    .await;
}

#[tokio::test]
async fn an_unreachable_issuer_is_tried_again_within_limits() {
    let issuer = Issuer::start(&[Signer::ec().jwk()]).await;
    with_sign_in(&issuer, "client_id = \"console\"\n", async |server| {
        // The document of the test's issuer has no endpoints.
        let document_without = json!({"issuer": issuer.name, "jwks_uri": issuer.url});
        let unusable = |name: &str, value: &str| {
            let mut document = document(&issuer);
            document[name] = value.into();
            document
        };
        issuer.say_document(document_without);
        let answer = get(server, "/console.json").await;
        assert_eq!(answer.json()["sign_in"]["client_id"], "console");
        assert_eq!(answer.json()["sign_in"]["server"], Value::Null);
        assert_eq!(answer.header("cache-control"), "no-store");
        let policy = get(server, "/").await.header("content-security-policy").to_owned();
        assert!(policy.contains("connect-src 'self';"), "{policy}");
        issuer.say_document(unusable("token_endpoint", "http://login.example/token"));
        let answer = get(server, "/console.json").await;
        assert_eq!(answer.json()["sign_in"]["server"], Value::Null, "http is refused");
        issuer.say(Says::Raw(b"HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n".to_vec()));
        let before = issuer.documents();
        for _ in 0..20 {
            get(server, "/console.json").await;
        }
        assert!(issuer.documents() - before <= 4, "the loads are limited");
        issuer.say(Says::Keys(vec![Signer::ec().jwk()]));
        issuer.say_document(unusable("revocation_endpoint", "https://elsewhere.example/revoke"));
        server.clock.advance(std::time::Duration::from_mins(10));
        // A page loads the endpoints too: its policy decides whether the console can renew a token.
        let policy = get(server, "/").await.header("content-security-policy").to_owned();
        assert!(
            policy.contains("connect-src 'self' https://login.example:8443;"),
            "{policy}"
        );
        let answer = get(server, "/console.json").await;
        let found = answer.json();
        let found = &found["sign_in"]["server"];
        assert_eq!(found["token_endpoint"], "https://login.example:8443/token");
        assert_eq!(
            found["revocation_endpoint"],
            Value::Null,
            "the policy forbids this origin"
        );
        issuer.say_document(json!({"issuer": issuer.name, "jwks_uri": issuer.url}));
    })
    .await;
}

#[test]
fn the_documented_settings_are_valid() {
    let page = include_str!("../../../docs/authentication.md");
    let (_, section) = page.split_once("\n## Sign-in in the console\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks: Vec<&str> = section.split("```toml\n").skip(1).collect();
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let (block, _) = block.split_once("```").unwrap();
        let config = parse(block).unwrap_or_else(|why| panic!("{why}: {block}"));
        assert!(config.auth.sign_in.client_id.is_some(), "{block}");
    }
}
