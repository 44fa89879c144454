//! Tests of the tools of a run: the shared core tools and the run's own tools.

use std::sync::Arc;

use async_trait::async_trait;
use runyard::{
    error::Code,
    llm::ToolSpec,
    tools::{self, Effect, Tool, ToolAnswer, ToolContext, ToolFailure, Toolbox},
};
use serde_json::{Value, json};

struct Named(&'static str);

#[async_trait]
impl Tool for Named {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.0.to_owned(),
            description: "A test tool.".to_owned(),
            parameters: json!({"type": "object", "required": ["n"]}),
        }
    }

    fn effect(&self) -> Effect {
        Effect::ReadOnly
    }

    async fn call(&self, _: Value, _: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        Ok(ToolAnswer::default())
    }
}

fn with(names: &[&'static str]) -> runyard::engine::Result<Arc<Toolbox>> {
    let extra = names.iter().map(|&name| Arc::new(Named(name)) as Arc<dyn Tool>);
    Toolbox::for_run(tools::built_in(), extra.collect())
}

#[test]
fn a_run_has_the_core_tools_and_its_own_tools() {
    let toolbox = with(&["search", "notes"]).unwrap();
    let names: Vec<&str> = toolbox.names().collect();
    assert_eq!(
        names,
        [
            "bash",
            "read",
            "write",
            "edit",
            "glob",
            "grep",
            "bash_output",
            "bash_kill",
            "search",
            "notes"
        ]
    );
    let (search, core) = (toolbox.find("search").unwrap(), tools::core());
    assert!(search.check(&json!({"n": 1})).is_ok() && search.check(&json!({})).is_err());
    assert!(toolbox.spec_bytes() > core.spec_bytes());
    assert!(core.find("search").is_none(), "other runs do not get the tool");
    // All runs share the compiled schemas of the core tools.
    assert!(std::ptr::eq(toolbox.find("bash").unwrap(), core.find("bash").unwrap()));
    assert!(Arc::ptr_eq(&with(&[]).unwrap(), &tools::built_in()));
}

#[test]
fn two_tools_of_a_run_must_not_have_the_same_name() {
    for names in [["search", "bash"], ["search", "search"]] {
        let error = with(&names).err().unwrap();
        assert_eq!(error.code(), Code::Conflict);
        assert!(error.message().contains(names[1]), "{error}");
    }
}
