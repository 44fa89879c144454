//! Tests the tokens in docs/authentication.md, one for each identity provider. Each token is accepted with the
//! documented settings, and refused if one setting is changed.

use runyard::{
    config::{Auth, Config},
    wire::jwt::Verifier,
};
use serde_json::{Deserializer, Value, json};

use super::{
    NOW, accept, refuse,
    signer::{Signer, auth, jwks},
};

const PAGE: &str = include_str!("../../../docs/authentication.md");

/// Returns the documented providers: the heading on the page, the members of the JWK besides the public key, and the
/// other keys of the JWKS.
fn providers() -> Vec<(&'static str, Value, Vec<Value>)> {
    let rsa = |alg: &str| {
        let mut jwk = Signer::rsa().jwk();
        jwk["alg"] = alg.into();
        jwk
    };
    let encrypting = {
        let mut jwk = rsa("RSA-OAEP");
        jwk["use"] = "enc".into();
        jwk
    };
    let signing = json!({"alg": "RS256", "use": "sig"});
    let with_certificate = |jwk: Value| {
        let mut jwk = jwk;
        jwk["x5c"] = json!(["MIIDBTCCAe2gAwIBAgIQ"]);
        jwk["x5t"] = "i6lGk3FZzxRcUb2C3nEQ7syHJlY".into();
        jwk
    };
    let entra = with_certificate(json!({"use": "sig", "cloud_instance_name": "microsoftonline.com"}));
    vec![
        (
            "Supabase",
            json!({"alg": "ES256", "use": "sig", "key_ops": ["verify"], "ext": true}),
            vec![],
        ),
        ("Supabase with a secret", Value::Null, vec![]),
        ("Auth0", with_certificate(signing.clone()), vec![rsa("RS256")]),
        ("Keycloak", with_certificate(signing.clone()), vec![encrypting]),
        ("Clerk", signing.clone(), vec![]),
        ("Amazon Cognito", signing.clone(), vec![rsa("RS256")]),
        ("Firebase", signing.clone(), vec![rsa("RS256")]),
        ("Logto", json!({"alg": "ES384", "use": "sig"}), vec![]),
        ("Microsoft Entra ID", entra.clone(), vec![Signer::rsa().jwk()]),
        ("Microsoft Entra ID, version 1", entra, vec![Signer::rsa().jwk()]),
        ("Zitadel", signing, vec![rsa("RS256")]),
    ]
}

struct Block {
    settings: Auth,
    header: Value,
    claims: Value,
}

fn code<'p>(heading: &str, language: &str) -> Option<&'p str> {
    let (_, below) = PAGE.split_once(&format!("\n## {heading}\n"))?;
    let below = below.split("\n## ").next()?;
    let (_, code) = below.split_once(&format!("```{language}\n"))?;
    code.split("```").next()
}

/// Reads a provider from the page, and shifts the times in its token to the time of the test.
fn block(heading: &str) -> Block {
    let code = |language| code(heading, language).unwrap_or_else(|| panic!("no {language} for {heading}"));
    let mut parts = Deserializer::from_str(code("json")).into_iter::<Value>();
    let (header, mut claims) = (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap());
    for name in ["iat", "nbf", "auth_time"] {
        if claims.get(name).is_some() {
            claims[name] = (NOW - 5).into();
        }
    }
    claims["exp"] = (NOW + 60).into();
    Block {
        settings: Config::parse(heading, code("toml")).unwrap().auth,
        header,
        claims,
    }
}

/// Creates a verifier that loads the keys from a file instead of the provider's URL.
fn verifier(settings: &Auth, keys: &[Value]) -> Verifier {
    let file = jwks(keys);
    let settings = Auth {
        issuer: settings.expected_issuer().map(str::to_owned),
        issuer_url: None,
        jwks_url: None,
        jwks_file: settings.has_public_keys().then(|| file.path().into()),
        ..settings.clone()
    };
    Verifier::new(&settings, settings.jwt_secret.as_ref()).unwrap()
}

/// Returns copies of the settings with one mistake each, and the name of each wrong setting.
fn wrong_settings(settings: &Auth) -> Vec<(&'static str, Auth)> {
    let other = || Some("other".to_owned());
    let mut wrong = vec![(
        "issuer",
        Auth {
            issuer: settings.expected_issuer().map(|issuer| format!("{issuer}/")),
            ..settings.clone()
        },
    )];
    if settings.audience.is_some() {
        let audience = other();
        wrong.push((
            "audience",
            Auth {
                audience,
                ..settings.clone()
            },
        ));
    }
    if !settings.client_ids.is_empty() {
        let client_ids = vec!["other".to_owned()];
        wrong.push((
            "client",
            Auth {
                client_ids,
                ..settings.clone()
            },
        ));
    }
    if settings.jwt_secret.is_some() {
        let jwt_secret = Some("another secret with at least 32 characters".into());
        wrong.push((
            "secret",
            Auth {
                jwt_secret,
                ..settings.clone()
            },
        ));
    }
    wrong
}

#[test]
fn tokens_as_documented_are_accepted_with_the_settings_and_refused_with_one_wrong() {
    for (heading, members, others) in providers() {
        let Block {
            settings,
            header,
            claims,
        } = block(heading);
        let secret = settings.jwt_secret.as_ref().map(secrecy::ExposeSecret::expose_secret);
        let alg = header["alg"].as_str().unwrap();
        let signer = Signer::with_algorithm(alg, secret.unwrap_or_default());
        let public = |signer: &Signer| {
            let mut jwk = signer.jwk();
            jwk["kid"] = header["kid"].clone();
            for (name, value) in members.as_object().into_iter().flatten() {
                jwk[name] = value.clone();
            }
            jwk
        };
        let mut keys = others.clone();
        keys.insert(0, public(&signer));
        let right = verifier(&settings, &keys);
        let token = signer.sign_with_header(&header, &claims);
        let found = accept(&right, &token);
        assert_eq!(Some(&*found.subject), claims["sub"].as_str(), "{heading}");
        assert_eq!(Some(found.issuer.as_str()), claims["iss"].as_str(), "{heading}");
        assert_ne!(found.role.as_deref(), Some("super_admin"), "{heading}");

        let wrong = wrong_settings(&settings);
        assert!(wrong.len() >= 2, "{heading} checks the audience or the client");
        for (what, settings) in wrong {
            let why = refuse(&verifier(&settings, &keys), &token);
            let expected = match what {
                "issuer" => "iss is not",
                "audience" => "aud does not",
                "client" => "auth.client_ids",
                _ => "invalid signature",
            };
            assert!(why.contains(expected), "{heading}, wrong {what}: {why}");
        }
        if secret.is_none() {
            let foreign = Signer::with_algorithm(alg, "");
            refuse(&right, &foreign.sign_with_header(&header, &claims));
            refuse(&verifier(&settings, &[public(&foreign)]), &token);
        }
        for (name, value) in [
            ("iss", json!("https://issuer.example")),
            ("exp", json!(NOW - 60)),
            ("sub", Value::Null),
        ] {
            let mut changed = claims.clone();
            changed[name] = value;
            refuse(&right, &signer.sign_with_header(&header, &changed));
        }
    }
}

#[test]
fn every_provider_of_the_page_is_tested_and_every_block_is_valid() {
    let headings = PAGE.lines().filter_map(|line| line.strip_prefix("## "));
    let documented: Vec<_> = headings.filter(|heading| code(heading, "json").is_some()).collect();
    let tested: Vec<_> = providers().iter().map(|(heading, ..)| *heading).collect();
    assert_eq!(documented, tested);
    for heading in documented {
        let settings = block(heading).settings;
        // The settings are used as they are on the page, so that their URLs are checked, too.
        Verifier::new(&settings, settings.jwt_secret.as_ref()).unwrap();
        let link = heading.to_lowercase().replace(' ', "-").replace(',', "");
        assert!(PAGE.contains(&format!("[{heading}](#{link})")), "no link to {heading}");
    }
}

#[test]
fn other_tokens_of_these_providers_are_accepted_only_with_fitting_settings() {
    let client = |id: &str| vec![id.to_owned()];
    let audience = |audience: &str| Auth {
        audience: Some(audience.into()),
        ..auth()
    };
    let client_id = |id: &str| Auth {
        client_ids: client(id),
        ..auth()
    };
    let both = Auth {
        audience: Some("api".into()),
        ..client_id("app")
    };
    let cognito = json!({"token_use": "access", "client_id": "app"});
    let cognito_id = json!({"token_use": "id", "aud": "app", "cognito:username": "ann"});
    let keycloak = json!({"typ": "Bearer", "aud": ["account", "api"], "azp": "app"});
    let clerk_native = json!({"sid": "sess_1", "sts": "active", "v": 2});
    let entra = json!({"ver": "1.0", "appid": "app", "aud": "api"});
    let machine = json!({"sub": "app@clients", "aud": "api", "azp": "app", "gty": "client-credentials"});
    let zitadel = json!({"aud": ["app", "project"], "azp": "app", "client_id": "app"});
    for (name, claims, settings, is_accepted) in [
        ("Cognito access", &cognito, client_id("app"), true),
        ("Cognito access", &cognito, client_id("other"), false),
        ("Cognito access", &cognito, audience("app"), false),
        ("Cognito id", &cognito_id, audience("app"), true),
        ("Cognito id", &cognito_id, audience("other"), false),
        ("Cognito id", &cognito_id, client_id("app"), false),
        ("Keycloak with a mapper", &keycloak, audience("api"), true),
        ("Keycloak with a mapper", &keycloak, both.clone(), true),
        ("Keycloak with a mapper", &keycloak, audience("app"), false),
        (
            "Keycloak of another client",
            &json!({"aud": "api", "azp": "other"}),
            both.clone(),
            false,
        ),
        (
            "Keycloak of another service",
            &json!({"aud": "other", "azp": "app"}),
            both.clone(),
            false,
        ),
        ("Clerk without azp", &clerk_native, client_id("app"), false),
        ("Clerk without azp", &clerk_native, auth(), true),
        ("Entra 1", &entra, both.clone(), true),
        ("Entra 1", &entra, client_id("other"), false),
        ("Auth0 machine", &machine, both.clone(), true),
        ("Auth0 machine", &machine, audience("other"), false),
        ("Zitadel", &zitadel, audience("project"), true),
        ("Zitadel", &zitadel, client_id("app"), true),
        ("Zitadel", &zitadel, audience("other"), false),
        (
            "two clients",
            &json!({"azp": "app", "client_id": "other"}),
            client_id("app"),
            false,
        ),
        ("no text", &json!({"azp": ["app"]}), client_id("app"), false),
        ("null", &json!({"azp": null}), client_id("app"), false),
    ] {
        let signer = Signer::ec();
        let mut all = json!({"sub": "ann", "exp": NOW + 60});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let verifier = signer.verifier_with(&settings);
        let outcome = verifier.verify(&signer.sign_with_kid(&all), super::now());
        assert_eq!(outcome.is_ok(), is_accepted, "{name}: {claims} with {settings:?}");
    }
}
