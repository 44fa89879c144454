//! Assembles the job that the engine executes for a run. Each part comes from the module that owns the part:
//!
//! | part | owner |
//! |---|---|
//! | instructions of the agent | `agents::version` |
//! | sandbox, created on first use | `projects::on_demand` |
//! | files that the `StartRun` request names | `uploads::place` |
//! | core tools | `tools` |
//! | further tools | `worker/tools` |
//! | limits | `runs::budget` |
//! | history | `threads::history` |
//! | price of model calls | `ledger::billing`, through the sink (`worker/sink.rs`) |
//! | reservations for model calls | `runs::reserve`, through the sink |

use std::sync::Arc;

use super::tools::{Extra, memory};
use crate::{
    accounts::Scope,
    agents::{self, version::Instructions},
    app::App,
    config::Model,
    engine::{Job, ModelLimits, prompt::Prompt},
    error::Result,
    llm::{ChatMessage, ReasoningEffort},
    projects::OnDemand,
    runs::{Run, RunLog, budget, claim::Claimed, start::Mode},
    threads::history,
    tools::{self, Toolbox},
    uploads::place,
};

pub(super) async fn assemble(app: &App, claimed: &Claimed, model: &Model, log: &Arc<RunLog>) -> Result<Job> {
    let run = &claimed.run;
    let (db, scope) = (app.db.read(), Scope::account(run.account_id));
    let workplace = workplace(app, claimed).await?;
    let agent = agents::version::instructions(db, scope, run.agent_version_id).await?;
    let budget = budget::of(app, run, claimed.fresh.as_ref()).await?;
    let past = match &claimed.fresh {
        Some(fresh) => history::of_prompt(&fresh.prompt),
        None => history::load(db, scope, (run.thread_id, run.id), model.context_window).await?,
    };
    let tools = RunTools::of(app, run, &agent, &past.messages, log).await?;
    let prompt = Prompt {
        agent: agent.system_prompt.as_deref(),
        sandbox: tools.sandbox.as_deref(),
        has_tools: !tools.toolbox.is_empty(),
        sections: &tools.sections,
        today: app.clock.now().date_naive(),
    };
    Ok(Job {
        run_id: run.id,
        model: limits_of(model),
        reasoning_effort: run.reasoning_effort.as_deref().and_then(ReasoningEffort::find),
        system_prompt: prompt.assemble(),
        history: past.messages,
        tools: tools.toolbox,
        workplace,
        budget,
        interrupted: past.interrupted,
        steps_done: u32::try_from(run.steps).unwrap_or_default(),
        tokens_used: (run.input_tokens + run.output_tokens).unsigned_abs(),
    })
}

fn limits_of(model: &Model) -> ModelLimits {
    ModelLimits {
        name: model.name.clone(),
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
    }
}

/// Returns the sandbox of the run's project. First places the run's files that are not in the workspace yet.
async fn workplace(app: &App, claimed: &Claimed) -> Result<Arc<OnDemand>> {
    let run = &claimed.run;
    let workplace = Arc::new(OnDemand::new(app, run.account_id, run.project_id));
    if claimed.awaits_files {
        place::place(app, workplace.ensure().await?, run.into()).await?;
    }
    Ok(workplace)
}

/// The tools of a run, and what the system prompt says about them.
struct RunTools {
    toolbox: Arc<Toolbox>,
    /// Description of the sandbox; `None` in chat mode.
    sandbox: Option<String>,
    sections: Vec<String>,
}

impl RunTools {
    /// A run in chat mode has no core tools.
    async fn of(
        app: &App,
        run: &Run,
        agent: &Instructions,
        history: &[ChatMessage],
        log: &Arc<RunLog>,
    ) -> Result<Self> {
        let mut extra = Extra::default();
        memory::add(app, run, agent, history, log, &mut extra).await?;
        let (core, sandbox) = if run.mode == Mode::Code.as_str() {
            (tools::core(), Some(app.sandboxes.describe_for_model().await))
        } else {
            (tools::none(), None)
        };
        Ok(Self {
            toolbox: Toolbox::for_run(core, extra.tools)?,
            sandbox,
            sections: extra.sections,
        })
    }
}
