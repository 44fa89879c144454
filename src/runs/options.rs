//! Settings of a run that few runs have, stored as JSON in one column.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Run, inputs::parsed};
use crate::{
    engine::schema,
    error::{Error, Result},
    llm::ToolSpec,
    telemetry::traces::TraceParent,
    tools,
};

/// Maximum number of client tools per run.
pub const MAX_TOOLS: usize = 64;
/// Maximum length of a tool's name in bytes, which all providers accept.
const MAX_NAME: usize = 64;
/// Maximum length of a tool's description in characters.
const MAX_DESCRIPTION: usize = 4096;
/// Maximum size of a JSON schema in bytes.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;
const TOOLS: &str = "tools";
const OUTPUT_SCHEMA: &str = "output_schema";

/// The settings. A field with its default value is not stored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct RunOptions {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ClientTool>,
    #[serde(skip_serializing_if = "is_default")]
    pub budget: RunBudget,
    /// JSON schema of the final answer; `None` for free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// The span of the request that started the run; `None` if tracing was off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
}

/// The budget that a request gives its run. `None` means that only the limits of the server, the mode and the plan apply.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct RunBudget {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<u32>,
    /// In millionths of a credit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_microcredits: Option<i64>,
}

impl RunBudget {
    /// The budget of a run's request, without the other settings.
    ///
    /// # Errors
    /// INTERNAL if the settings cannot be decoded.
    pub fn of(run: &Run) -> Result<Self> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Stored {
            budget: RunBudget,
        }
        let Some(stored) = &run.options else {
            return Ok(Self::default());
        };
        let stored: Stored = serde_json::from_str(stored)
            .map_err(|error| Error::internal("the settings of the run could not be decoded", error))?;
        Ok(stored.budget)
    }
}

fn is_default(budget: &RunBudget) -> bool {
    *budget == RunBudget::default()
}

/// A tool that the caller of `StartRun` runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClientTool {
    pub name: String,
    pub description: String,
    /// JSON schema of the arguments. `None` permits any properties.
    pub parameters: Option<Value>,
}

impl RunOptions {
    /// The settings as they are stored; `None` if all have their default values.
    pub fn stored(&self) -> Option<String> {
        (*self != Self::default()).then(|| json!(self).to_string())
    }

    pub fn of(run: &Run) -> Result<Self> {
        let Some(stored) = &run.options else {
            return Ok(Self::default());
        };
        serde_json::from_value(parsed(stored))
            .map_err(|error| Error::internal("the settings of the run could not be decoded", error))
    }

    /// # Errors
    /// INVALID_REQUEST.
    pub fn check(&self) -> Result<()> {
        if self.tools.len() > MAX_TOOLS {
            return wrong(format!("a run can have at most {MAX_TOOLS} client tools"));
        }
        let built_in = tools::built_in();
        for (index, tool) in self.tools.iter().enumerate() {
            let name = &tool.name;
            if self.tools[..index].iter().any(|other| other.name == *name) {
                return wrong(format!("two tools are named {name:?}"));
            }
            if built_in.names().any(|other| other == name) {
                return wrong(format!("{name:?} is the name of a built-in tool; choose another name"));
            }
            tool.check()?;
        }
        match &self.output_schema {
            Some(schema) => check_schema(schema)
                .map_err(|refused| Error::invalid_field(OUTPUT_SCHEMA, format!("{OUTPUT_SCHEMA} {refused}"))),
            None => Ok(()),
        }
    }
}

/// Checks a JSON schema.
///
/// # Errors
/// The reason why the schema is refused, as the end of a sentence that begins with the schema.
fn check_schema(schema: &Value) -> Result<(), String> {
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(format!("must have at most {MAX_SCHEMA_BYTES} bytes"));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("must have the type \"object\"".to_owned());
    }
    schema::compile(schema).map(|_| ())
}

impl ClientTool {
    fn check(&self) -> Result<()> {
        let name = &self.name;
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_plain) {
            return wrong(format!(
                "the name of a tool must have 1 to {MAX_NAME} letters, digits, \"_\" and \"-\", unlike {name:?}"
            ));
        }
        if self.description.chars().count() > MAX_DESCRIPTION || self.description.contains('\0') {
            return wrong(format!(
                "the description of {name} must have at most {MAX_DESCRIPTION} characters and no NUL character"
            ));
        }
        let Some(schema) = &self.parameters else { return Ok(()) };
        check_schema(schema).or_else(|refused| wrong(format!("the schema of {name} {refused}")))
    }

    pub fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters: self.parameters.clone().unwrap_or_else(|| json!({"type": "object"})),
        }
    }
}

fn wrong<T>(message: String) -> Result<T> {
    Err(Error::invalid_field(TOOLS, message))
}
