//! A model that follows a script in the last user message, like `tests/clients/model.py`. Each line of the message is
//! one step. A turn is one answer of the model. The number of assistant messages after the user message selects the
//! turn.

use std::time::Duration;

use runyard_upstream::{Received, Script, Step, Turn};
use serde_json::{Map, Value, json};

const TOOLS: &[(&str, &[&str])] = &[
    ("bash", &["command"]),
    ("write", &["path", "content"]),
    ("edit", &["path", "old_string", "new_string"]),
    ("read", &["path"]),
];
const TEXTS: &[&str] = &["say", "stream", "slow", "sleep", "usage"];

pub fn script() -> Script {
    Script::function(|received| {
        let (lines, said) = conversation(received);
        match turns(&lines).into_iter().nth(said) {
            Some(turn) => answer(&turn, said),
            None => Turn::text("Done."),
        }
    })
}

/// Returns the last user message, and the number of assistant messages after it.
fn conversation(received: &Received) -> (String, usize) {
    let messages = received.messages();
    let is_by = |role: &'static str| move |message: &Value| message["role"] == role;
    let last = messages.iter().rposition(is_by("user")).unwrap_or(messages.len());
    let text = match messages.get(last).map(|message| &message["content"]) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    };
    let said = messages[last.min(messages.len())..]
        .iter()
        .filter(|message| is_by("assistant")(message));
    (text, said.count())
}

type Line = (String, String);

/// Groups the steps into turns. A turn ends after a tool call or after the step `fail`.
fn turns(prompt: &str) -> Vec<Vec<Line>> {
    let mut turns = vec![Vec::new()];
    for line in prompt.lines() {
        let Some((verb, argument)) = line.trim().split_once(':') else {
            continue;
        };
        let ends = verb == "fail" || TOOLS.iter().any(|(tool, _)| *tool == verb);
        if !ends && !TEXTS.contains(&verb) {
            continue;
        }
        let argument = argument.trim().replace("\\n", "\n");
        turns.last_mut().unwrap().push((verb.to_owned(), argument));
        if ends {
            turns.push(Vec::new());
        }
    }
    turns.retain(|turn| !turn.is_empty());
    turns
}

fn answer(turn: &[Line], number: usize) -> Turn {
    if let [(verb, status)] = turn
        && verb == "fail"
    {
        return Turn::status(status.parse().unwrap());
    }
    let mut deltas: Vec<Step> = Vec::new();
    let mut usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
    let mut reason = "stop";
    for (verb, argument) in turn {
        match verb.as_str() {
            "say" => deltas.extend(argument.split_inclusive(' ').map(piece)),
            "stream" | "slow" => {
                let mut numbers = argument.split_whitespace().map(|number| number.parse::<u64>().unwrap());
                let (count, pause) = (numbers.next().unwrap(), numbers.next());
                for word in 0..count {
                    deltas.push(piece(&format!("word-{word} ")));
                    deltas.extend(pause.map(|pause| Step::Pause(Duration::from_millis(pause))));
                }
            }
            "sleep" => {
                deltas.push(piece("Waiting. "));
                deltas.push(Step::Pause(Duration::from_secs_f64(argument.parse().unwrap())));
            }
            "usage" => {
                let counts: Vec<u64> = argument
                    .split_whitespace()
                    .map(|count| count.parse().unwrap())
                    .collect();
                usage = json!({"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": counts[0] + counts[1]});
            }
            "fail" => {
                deltas.push(Step::Cut);
                return Turn::raw(deltas);
            }
            tool => {
                deltas.push(delta(&json!({"tool_calls": [call(tool, argument, number)]})));
                reason = "tool_calls";
            }
        }
    }
    deltas.push(event(
        &json!([{"index": 0, "delta": {}, "finish_reason": reason}]),
        &Value::Null,
    ));
    deltas.push(event(&json!([]), &usage));
    deltas.push(Step::Bytes("data: [DONE]\n\n".into()));
    Turn::raw(deltas)
}

fn call(tool: &str, argument: &str, number: usize) -> Value {
    let names = TOOLS.iter().find(|(name, _)| *name == tool).unwrap().1;
    let values = argument.splitn(names.len(), " | ").map(Value::from);
    let arguments: Map<String, Value> = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
    json!({
        "index": 0, "id": format!("call_{number}"), "type": "function",
        "function": {"name": tool, "arguments": Value::Object(arguments).to_string()},
    })
}

fn piece(text: &str) -> Step {
    delta(&json!({"content": text}))
}

fn delta(delta: &Value) -> Step {
    event(
        &json!([{"index": 0, "delta": delta, "finish_reason": null}]),
        &Value::Null,
    )
}

fn event(choices: &Value, usage: &Value) -> Step {
    Step::Event(json!({
        "id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "scripted",
        "choices": choices, "usage": usage,
    }))
}
