//! Assembles tool calls from the chunks of a Chat Completions stream. The total size of the calls is bounded.
//!
//! In the protocol, each call has an index, its id and name arrive once, and its arguments arrive in chunks. Many
//! servers deviate. The index, the id or the name is missing or repeated, or a name is split. An empty object
//! precedes the arguments, or each chunk repeats all arguments so far.

use serde_json::{Map, Value};

use super::{
    fault::Fault,
    held::{Arguments, call_id},
    protocol::{MAX_ARGUMENT_BYTES, MAX_CALLS, Pieces},
};
use crate::llm::{ToolRequest, ToolSpec};

/// Fields of a call that the protocol defines. All other fields (extra fields) are sent back to the provider.
const DEFINED: &[&str] = &["index", "id", "type", "function", "name", "arguments"];

/// Maximum number of extra fields per call that are sent back.
const MAX_EXTRA: usize = 16;

pub(super) struct Calls {
    list: Vec<Call>,
    bytes: usize,
    tools: Vec<ToolSpec>,
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: Arguments,
    /// Extra fields, to send back to the provider.
    extra: Map<String, Value>,
}

impl Calls {
    pub(super) fn new(tools: &[ToolSpec]) -> Self {
        Self {
            list: Vec::new(),
            bytes: 0,
            tools: tools.to_vec(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a chunk of a call. Ignores a chunk that is not a JSON object.
    ///
    /// # Errors
    /// A temporary failure if the calls are too many or too large.
    pub(super) fn take(&mut self, chunk: &Value) -> Result<(), Fault> {
        let Value::Object(fields) = chunk else { return Ok(()) };
        let function = chunk
            .get("function")
            .filter(|function| function.is_object())
            .unwrap_or(chunk);
        let index = match &chunk["index"] {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let id = text(&chunk["id"]);
        let name = function["name"].as_str().unwrap_or_default();
        let arguments = text(&function["arguments"]);
        let position = self.position(index, &id, name, &arguments);
        if self.bytes > MAX_ARGUMENT_BYTES || position >= MAX_CALLS {
            return Err(Fault::passing("the tool calls exceed the size limit of an answer"));
        }
        if position == self.list.len() {
            self.list.push(Call {
                index,
                ..Call::default()
            });
        }
        let call = &mut self.list[position];
        self.bytes -= call.bytes();
        if call.id.is_empty() {
            call.id.clone_from(&id);
        }
        call.add_name(name);
        match &function["arguments"] {
            Value::Object(_) => call.arguments.replace(arguments),
            _ => call.arguments.push(&arguments),
        }
        for (field, value) in fields {
            let is_extra = !DEFINED.contains(&field.as_str()) && !value.is_null();
            if is_extra && (call.extra.len() < MAX_EXTRA || call.extra.contains_key(field)) {
                call.extra.insert(field.clone(), value.clone());
            }
        }
        self.bytes += call.bytes();
        Ok(())
    }

    /// Returns the position of the call to which a chunk belongs, or the number of calls if a new call starts. The
    /// index identifies the call; without an index, the id does. A chunk without index and id belongs to the newest
    /// call.
    fn position(&self, index: Option<u64>, id: &str, name: &str, arguments: &str) -> usize {
        let known = self.list.iter().rposition(|call| match index {
            Some(_) => call.index == index,
            None => id.is_empty() || call.id == id,
        });
        match known {
            // A chunk without id and name continues the newest call, even with an unknown index.
            None if id.is_empty() && name.is_empty() && !self.list.is_empty() => self.list.len() - 1,
            Some(known) if !self.starts_another(&self.list[known], index, id, name, arguments) => known,
            _ => self.list.len(),
        }
    }

    /// Returns whether a chunk starts a new call although its index or id matches `call`. Some servers send the index
    /// 0 or no index for every call. A chunk with a different id starts a new call. A chunk without id and index
    /// starts a new call if its name differs. The same name after complete arguments also starts a new call.
    fn starts_another(&self, call: &Call, index: Option<u64>, id: &str, name: &str, arguments: &str) -> bool {
        if name.is_empty() || call.name.is_empty() {
            return false;
        }
        if !id.is_empty() && !call.id.is_empty() {
            return call.id != id;
        }
        if index.is_some() || !id.is_empty() {
            return false;
        }
        let has_arguments = !call.arguments.is_empty();
        if name == call.name {
            has_arguments
                && call.arguments.is_complete()
                && !arguments.is_empty()
                && arguments != call.arguments.as_str()
        } else {
            has_arguments || (self.is_known(&call.name) && self.is_known(name))
        }
    }

    fn is_known(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }

    /// Adds the calls to the answer. Returns the provider data of each call: the provider's id and the extra fields.
    ///
    /// # Errors
    /// A temporary failure if the calls are too many or too large.
    pub(super) fn finish(&mut self, out: &mut Pieces) -> Result<Vec<Value>, Fault> {
        let mut carried = Vec::new();
        for call in std::mem::take(&mut self.list) {
            if call.name.is_empty() && call.arguments.is_empty() {
                out.skip();
                continue;
            }
            let arguments = call.arguments.get();
            let name = self.name(call.name, &arguments);
            let id = call_id(&call.id, carried.len());
            let mut back = call.extra;
            if !call.id.is_empty() {
                back.insert("id".to_owned(), Value::String(call.id));
            }
            carried.push(Value::Object(back));
            out.call(ToolRequest { id, name, arguments })?;
        }
        Ok(carried)
    }

    /// Removes prefixes that the server added to the tool's name. If the name is missing, returns the only tool that
    /// accepts the arguments.
    fn name(&self, name: String, arguments: &str) -> String {
        if self.is_known(&name) {
            return name;
        }
        if !name.is_empty() {
            let bare = name.rsplit(['.', ':', '/']).next().unwrap_or_default().trim();
            return if self.is_known(bare) { bare.to_owned() } else { name };
        }
        let Ok(Value::Object(given)) = serde_json::from_str(arguments) else {
            return name;
        };
        let mut fitting = self.tools.iter().filter(|tool| takes(tool, &given));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => only.name.clone(),
            _ => name,
        }
    }
}

impl Call {
    fn bytes(&self) -> usize {
        self.id.len() + self.name.len() + self.arguments.as_str().len()
    }

    /// Adds a chunk of the name: the next part of the name, or the whole name so far.
    fn add_name(&mut self, name: &str) {
        if name == self.name {
            return;
        }
        if name.starts_with(&self.name) {
            name.clone_into(&mut self.name);
        } else {
            self.name.push_str(name);
        }
    }
}

/// Returns whether a tool accepts arguments with these names.
fn takes(tool: &ToolSpec, given: &Map<String, Value>) -> bool {
    let properties = &tool.parameters["properties"];
    let required = tool.parameters["required"].as_array();
    let has_all = required.is_none_or(|required| {
        required
            .iter()
            .filter_map(Value::as_str)
            .all(|name| given.contains_key(name))
    });
    has_all && given.keys().all(|name| properties.get(name).is_some())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::ModelEvent;

    fn assemble(chunks: &[Value]) -> Vec<String> {
        let tool = |name: &str, parameter: &str| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            parameters: json!({"properties": {parameter: {}}, "required": [parameter]}),
        };
        let mut calls = Calls::new(&[tool("bash", "command"), tool("read", "path")]);
        for chunk in chunks {
            calls.take(chunk).unwrap();
        }
        let mut out = Pieces::default();
        calls.finish(&mut out).unwrap();
        std::iter::from_fn(|| out.pop())
            .filter_map(|event| match event {
                ModelEvent::ToolCall(call) => Some(format!("{} {} {}", call.id, call.name, call.arguments)),
                _ => None,
            })
            .collect()
    }

    fn chunk(index: Option<u64>, id: &str, name: &str, arguments: &str) -> Value {
        json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}})
    }

    #[test]
    fn calls_are_assembled_as_they_were_meant() {
        let table: &[(&str, Vec<Value>, &[&str])] = &[
            (
                "pieces",
                vec![
                    chunk(Some(0), "a", "bash", ""),
                    chunk(Some(0), "", "", "{\"x\":"),
                    chunk(Some(0), "", "", "1}"),
                ],
                &["a bash {\"x\":1}"],
            ),
            (
                "an empty object first",
                vec![
                    chunk(Some(0), "a", "bash", "{}"),
                    chunk(Some(0), "", "", "{\"x\":"),
                    chunk(Some(0), "", "", "1}"),
                ],
                &["a bash {\"x\":1}"],
            ),
            (
                "an empty object last",
                vec![chunk(Some(0), "a", "bash", "{\"x\":1}"), chunk(Some(0), "", "", "{}")],
                &["a bash {\"x\":1}"],
            ),
            (
                "cumulative",
                vec![
                    chunk(Some(0), "a", "bash", "{\"x"),
                    chunk(Some(0), "a", "bash", "{\"x\":1"),
                    chunk(Some(0), "a", "bash", "{\"x\":1}"),
                ],
                &["a bash {\"x\":1}"],
            ),
            (
                "a name in pieces",
                vec![chunk(Some(0), "a", "ba", ""), chunk(Some(0), "", "sh", "{}")],
                &["a bash {}"],
            ),
            (
                "no index and no id, the same tool twice",
                vec![
                    chunk(None, "", "bash", "{\"x\":1}"),
                    chunk(None, "", "bash", "{\"x\":2}"),
                ],
                &["call_0 bash {\"x\":1}", "call_1 bash {\"x\":2}"],
            ),
            (
                "no index and no id, two tools",
                vec![
                    chunk(None, "", "bash", "{\"x\":"),
                    chunk(None, "", "", "1}"),
                    chunk(None, "", "read", "{}"),
                ],
                &["call_0 bash {\"x\":1}", "call_1 read {}"],
            ),
            (
                "an index that changes",
                vec![
                    chunk(Some(0), "a", "bash", "{}"),
                    chunk(Some(0), "b", "read", ""),
                    chunk(Some(1), "", "", "{\"x\":1}"),
                ],
                &["a bash {}", "b read {\"x\":1}"],
            ),
            (
                "a missing name",
                vec![chunk(Some(0), "a", "", "{\"path\":\"x\"}")],
                &["a read {\"path\":\"x\"}"],
            ),
            (
                "a prefix",
                vec![chunk(Some(0), "a", "functions.bash", "{}")],
                &["a bash {}"],
            ),
            (
                "encoded twice",
                vec![chunk(Some(0), "a", "bash", "\"{\\\"x\\\":1}\"")],
                &["a bash {\"x\":1}"],
            ),
            (
                "an object",
                vec![json!({"index": 0, "id": "a", "function": {"name": "bash", "arguments": {"x": 1}}})],
                &["a bash {\"x\":1}"],
            ),
            (
                "flat",
                vec![json!({"name": "bash", "arguments": {"x": 1}})],
                &["call_0 bash {\"x\":1}"],
            ),
            ("nothing", vec![json!({"index": 0}), json!("x"), json!(null)], &[]),
        ];
        for (name, chunks, expected) in table {
            assert_eq!(assemble(chunks), *expected, "{name}");
        }
    }
}
