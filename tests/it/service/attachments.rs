//! Images that clients send with a prompt, and images of tool results: a model that sees gets them, in this run, after a
//! restart and in later runs of the thread. Messages list them.

use base64::{Engine, engine::general_purpose::STANDARD};
use image::ImageFormat;
use reqwest::multipart::{Form, Part};
use runyard::config::{Config, VisionSettings};
use runyard_upstream::{Call, Received, Script, Turn};
use serde_json::{Value, json};

use crate::{
    pictures::{bomb, picture, png},
    test_server::{Caller, kinds, on_every_database, on_every_database_with},
};

/// Makes the scripted model see up to `max_count` images.
fn seeing(max_count: u32) -> impl Fn(&mut Config) {
    move |config| {
        let provider = config.providers.get_mut("default").unwrap();
        provider.capabilities.vision = VisionSettings {
            images: Some(true),
            max_count: Some(max_count),
            ..VisionSettings::UNSET
        };
    }
}

/// Starts a run with files, and waits for its end.
async fn run_with(caller: &Caller, files: &[(&str, Vec<u8>)], thread: Option<&Value>) -> Value {
    let run = start_with(caller, files, thread).await;
    assert_eq!(caller.ended(&run).await["status"], "completed");
    run
}

async fn start_with(caller: &Caller, files: &[(&str, Vec<u8>)], thread: Option<&Value>) -> Value {
    let mut form = Form::new().text("prompt", "Look.");
    if let Some(thread) = thread {
        form = form.text("thread_id", thread.as_str().unwrap().to_owned());
    }
    for (name, bytes) in files {
        form = form.part("files", Part::bytes(bytes.clone()).file_name((*name).to_owned()));
    }
    caller.form("/agent/start", form).await.ok()
}

/// Returns the data URLs of the images in a request.
fn shown(request: &Received) -> Vec<String> {
    let parts = request
        .messages()
        .iter()
        .filter_map(|message| message["content"].as_array());
    parts
        .flatten()
        .filter_map(|part| part["image_url"]["url"].as_str())
        .map(str::to_owned)
        .collect()
}

/// Returns all texts of a request.
fn texts(request: &Received) -> String {
    request.body["messages"].to_string()
}

fn url(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
}

async fn messages(caller: &Caller, run: &Value) -> Vec<Value> {
    let path = format!("/threads/{}/messages", run["thread_id"].as_str().unwrap());
    caller.get(&path).await.ok()["messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn images_of_a_prompt_are_shown_again_in_later_runs_and_after_a_restart() {
    let (chart, photo) = (png(30, 20), picture(ImageFormat::Jpeg, 12, 9));
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        seeing(20),
        async |server| {
            let caller = server.caller("ann");
            let files = [
                ("chart.png", chart.clone()),
                ("photo.bin", photo.clone()),
                ("notes.txt", b"hello".to_vec()),
            ];
            let run = run_with(&caller, &files, None).await;
            let expected = [url("image/png", &chart), url("image/jpeg", &photo)];
            assert_eq!(shown(&server.upstream.requests()[0]), expected);

            let listed = messages(&caller, &run).await;
            let image = |name: &str, bytes: &[u8], media_type: &str, (width, height): (u32, u32)| {
                json!({
                    "name": name, "path": name, "size": bytes.len(), "content_type": media_type,
                    "width": width, "height": height,
                })
            };
            assert_eq!(
                listed[0]["attachments"],
                json!([
                    image("chart.png", &chart, "image/png", (30, 20)),
                    image("photo.bin", &photo, "image/jpeg", (12, 9)),
                    {"name": "notes.txt", "path": "notes.txt", "size": 5, "content_type": "text/plain",
                     "width": null, "height": null},
                ])
            );
            assert_eq!(listed[1]["attachments"], json!([]));

            server.restart().await;
            let caller = server.caller("ann");
            let more = json!({"prompt": "And?", "thread_id": run["thread_id"]});
            let next = caller.post("/agent/start", more).await.ok();
            caller.ended(&next).await;
            assert_eq!(shown(&server.upstream.requests()[1]), expected);

            let sandbox = run["sandbox_id"].as_str().unwrap();
            let path = format!("/sandboxes/{sandbox}/files?path=chart.png");
            caller
                .request("DELETE", &path)
                .send()
                .await
                .unwrap()
                .error_for_status()
                .unwrap();
            let more = json!({"prompt": "And now?", "thread_id": run["thread_id"]});
            let last = caller.post("/agent/start", more).await.ok();
            assert_eq!(caller.ended(&last).await["status"], "completed");
            let request = &server.upstream.requests()[2];
            assert_eq!(shown(request), expected[1..]);
            let told = "[image chart.png is not shown: the file no longer exists]";
            assert!(texts(request).contains(told), "{}", texts(request));
        },
    )
    .await;
}

#[tokio::test]
async fn a_model_that_sees_no_images_is_told_their_names_and_dimensions() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let chart = png(30, 20);
            let told = format!(
                "[image chart.png: image/png, 30 × 20 pixels, {} bytes; you cannot see images]",
                chart.len()
            );
            let caller = server.caller("ann");
            run_with(&caller, &[("chart.png", chart)], None).await;
            let request = server.upstream.requests().remove(0);
            assert_eq!(shown(&request), Vec::<String>::new());
            assert!(request.last_text().contains(&told), "{}", request.last_text());
        },
    )
    .await;
}

#[tokio::test]
async fn a_damaged_or_hostile_image_costs_one_sentence() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        seeing(20),
        async |server| {
            let caller = server.caller("ann");
            let good = png(30, 20);
            let mut damaged = png(300, 200);
            damaged.truncate(damaged.len() / 2);
            let files = [("bomb.png", bomb()), ("bad.png", damaged), ("good.png", good.clone())];
            let run = run_with(&caller, &files, None).await;
            let request = server.upstream.requests().remove(0);
            assert_eq!(shown(&request), [url("image/png", &good)]);
            let told = "[image bad.png is not shown: the file is damaged]";
            assert!(texts(&request).contains(told), "{}", texts(&request));
            let told = "[image bomb.png is not shown: it has 60000 × 60000 pixels, and the limit is 40 million pixels]";
            assert!(texts(&request).contains(told), "{}", texts(&request));
            let listed = messages(&caller, &run).await;
            assert_eq!(listed[0]["attachments"][0]["width"], Value::Null);
            assert_eq!(listed[0]["attachments"][1]["width"], 300);
        },
    )
    .await;
}

#[tokio::test]
async fn only_the_newest_images_of_a_thread_are_shown() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        seeing(2),
        async |server| {
            let caller = server.caller("ann");
            let first = run_with(&caller, &[("a.png", png(5, 5))], None).await;
            let newer = [("b.png", png(6, 6)), ("c.png", png(7, 7))];
            run_with(&caller, &newer, Some(&first["thread_id"])).await;
            let request = server.upstream.requests().remove(1);
            let expected: Vec<_> = newer.iter().map(|(_, bytes)| url("image/png", bytes)).collect();
            assert_eq!(shown(&request), expected);
            let told = "[image a.png is not shown: the conversation has too many images]";
            assert!(texts(&request).contains(told), "{}", texts(&request));
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_that_continues_after_a_restart_sees_the_images_of_its_prompt() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |received| match received.number {
                0 => Turn::words(10).gate_after(3, &gate),
                _ => Turn::text("After all."),
            })
        },
        seeing(20),
        async |server| {
            let chart = png(30, 20);
            let caller = server.caller("ann");
            let run = start_with(&caller, &[("chart.png", chart.clone())], None).await;
            server.upstream.wait_for(1).await;
            server.restart().await;
            let caller = server.caller("ann");
            assert_eq!(caller.ended(&run).await["status"], "completed");
            let requests = server.upstream.requests();
            assert_eq!(requests.len(), 2);
            for request in &requests {
                assert_eq!(shown(request), [url("image/png", &chart)]);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_tool_read_shows_an_image_in_this_run_and_in_the_next() {
    let chart = png(30, 20);
    on_every_database_with(
        |_| {
            Script::function(|received| match received.number {
                0 => Turn::calls([
                    Call::new("bash", &json!({"command": "mkdir out; cp chart.png out/copy.png"})),
                    Call::new("read", &json!({"path": "out/copy.png"})),
                ]),
                _ => Turn::text("Seen."),
            })
        },
        seeing(1),
        async |server| {
            let caller = server.caller("ann");
            let run = run_with(&caller, &[("chart.png", chart.clone())], None).await;
            let events = caller.events(&run, 0).await;
            assert!(kinds(&events).contains(&"tool_result"));
            let result = events
                .iter()
                .map(|event| &event.data["tool_result"])
                .find(|result| result["name"] == "read")
                .unwrap();
            assert_eq!(result["text"], "The file is an image.");
            let record = json!({
                "name": "out/copy.png", "path": "out/copy.png", "size": chart.len(), "content_type": "image/png",
                "width": 30, "height": 20,
            });
            assert_eq!(result["attachments"], json!([record]));
            let listed = messages(&caller, &run).await;
            let tool = listed
                .iter()
                .find(|message| message["content"] == "The file is an image.")
                .unwrap();
            assert_eq!(tool["attachments"], json!([record]));

            let more = json!({"prompt": "And?", "thread_id": run["thread_id"]});
            let next = caller.post("/agent/start", more).await.ok();
            caller.ended(&next).await;
            let requests = server.upstream.requests();
            for request in &requests[1..] {
                // The model gets one image, and the newest is the one that the tool returned.
                assert_eq!(shown(request), [url("image/png", &chart)], "{}", texts(request));
                assert!(texts(request).contains("[image out/copy.png]"), "{}", texts(request));
            }
        },
    )
    .await;
}
