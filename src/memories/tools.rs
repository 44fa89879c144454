//! The memory tools of a run: `remember`, `recall` and `forget`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    NewMemory, RunMemory, create, delete, list,
    search::{self, Part},
};
use crate::{
    agents::memory::{MAX_RECALLED, forget, recall, remember},
    error::Error,
    id,
    llm::ToolSpec,
    tools::{Effect, Tool, ToolAnswer, ToolContext, ToolFailure},
};

pub fn of_run(memory: &RunMemory) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(Remember(memory.clone())),
        Arc::new(Recall(memory.clone())),
        Arc::new(Forget(memory.clone())),
    ]
}

struct Remember(RunMemory);

#[derive(Deserialize)]
struct Fact {
    text: String,
}

#[async_trait]
impl Tool for Remember {
    fn spec(&self) -> ToolSpec {
        remember()
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn call(&self, arguments: Value, _: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let Fact { text } = read(arguments)?;
        let memory = &self.0;
        let new = NewMemory {
            holder: memory.holder,
            text,
            run_id: Some(memory.run_id),
        };
        let made = create::create(&memory.app, memory.account_id, new).await;
        let made = made.map_err(|error| told(&error))?;
        Ok(answer(format!("Remembered. The memory's id is {}.", made.id)))
    }
}

struct Recall(RunMemory);

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    query: String,
}

#[async_trait]
impl Tool for Recall {
    fn spec(&self) -> ToolSpec {
        recall()
    }

    fn effect(&self) -> Effect {
        Effect::ReadOnly
    }

    async fn call(&self, arguments: Value, _: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let Search { query } = read(arguments)?;
        let memory = &self.0;
        let (db, scope, holder) = (memory.app.db.read(), memory.scope(), Some(memory.holder));
        let found = if query.trim().is_empty() {
            list::list(db, scope, holder, None, MAX_RECALLED).await
        } else {
            let part = Part {
                offset: 0,
                limit: MAX_RECALLED,
            };
            search::search(db, scope, holder, &query, part).await
        };
        let found = found.map_err(|error| told(&error))?;
        if found.is_empty() {
            return Ok(answer("No stored fact matches.".to_owned()));
        }
        let lines: Vec<String> = found
            .iter()
            .map(|memory| format!("{}: {}", memory.id, memory.text))
            .collect();
        Ok(answer(lines.join("\n")))
    }
}

struct Forget(RunMemory);

#[derive(Deserialize)]
struct Which {
    memory_id: String,
}

#[async_trait]
impl Tool for Forget {
    fn spec(&self) -> ToolSpec {
        forget()
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn call(&self, arguments: Value, _: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let Which { memory_id } = read(arguments)?;
        let memory = &self.0;
        let memory_id: Uuid = id::parse("memory_id", &memory_id).map_err(|error| told(&error))?;
        let gone = delete::delete(&memory.app, memory.account_id, Some(memory.holder), memory_id).await;
        gone.map_err(|error| told(&error))?;
        Ok(answer("Forgotten.".to_owned()))
    }
}

fn read<T: serde::de::DeserializeOwned>(arguments: Value) -> Result<T, ToolFailure> {
    serde_json::from_value(arguments)
        .map_err(|error| ToolFailure::Reported(format!("the arguments are invalid: {error}")))
}

fn answer(text: String) -> ToolAnswer {
    ToolAnswer {
        text,
        ..ToolAnswer::default()
    }
}

/// A failed memory tool must not end the run, so the model receives the error.
fn told(error: &Error) -> ToolFailure {
    if error.cause().is_some() {
        tracing::warn!(%error, "a memory tool failed");
    }
    ToolFailure::Reported(error.message().to_owned())
}
