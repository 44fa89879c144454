//! The spec of the tool `ask_user`. `background/worker/tools/ask.rs` implements the tool.

use serde_json::json;

use crate::llm::ToolSpec;

pub const NAME: &str = "ask_user";

pub fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME.to_owned(),
        description:
            "Asks the user a question and waits for the answer, which can take hours. Ask only if you cannot continue \
                      well without the answer, and ask everything in one question."
                .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "question": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "The question."},
                "choices": {
                    "type": "array", "maxItems": 10, "items": {"type": "string", "minLength": 1, "maxLength": 200},
                    "description": "Answers that the user can choose from. The user may also give another answer."
                }
            },
            "required": ["question"],
            "additionalProperties": false
        }),
    }
}
