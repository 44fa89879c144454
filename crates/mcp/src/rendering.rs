//! Converts the result of a tool call to text and files.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use rmcp::model::{CallToolResult, ContentBlock, Resource, ResourceContents};
use serde_json::Value;

/// Maximum number of files per result. Further files are only counted.
const MAX_ATTACHMENTS: usize = 16;

/// The result of a tool call, for the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Text for the model; never empty.
    pub text: String,
    /// True if part of a large result was left out.
    pub truncated: bool,
    /// Images, sounds and other files. The text mentions each of them.
    pub attachments: Vec<Attachment>,
}

/// A file in a result.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Number by which the text mentions the file.
    pub number: usize,
    /// The server's media type, such as `image/png`.
    pub mime_type: String,
    /// The content of the file.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachment")
            .field("number", &self.number)
            .field("mime_type", &self.mime_type)
            .field("bytes", &self.content.len())
            .finish()
    }
}

impl Rendered {
    pub(crate) fn of(result: &CallToolResult, max_bytes: usize) -> Self {
        let mut writer = Writer::default();
        for block in &result.content {
            writer.block(block);
        }
        if let Some(structured) = &result.structured_content
            && !repeats(&result.content, structured)
        {
            writer.paragraph(&format!("structured content: {structured}"));
        }
        let Writer {
            mut text, attachments, ..
        } = writer;
        if text.is_empty() {
            text.push_str("(the tool returned no content)");
        }
        let left_out = text.len().saturating_sub(max_bytes);
        if left_out > 0 {
            text.truncate(text.floor_char_boundary(max_bytes));
            let _ = write!(text, "\n[... {left_out} bytes left out ...]");
        }
        Self {
            text,
            truncated: left_out > 0,
            attachments,
        }
    }
}

/// Returns whether a text of the result repeats the structured content. Servers send such a text for clients that
/// read only text.
fn repeats(content: &[ContentBlock], structured: &Value) -> bool {
    let texts = content.iter().filter_map(ContentBlock::as_text);
    let unwrapped = match structured {
        Value::Object(object) if object.len() == 1 => object.get("result"),
        _ => None,
    };
    for text in texts {
        let parsed = serde_json::from_str::<Value>(&text.text).ok();
        if parsed.as_ref() == Some(structured) {
            return true;
        }
        // Python libraries wrap a plain value as {"result": value}. A wrapped string is compared without parsing,
        // because the text is not JSON.
        let is_wrapped = match unwrapped {
            Some(Value::String(plain)) => *plain == text.text,
            Some(value) => parsed.as_ref() == Some(value),
            None => false,
        };
        if is_wrapped {
            return true;
        }
    }
    false
}

#[derive(Default)]
struct Writer {
    text: String,
    attachments: Vec<Attachment>,
    files: usize,
}

impl Writer {
    fn block(&mut self, block: &ContentBlock) {
        match block {
            ContentBlock::Text(text) => self.paragraph(&text.text),
            ContentBlock::Image(image) => self.file("image", &image.mime_type, &image.data),
            ContentBlock::Audio(audio) => self.file("audio", &audio.mime_type, &audio.data),
            ContentBlock::ResourceLink(link) => self.paragraph(&linked(link)),
            ContentBlock::Resource(resource) => match &resource.resource {
                ResourceContents::TextResourceContents { uri, text, .. } => {
                    self.paragraph(&format!("[resource {uri}]\n{text}"));
                }
                ResourceContents::BlobResourceContents {
                    uri, mime_type, blob, ..
                } => {
                    self.paragraph(&format!("[resource {uri}]"));
                    self.file("file", mime_type.as_deref().unwrap_or("application/octet-stream"), blob);
                }
                _ => self.paragraph("[a resource of an unknown kind]"),
            },
            _ => self.paragraph("[content of an unknown kind]"),
        }
    }

    fn paragraph(&mut self, text: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }

    fn file(&mut self, kind: &str, mime_type: &str, data: &str) {
        self.files += 1;
        let number = self.files;
        let Ok(content) = STANDARD.decode(data.trim()) else {
            self.paragraph(&format!("[{kind} {number}: {mime_type}, not valid Base64]"));
            return;
        };
        let bytes = content.len();
        if self.attachments.len() >= MAX_ATTACHMENTS {
            self.paragraph(&format!("[{kind} {number}: {mime_type}, {bytes} bytes, left out]"));
            return;
        }
        self.paragraph(&format!("[{kind} {number}: {mime_type}, {bytes} bytes]"));
        self.attachments.push(Attachment {
            number,
            mime_type: mime_type.to_owned(),
            content,
        });
    }
}

fn linked(link: &Resource) -> String {
    let mut text = format!("[resource link {}: {}", link.name, link.uri);
    if let Some(mime_type) = &link.mime_type {
        let _ = write!(text, ", {mime_type}");
    }
    if let Some(size) = link.size {
        let _ = write!(text, ", {size} bytes");
    }
    text.push(']');
    if let Some(description) = &link.description {
        let _ = write!(text, " {description}");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(result: Value) -> Rendered {
        let result: CallToolResult = serde_json::from_value(result).unwrap_or_default();
        Rendered::of(&result, 200)
    }

    #[test]
    fn every_kind_of_content_becomes_text() {
        let rendered = render(json!({"content": [
            {"type": "text", "text": "Hello"},
            {"type": "image", "mimeType": "image/png", "data": "aGk="},
            {"type": "image", "mimeType": "image/png", "data": "%%%"},
            {"type": "resource_link", "uri": "file:///a", "name": "a", "mimeType": "text/plain", "size": 3},
            {"type": "resource", "resource": {"uri": "mem://b", "text": "inside"}}
        ]}));
        assert_eq!(
            rendered.text,
            "Hello\n[image 1: image/png, 2 bytes]\n[image 2: image/png, not valid Base64]\n\
             [resource link a: file:///a, text/plain, 3 bytes]\n[resource mem://b]\ninside"
        );
        assert_eq!(rendered.attachments[0].content, b"hi");
    }

    #[test]
    fn structured_content_appears_once() {
        let text = |rendered: Rendered| rendered.text;
        let both = json!({"content": [{"type": "text", "text": "{\"a\": 1}"}], "structuredContent": {"a": 1}});
        assert_eq!(text(render(both)), "{\"a\": 1}");
        let wrapped = json!({"content": [{"type": "text", "text": "plain"}], "structuredContent": {"result": "plain"}});
        assert_eq!(text(render(wrapped)), "plain");
        let differs = json!({"content": [{"type": "text", "text": "ok"}], "structuredContent": {"a": 1}});
        assert_eq!(text(render(differs)), "ok\nstructured content: {\"a\":1}");
    }

    #[test]
    fn an_empty_result_has_words_and_a_large_one_is_cut() {
        assert_eq!(render(json!({"content": []})).text, "(the tool returned no content)");
        let large = render(json!({"content": [{"type": "text", "text": "ä".repeat(1_000)}]}));
        assert!(large.truncated && large.text.len() < 250, "{}", large.text);
        assert!(large.text.ends_with("bytes left out ...]"));
    }
}
