//! Tests that each public model name selects the right provider.

use runyard::{
    config::{Config, Provider, ProviderKind},
    engine,
    llm::{EndReason, LlmError, Models, ReasoningEffort},
};
use runyard_upstream::{Script, Turn, Upstream};
use serde_json::json;

use super::{ask, question};

fn models(config: &str, default: Option<Provider>) -> Models {
    with_default(config, default).unwrap()
}

fn with_default(config: &str, default: Option<Provider>) -> Result<Models, engine::Error> {
    let mut config = Config::parse("test", config).unwrap();
    config
        .providers
        .extend(default.map(|provider| ("default".to_owned(), provider)));
    Models::new(&config.engine())
}

fn provider(server: &Upstream, model: Option<&str>) -> Provider {
    Provider {
        base_url: Some(server.base_url()),
        model: model.map(str::to_owned),
        ..Provider::new(ProviderKind::OpenAi)
    }
}

async fn echo() -> Upstream {
    Upstream::start(Script::function(|request| {
        Turn::text(request.body["model"].as_str().unwrap())
    }))
    .await
}

fn named(model: &str) -> runyard::llm::ModelRequest {
    runyard::llm::ModelRequest {
        model: model.to_owned(),
        ..question("who are you?")
    }
}

#[tokio::test]
async fn without_a_provider_the_built_in_model_serves_every_name() {
    let models = models("", None);
    for name in [
        "kortix/minimax",
        "kortix/basic",
        "openai/gpt-5-nano-2025-08-07",
        "runyard/demo",
    ] {
        assert!(models.serves(name) && models.is_demo(name), "{name}");
    }
    assert!(!models.serves("nobody/nothing") && !models.is_demo("nobody/nothing"));
    let reply = ask(&models, named("kortix/basic")).await;
    assert_eq!(reply.end, Some(EndReason::Done), "{reply:?}");
    assert!(reply.text.contains("built-in"), "{}", reply.text);
}

#[tokio::test]
async fn the_provider_of_the_environment_serves_every_name_but_the_demo() {
    let server = echo().await;
    let with_name = models("", Some(provider(&server, Some("local-model"))));
    assert_eq!(with_name.demo_names().collect::<Vec<_>>(), ["runyard/demo"]);
    for name in ["kortix/minimax", "openai/gpt-5-nano", "openai/gpt-5-nano-2025-08-07"] {
        assert_eq!(ask(&with_name, named(name)).await.text, "local-model", "{name}");
    }
    assert_eq!(server.count(), 3);

    let without_name = models("", Some(provider(&server, None)));
    assert_eq!(
        ask(&without_name, named("kortix/minimax")).await.text,
        "MiniMax-M2",
        "the upstream name of the model table is used when none is configured"
    );
}

#[tokio::test]
async fn a_model_is_served_by_the_provider_in_the_model_table() {
    let (one, other) = (echo().await, echo().await);
    let text = format!(
        "[providers.default]\nkind = 'openai'\nbase_url = '{}'\n[providers.other]\nkind = 'openai'\nbase_url = '{}'\n\
         [[models]]\nname = 'a'\nupstream = 'up-a'\ncontext_window = 9000\nmax_output_tokens = 100\ninput_price = 0\noutput_price = 0\n\
         [[models]]\nname = 'b'\nprovider = 'other'\nupstream = 'up-b'\ncontext_window = 9000\nmax_output_tokens = 100\ninput_price = 0\noutput_price = 0\n\
         [[tiers]]\nname = 'free'\nmodels = ['a', 'b']\ndefault_model = 'a'\nmax_upload_bytes = 1\ncredits_granted = 0\n",
        one.base_url(),
        other.base_url().trim_end_matches('/'),
    );
    let models = models(&text, None);
    assert_eq!(ask(&models, named("a")).await.text, "up-a");
    assert_eq!(ask(&models, named("b")).await.text, "up-b");
    assert_eq!((one.count(), other.count()), (1, 1));
    let reply = ask(&models, named("c")).await;
    assert!(matches!(reply.error, Some(LlmError::Refused(_))), "{reply:?}");
}

#[tokio::test]
async fn a_model_adds_its_effort_and_its_fields_to_each_request() {
    let server = echo().await;
    let text = format!(
        "[providers.default]\nkind = 'openai'\nbase_url = '{}'\nextra_body = {{ seed = 1, top_p = 0.5 }}\n\
         [[models]]\nname = 'a'\nupstream = 'up-a'\ncontext_window = 9000\nmax_output_tokens = 100\ninput_price = 0\noutput_price = 0\n\
         reasoning_effort = 'low'\nextra_body = {{ top_p = 0.9 }}\n\
         [[tiers]]\nname = 'free'\nmodels = ['a']\ndefault_model = 'a'\nmax_upload_bytes = 1\ncredits_granted = 0\n",
        server.base_url(),
    );
    let models = models(&text, None);
    ask(&models, named("a")).await;
    let own = runyard::llm::ModelRequest {
        reasoning_effort: Some(ReasoningEffort::High),
        ..named("a")
    };
    ask(&models, own).await;
    let requests = server.requests();
    for (request, effort) in requests.iter().zip(["low", "high"]) {
        let body = &request.body;
        assert_eq!(
            (&body["reasoning_effort"], &body["top_p"], &body["seed"]),
            (&json!(effort), &json!(0.9), &json!(1))
        );
    }
}

#[test]
fn an_invalid_base_url_is_refused_with_the_provider_name() {
    for url in ["", "localhost:11434", "ftp://host/", "http://user:secret@host/v1/"] {
        let provider = Provider {
            base_url: Some(url.to_owned()),
            ..Provider::new(ProviderKind::OpenAi)
        };
        let error = with_default("", Some(provider)).err().expect("a refusal");
        assert!(error.message().starts_with("providers.default: "), "{url}: {error}");
        assert!(!error.message().contains("secret"), "{error}");
    }
}
