//! Tests images in requests: the exact form in each protocol, the limits of providers, and models that see no images.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::ImageFormat;
use runyard::{
    config::{Provider, ProviderKind, VisionSettings},
    images::Image,
    llm::{ChatMessage, Llm, ModelRequest, Retries, Timeouts, ToolRequest, Upstream as Adapter},
};
use runyard_upstream::{Script, Turn, Upstream};
use serde_json::{Value, json};

use super::{Reply, ask, bash_tool, question};
use crate::pictures::{bomb, picture, png};

fn adapter(kind: ProviderKind, server: &Upstream) -> Adapter {
    let mut provider = Provider::new(kind);
    provider.base_url = Some(server.base_url());
    let retries = Retries {
        first_pause: Duration::from_millis(2),
        ..Retries::default()
    };
    Adapter::with_limits("p", &provider, Timeouts::default(), retries).unwrap()
}

fn image(name: &str, bytes: &[u8]) -> Image {
    Image::read(name, None, bytes.to_vec()).unwrap()
}

/// Returns a conversation in which the user sends an image, and a tool returns another one.
fn conversation(model: &str, sent: &[Image], returned: &[Image]) -> ModelRequest {
    ModelRequest {
        model: model.to_owned(),
        messages: vec![
            ChatMessage::User {
                text: "Compare.".to_owned(),
                images: sent.to_vec(),
            },
            ChatMessage::Assistant {
                text: String::new(),
                tool_calls: vec![ToolRequest {
                    id: "call_1".to_owned(),
                    name: "bash".to_owned(),
                    arguments: "{}".to_owned(),
                }],
                carried: None,
            },
            ChatMessage::Tool {
                tool_call_id: "call_1".to_owned(),
                name: "bash".to_owned(),
                text: "drawn".to_owned(),
                images: returned.to_vec(),
                is_error: false,
            },
            ChatMessage::user("Well?"),
        ],
        tools: vec![bash_tool()],
        ..question("")
    }
}

/// Sends a request to a server that answers in the protocol, and returns the body that the server received.
async fn body(kind: ProviderKind, request: ModelRequest) -> Value {
    let server = Upstream::start(Script::function(move |_| fine(kind))).await;
    let reply = ask(&adapter(kind, &server), request).await;
    assert_eq!(reply.text, "fine", "{reply:?}");
    server.requests()[0].body.clone()
}

fn fine(kind: ProviderKind) -> Turn {
    let events = match kind {
        ProviderKind::OpenAi => return Turn::text("fine"),
        ProviderKind::Anthropic => vec![
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "fine"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            json!({"type": "message_stop"}),
        ],
        ProviderKind::Gemini => {
            vec![json!({"candidates": [{"content": {"parts": [{"text": "fine"}]}, "finishReason": "STOP"}]})]
        }
        ProviderKind::Responses => vec![
            json!({"type": "response.output_text.delta", "output_index": 0, "delta": "fine"}),
            json!({"type": "response.completed", "response": {"status": "completed"}}),
        ],
    };
    let frames: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    Turn::stream(frames.concat())
}

/// Returns the conversation in the body of a request.
fn messages(body: &Value) -> &Value {
    let names = ["messages", "contents", "input"];
    let found = names.iter().find(|name| body[**name].is_array());
    &body[*found.unwrap()]
}

#[tokio::test]
async fn each_protocol_sends_images_in_its_form() {
    let (sent, returned) = (png(30, 20), picture(ImageFormat::Jpeg, 8, 8));
    let (a, b) = (STANDARD.encode(&sent), STANDARD.encode(&returned));
    let (a_url, b_url) = (
        format!("data:image/png;base64,{a}"),
        format!("data:image/jpeg;base64,{b}"),
    );
    let images = [image("a.png", &sent), image("b.jpg", &returned)];
    let table = [
        (
            ProviderKind::OpenAi,
            "gpt-4o",
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "Compare."},
                    {"type": "text", "text": "[image a.png]"},
                    {"type": "image_url", "image_url": {"url": a_url}},
                ]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": "{}"}},
                ]},
                {"role": "tool", "tool_call_id": "call_1", "content": "drawn"},
                {"role": "user", "content": [
                    {"type": "text", "text": "[note from Runyard] These images belong to the tool results above."},
                    {"type": "text", "text": "[image b.jpg]"},
                    {"type": "image_url", "image_url": {"url": b_url}},
                    {"type": "text", "text": "Well?"},
                ]},
            ]),
        ),
        (
            ProviderKind::Responses,
            "gpt-5.1",
            json!([
                {"type": "message", "role": "user", "content": [
                    {"type": "input_text", "text": "Compare."},
                    {"type": "input_text", "text": "[image a.png]"},
                    {"type": "input_image", "image_url": a_url, "detail": "auto"},
                ]},
                {"type": "function_call", "call_id": "call_1", "name": "bash", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": [
                    {"type": "input_text", "text": "drawn"},
                    {"type": "input_text", "text": "[image b.jpg]"},
                    {"type": "input_image", "image_url": b_url, "detail": "auto"},
                ]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Well?"}]},
            ]),
        ),
        (
            ProviderKind::Anthropic,
            "claude-sonnet-4-5",
            json!([
                {"role": "user", "content": [
                    {"type": "text", "text": "Compare."},
                    {"type": "text", "text": "[image a.png]"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": a},
                     "cache_control": {"type": "ephemeral"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "call_1", "name": "bash", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": [
                        {"type": "text", "text": "drawn"},
                        {"type": "text", "text": "[image b.jpg]"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": b}},
                    ]},
                    {"type": "text", "text": "Well?", "cache_control": {"type": "ephemeral"}},
                ]},
            ]),
        ),
        (
            ProviderKind::Gemini,
            "gemini-2.5-flash",
            json!([
                {"role": "user", "parts": [
                    {"text": "Compare."},
                    {"text": "[image a.png]"},
                    {"inlineData": {"mimeType": "image/png", "data": a}},
                ]},
                {"role": "model", "parts": [{"functionCall": {"name": "bash", "args": {}}}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "bash", "response": {"output": "drawn"}}},
                    {"text": "[image b.jpg]"},
                    {"inlineData": {"mimeType": "image/jpeg", "data": b}},
                    {"text": "Well?"},
                ]},
            ]),
        ),
    ];
    for (kind, model, expected) in table {
        let sent = body(kind, conversation(model, &images[..1], &images[1..])).await;
        assert_eq!(*messages(&sent), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn a_model_that_sees_no_images_is_told_about_them() {
    let images = [image("a.png", &png(30, 20))];
    let blind = body(ProviderKind::OpenAi, conversation("llama-3.1-8b", &images, &images)).await;
    let size = images[0].size();
    let told = format!("[image a.png: image/png, 30 × 20 pixels, {size} bytes; you cannot see images]");
    let content = |body: &Value, message: usize| body["messages"][message]["content"].clone();
    assert_eq!(content(&blind, 1), json!(format!("Compare.\n{told}")));
    assert_eq!(content(&blind, 3), json!(format!("drawn\n{told}")));
    // A setting of the public model overrides the table, in both directions.
    for (model, sees) in [("llama-3.1-8b", true), ("gpt-4o", false)] {
        let request = ModelRequest {
            vision: VisionSettings {
                images: Some(sees),
                ..VisionSettings::UNSET
            },
            ..conversation(model, &images, &[])
        };
        let body = body(ProviderKind::OpenAi, request).await;
        assert_eq!(content(&body, 1).is_array(), sees, "{model}: {body}");
    }
}

#[tokio::test]
async fn images_are_converted_and_counted_for_the_provider() {
    let vision = VisionSettings {
        images: Some(true),
        max_side: Some(100),
        max_count: Some(2),
        ..VisionSettings::UNSET
    };
    let images: Vec<Image> = [
        ("old.png", png(10, 10)),
        ("large.png", png(400, 200)),
        ("moving.gif", picture(ImageFormat::Gif, 10, 10)),
    ]
    .map(|(name, bytes)| image(name, &bytes))
    .into();
    let request = ModelRequest {
        vision,
        ..conversation("m", &images, &[])
    };
    let body = body(ProviderKind::OpenAi, request).await;
    let parts = body["messages"][1]["content"].as_array().unwrap();
    assert_eq!(
        parts[0]["text"],
        "Compare.\n[image old.png is not shown: the conversation has too many images]"
    );
    assert_eq!(
        (&parts[1]["text"], &parts[3]["text"]),
        (&json!("[image large.png]"), &json!("[image moving.gif]"))
    );
    let shown = |part: &Value| {
        let url = part["image_url"]["url"].as_str().unwrap();
        let (kind, data) = url.split_once(";base64,").unwrap();
        let decoded = image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap();
        (kind.to_owned(), decoded.width(), decoded.height())
    };
    assert_eq!(shown(&parts[2]), ("data:image/png".to_owned(), 100, 50));
    assert_eq!(shown(&parts[4]), ("data:image/png".to_owned(), 10, 10));
}

#[tokio::test]
async fn a_damaged_image_costs_one_sentence() {
    let mut damaged = png(300, 200);
    damaged.truncate(damaged.len() / 2);
    let images = [image("bad.png", &damaged), image("good.png", &png(9, 9))];
    let body = body(ProviderKind::OpenAi, conversation("gpt-4o", &images, &[])).await;
    let parts = body["messages"][1]["content"].as_array().unwrap();
    assert_eq!(
        parts[0]["text"],
        "Compare.\n[image bad.png is not shown: the file is damaged]"
    );
    assert_eq!(parts[1]["text"], "[image good.png]");
    let fault = Image::read("bomb.png", None, bomb()).unwrap_err();
    assert!(fault.to_string().contains("the limit is 40 million pixels"), "{fault}");
}

fn refusal(words: &str) -> Turn {
    Turn::status(400).body(&json!({"error": {"message": words}}).to_string())
}

/// Asks twice with new images, and returns the replies and the number of requests with images.
async fn ask_twice(words: &'static str) -> (Vec<Reply>, Vec<bool>) {
    let server = Upstream::start(Script::function(move |received| {
        if received.body.to_string().contains("image_url") {
            refusal(words)
        } else {
            Turn::text("fine")
        }
    }))
    .await;
    let adapter = adapter(ProviderKind::OpenAi, &server);
    let mut replies = Vec::new();
    for _ in 0..2 {
        let images = [image("a.png", &png(30, 20))];
        replies.push(ask(&adapter, conversation("gpt-4o", &images, &images)).await);
    }
    let sent = server.requests();
    let with_images = sent
        .iter()
        .map(|request| request.body.to_string().contains("image_url"));
    (replies, with_images.collect())
}

#[tokio::test]
async fn a_refused_image_is_left_out_of_this_call_only() {
    let (replies, with_images) = ask_twice("You uploaded an unsupported image.").await;
    assert!(replies.iter().all(|reply| reply.text == "fine"), "{replies:?}");
    assert_eq!(with_images, [true, false, true, false]);
}

#[tokio::test]
async fn a_model_that_refuses_all_images_gets_no_more() {
    let (replies, with_images) =
        ask_twice("Invalid content type. image_url is only supported by certain models.").await;
    assert!(replies.iter().all(|reply| reply.text == "fine"), "{replies:?}");
    assert_eq!(with_images, [true, false, false]);
}

#[tokio::test]
async fn the_table_knows_which_models_see() {
    let server = Upstream::start(Turn::text("done")).await;
    let local = adapter(ProviderKind::OpenAi, &server);
    for (model, sees) in [
        ("gpt-4o-mini", true),
        ("gpt-3.5-turbo", false),
        ("gpt-oss:20b", false),
        ("qwen2.5-vl-7b", true),
        ("qwen3", false),
        ("gemma-3-27b-it", true),
        ("gemma-3-1b-it", false),
        ("anthropic/claude-sonnet-4.5", true),
        ("deepseek-chat", false),
    ] {
        assert_eq!(local.vision(model, VisionSettings::UNSET).images, sees, "{model}");
    }
    let claude = local.vision("claude-sonnet-4-5", VisionSettings::UNSET);
    assert_eq!(claude.max_side, 1_568);
}
