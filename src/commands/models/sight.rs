//! The check whether a model that is said to see images does see one.

use super::trial::Trial;
use crate::{
    commands::checks::Check,
    config::VisionSettings,
    images::Image,
    llm::{ChatMessage, Llm},
};

const NAME: &str = "image";
/// A square of one colour.
const RED: &[u8] = include_bytes!("red.png");
const QUESTION: &str = "Which colour fills this image? Answer with one word.";
/// The colours that a model may see in [`RED`].
const ACCEPTED: [&str; 5] = ["red", "crimson", "scarlet", "rot", "rouge"];

/// Shows the model an image. Returns `None` if its settings say that it sees none.
pub(super) async fn check(trial: &Trial<'_>) -> Option<Check> {
    let name = &trial.model.name;
    let sees = || trial.models.vision(name, VisionSettings::UNSET).images;
    if !sees() {
        return None;
    }
    let image = match Image::read("square.png", None, RED) {
        Ok(image) => image,
        Err(fault) => return Some(Check::bad(NAME, fault.to_string())),
    };
    let message = ChatMessage::User {
        text: QUESTION.to_owned(),
        images: vec![image.clone()],
    };
    let heard = trial.ask(vec![message], false).await;
    // A refused image is left out, and the model is asked again without it.
    if image.is_refused() || !sees() {
        let message = "the provider refuses images: set vision = { images = false } for the model or its provider";
        return Some(Check::bad(NAME, message));
    }
    if let Some(failure) = heard.failure() {
        return Some(Check::bad(NAME, failure));
    }
    let text = heard.text.to_lowercase();
    if ACCEPTED.iter().any(|colour| text.contains(colour)) {
        return Some(Check::ok(NAME, "the model names the colour of an image"));
    }
    let message = format!(
        "the provider accepts an image, but the answer does not name its colour: {:?}; if the model sees no images, set \
         vision = {{ images = false }}",
        heard.quoted()
    );
    Some(Check::warn(NAME, message))
}
