//! Assembles the job that the engine executes for a run, from these modules:
//!
//! | part | owner |
//! |---|---|
//! | instructions of the agent | `agents::version` |
//! | sandbox, created on first use | `projects::on_demand` |
//! | secrets of its commands | `account_secrets::ForCommands` |
//! | files that the `StartRun` request names | `uploads::place` |
//! | built-in tools | `tools` |
//! | further tools | `worker/tools` |
//! | mode, and the tools that it allows | `config::modes`, `agents::tools` |
//! | limits | `runs::budget` |
//! | form of the final answer | `runs::options` |
//! | history | `threads::history` |
//! | documents of the prompt | `worker/documents` |
//! | images of the history | `worker/images` |
//! | price of model calls | `ledger::billing`, through the sink (`worker/sink.rs`) |
//! | reservations for model calls | `runs::reserve`, through the sink |

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    documents, images,
    tools::{Extra, approvals, ask, client, mcp, memory, notify, secrets, skills, task, web},
};
use crate::{
    account_secrets::ForCommands,
    accounts::Scope,
    agents::{self, approvals::Approvals, tools::Access},
    app::App,
    config::{Model, VisionSettings},
    egress::Egress,
    engine::{Job, ModelLimits, output::OutputForm, prompt::Prompt},
    error::Result,
    llm::{Llm, ReasoningEffort},
    projects::OnDemand,
    runs::{
        RunLog, budget,
        claim::Claimed,
        inputs::{self, answers},
        options::RunOptions,
    },
    threads::history,
    tools::{self, Toolbox},
    uploads::place,
    v1::NoticeKind,
};

pub(super) async fn assemble(
    app: &App,
    claimed: &Claimed,
    (model, options): (&Model, &RunOptions),
    log: &Arc<RunLog>,
    stop: &CancellationToken,
) -> Result<Job> {
    let run = &claimed.run;
    let (db, scope) = (app.db.read(), Scope::account(run.account_id));
    let mode = app.modes.load(&run.mode)?;
    let agent = agents::version::instructions(db, scope, run.agent_version_id).await?;
    let access = Access {
        mode,
        settings: &agent.tools,
    };
    let mut extra = Extra::default();
    if access.allows(skills::NAME) {
        skills::add(app, run, &agent, access, log, &mut extra).await?;
    }
    let workplace = workplace(app, claimed, &extra, log).await?;
    // Load the history after placing the files, because the history contains the names of the placed files.
    let mut past = match &claimed.fresh {
        Some(fresh) => history::of_prompt(&fresh.prompt),
        None => history::load(db, scope, (run.thread_id, run.id), model.context_window).await?,
    };
    let vision = app.llm.vision(&model.name, VisionSettings::UNSET);
    documents::show(app, run, &workplace, &mut past, model.context_window, stop).await;
    images::show(&workplace, &mut past, vision).await;
    memory::add(app, run, &agent, access, &past.messages, log, &mut extra).await?;
    if access.allows_sandbox() {
        secrets::add(app, run, &mut extra).await?;
    }
    web::add(app, run, access, &mut extra);
    ask::add(access, &mut extra);
    task::add(app, run, access, &mut extra).await?;
    if mode.allows_servers() {
        mcp::add(app, run, &agent, &workplace, log, &mut extra).await;
    }
    let tools = RunTools::of(app, access, extra, options, &agent.approvals).await?;
    let allowances = if agent.approvals.rules.is_empty() {
        Vec::new()
    } else {
        inputs::allowances(db, scope, run.thread_id).await?
    };
    let answers = answers::of_calls(app, scope, run.id, &past.interrupted).await?;
    let output = options.output_schema.clone();
    let output = output
        .map(|schema| OutputForm::new(schema, past.final_answers))
        .transpose()?;
    let budget = budget::of(app, run, mode, options.budget, claimed.fresh.as_ref()).await?;
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
        own_history: past.own,
        tools: approvals::guard(tools.toolbox, agent.approvals, allowances),
        workplace,
        budget,
        interrupted: past.interrupted,
        answers,
        steps_done: u32::try_from(run.steps).unwrap_or_default(),
        tokens_used: (run.input_tokens + run.output_tokens).unsigned_abs(),
        output,
    })
}

fn limits_of(model: &Model) -> ModelLimits {
    ModelLimits {
        name: model.name.clone(),
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
    }
}

/// Returns the sandbox of the run's project. Places the run's files first if they are not in the workspace yet.
async fn workplace(app: &App, claimed: &Claimed, extra: &Extra, log: &Arc<RunLog>) -> Result<Arc<OnDemand>> {
    let run = &claimed.run;
    let reports = Arc::clone(log);
    let report = move |message: String| notify(&reports, NoticeKind::Other, &message);
    let secrets = ForCommands {
        app: app.clone(),
        account_id: run.account_id,
    };
    let gateway = Egress::of(&app.config.sandbox, Arc::new(report), Arc::new(secrets));
    let workplace = Arc::new(OnDemand::new(
        app,
        run.account_id,
        run.project_id,
        extra.folders.clone(),
        gateway,
    ));
    if claimed.awaits_files {
        place::place(app, workplace.ensure().await?, run.into()).await?;
    }
    Ok(workplace)
}

/// The tools of a run, and their parts of the system prompt.
struct RunTools {
    toolbox: Arc<Toolbox>,
    /// Description of the sandbox; `None` if the run cannot use it.
    sandbox: Option<String>,
    sections: Vec<String>,
}

impl RunTools {
    async fn of(
        app: &App,
        access: Access<'_>,
        mut extra: Extra,
        options: &RunOptions,
        approvals: &Approvals,
    ) -> Result<Self> {
        extra.sections.push(access.mode.prompt.clone());
        let sandbox = if access.allows_sandbox() {
            Some(app.sandboxes.describe_for_model().await)
        } else {
            None
        };
        Ok(Self {
            // Every mode allows the tools of the client, because they need no sandbox and the request names them.
            toolbox: Toolbox::for_run(
                Toolbox::for_run(tools::built_in(), extra.tools)?
                    .only(|name| access.allows(name) && !approvals.removes(name)),
                client::tools(options),
            )?,
            sandbox,
            sections: extra.sections,
        })
    }
}
