//! Images in a conversation: old ones are left out first, and a model without vision is told about them.

use runyard::{
    engine::compact::{compact, estimate_all},
    images::Image,
    llm::ChatMessage,
    tools::{Effect, ToolAnswer},
    v1::run_event::Event,
};

use super::script::{Stage, answer, assistant, call, text};
use crate::pictures::png;

fn image(name: &str) -> Image {
    Image::read(name, None, png(1_000, 750)).unwrap()
}

fn sent(text: &str, name: &str) -> ChatMessage {
    ChatMessage::User {
        text: text.to_owned(),
        images: vec![image(name)],
    }
}

#[test]
fn old_images_are_left_out_before_texts_are_shortened() {
    let mut history = Vec::new();
    for number in 0..6 {
        history.push(sent(&format!("look {number}"), &format!("{number}.png")));
        history.push(assistant(&"long ".repeat(400), &[]));
    }
    let full = estimate_all(&history);
    assert!(full > 6_000, "{full}");
    let compacted = compact(history.clone(), full - 1_500);
    assert_eq!((compacted.images, compacted.shortened, compacted.dropped), (2, 0, 0));
    assert!(compacted.is_changed());
    let ChatMessage::User { text, images } = &compacted.messages[0] else {
        panic!("{:?}", compacted.messages[0])
    };
    assert_eq!(
        text,
        "look 0\n[image 0.png is not shown: it was left out to fit your context window]"
    );
    assert!(images.is_empty());
    assert_eq!(compacted.messages[4..], history[4..]);
    let same = compact(history.clone(), full);
    assert!(!same.is_changed() && same.messages == history);
}

#[tokio::test]
async fn a_model_without_vision_is_told_about_the_images_of_a_tool() {
    let played = Stage::new(vec![
        answer(vec![call("a", "draw", &serde_json::json!({}))]),
        text("Done."),
    ])
    .tool("draw", Effect::ReadOnly, |_, _| {
        Box::pin(async {
            Ok(ToolAnswer {
                images: vec![image("chart.png")],
                ..ToolAnswer::whole("drawn")
            })
        })
    })
    .run()
    .await;
    played.assert_completed();
    let size = image("chart.png").size();
    let (result, is_error) = played.last_result();
    assert_eq!(
        result,
        format!("drawn\n[image chart.png: image/png, 1000 × 750 pixels, {size} bytes; you cannot see images]")
    );
    assert!(!is_error);
}

#[tokio::test]
async fn images_that_do_not_fit_the_window_are_left_out_with_a_notice() {
    let mut stage = Stage::new(vec![text("Done.")]);
    stage.job.model.name = "test/seeing".to_owned();
    stage.job.model.context_window = 15_000;
    stage.job.model.max_output_tokens = 1_000;
    stage.job.history = (0..20).map(|number| sent("look", &format!("{number}.png"))).collect();
    let played = stage.run().await;
    played.assert_completed();
    let events = played.log.events.lock().unwrap();
    let notice = events.iter().find_map(|event| match event {
        Event::Notice(notice) => Some(notice.message.as_str()),
        _ => None,
    });
    assert_eq!(
        notice,
        Some("The conversation did not fit the model's context window: 10 images were left out.")
    );
    let shown: Vec<usize> = played
        .last_sent()
        .iter()
        .map(|message| message.images().len())
        .collect();
    assert_eq!(shown, [[0; 10], [1; 10]].concat());
}
