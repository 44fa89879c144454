//! Prepares the images of a request for the model: scales them to the provider's limits, and replaces images that the
//! model cannot get by text.
//!
//! Invariant: no image fails a call. If the provider refuses a request because of its images, the request is repeated
//! without them.

use std::borrow::Cow;

use crate::{
    config::Vision,
    images::{ImageFault, add_line, describe, not_shown, replace},
    llm::{ChatMessage, ModelRequest},
};

/// Maximum size in bytes of all images of a request, before Base64. Providers limit the size of a request to 20 MB or
/// more.
const MAX_TOTAL_BYTES: usize = 12 << 20;

/// Words in refusals that concern images, in lower case.
const ABOUT_IMAGES: &[&str] = &[
    "image",
    "multimodal",
    "multi-modal",
    "vision",
    "media type",
    "inlinedata",
];

/// Returns the request with the images that the model gets.
pub(super) async fn fit<'r>(request: &'r ModelRequest, vision: &Vision) -> Cow<'r, ModelRequest> {
    let count: usize = request.messages.iter().map(|message| message.images().len()).sum();
    if count == 0 {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    if !vision.images || vision.max_count == 0 {
        for message in &mut request.messages {
            describe(message);
        }
        return Cow::Owned(request);
    }
    let mut left_out = surplus(count, vision.max_count);
    for message in &mut request.messages {
        left_out -= leave_out(message, left_out);
    }
    let mut room = MAX_TOTAL_BYTES;
    // The newest images are the most useful ones, so they get the room first.
    for message in request.messages.iter_mut().rev() {
        fit_message(message, vision, &mut room).await;
    }
    Cow::Owned(request)
}

/// Returns the number of oldest images to leave out. The number grows in steps of half the limit, because each change at
/// the beginning of a request makes the provider's prompt cache useless.
fn surplus(count: usize, max_count: usize) -> usize {
    let step = max_count.div_ceil(2);
    count.saturating_sub(max_count).div_ceil(step) * step
}

/// Replaces the first `max` images of a message by text. Returns the number of replaced images.
fn leave_out(message: &mut ChatMessage, max: usize) -> usize {
    let (ChatMessage::User { text, images } | ChatMessage::Tool { text, images, .. }) = message else {
        return 0;
    };
    let count = max.min(images.len());
    for image in images.drain(..count) {
        add_line(text, &not_shown(image.name(), &"the conversation has too many images"));
    }
    count
}

async fn fit_message(message: &mut ChatMessage, vision: &Vision, room: &mut usize) {
    let (ChatMessage::User { text, images } | ChatMessage::Tool { text, images, .. }) = message else {
        return;
    };
    for image in std::mem::take(images) {
        let fitted: Result<_, ImageFault> = image.fitted(vision).await;
        match fitted {
            Ok(fitted) if fitted.size() <= *room => {
                *room -= fitted.size();
                images.push(fitted);
            }
            Ok(_) => add_line(
                text,
                &not_shown(image.name(), &"the images of the conversation are too large together"),
            ),
            Err(fault) => add_line(text, &not_shown(image.name(), &fault)),
        }
    }
}

/// Returns whether a refusal concerns images. The request may succeed without them.
pub(super) fn refuses_images(words: &str) -> bool {
    let words = words.to_lowercase();
    ABOUT_IMAGES.iter().any(|about| words.contains(about))
}

/// Replaces the images of a refused request by text. Returns whether the request contained images.
pub(super) fn forget_images(request: &mut ModelRequest) -> bool {
    let mut has_forgotten = false;
    for message in &mut request.messages {
        for image in message.images() {
            image.refuse();
        }
        has_forgotten |= replace(message, |image| {
            not_shown(image.name(), &"the model provider refused it")
        }) > 0;
    }
    has_forgotten
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_images_are_left_out_in_steps() {
        let table = [
            (3, 4, 0),
            (4, 4, 0),
            (5, 4, 2),
            (6, 4, 2),
            (7, 4, 4),
            (2, 1, 1),
            (9, 3, 6),
        ];
        for (count, max_count, expected) in table {
            assert_eq!(surplus(count, max_count), expected, "{count} of {max_count}");
        }
    }
}
