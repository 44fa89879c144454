//! Tests of the six core tools in a real sandbox. No tool can access anything outside the workspace.

mod background;
mod bash;
mod documents;
mod escape;
mod files;
mod search;
mod toolbox;

use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use runyard::{
    config::Config,
    documents::RecentDocuments,
    sandbox::{Place, ProjectSandbox, Sandboxes},
    tools::{self, Effect, ToolAnswer, ToolContext, ToolFailure, background::Background},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Each test uses its own project number and therefore its own uid.
static NEXT_PROJECT: AtomicU32 = AtomicU32::new(5_000);

/// The sandbox of a project whose workspace is empty at first. Also collects the output that the tool calls stream.
pub struct Shop {
    pub sandbox: Arc<ProjectSandbox>,
    pub workspace: PathBuf,
    cancel: CancellationToken,
    output: Arc<Mutex<String>>,
    background: Arc<Background>,
    documents: Arc<RecentDocuments>,
    /// Notices of the background processes.
    reports: Arc<Mutex<Vec<String>>>,
    _data: tempfile::TempDir,
}

impl Shop {
    pub fn new() -> Self {
        Self::with("")
    }

    fn with(configuration: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        // Project uids must be able to reach their workspaces.
        std::fs::set_permissions(data.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut config = Config::parse("test", configuration).unwrap().sandbox;
        let program = std::env::var_os("RUNYARD_TEST_PROGRAM");
        config.program = Some(program.map_or_else(|| env!("CARGO_BIN_EXE_runyard").into(), PathBuf::from));
        let sandboxes = Sandboxes::detect(&config, data.path()).unwrap();
        let workspace = data.path().join("workspace");
        let place = Place {
            folder: workspace.clone(),
            number: NEXT_PROJECT.fetch_add(1, Ordering::Relaxed),
        };
        sandboxes.make(&place).unwrap();
        let reports = Arc::<Mutex<Vec<String>>>::default();
        let reported = Arc::clone(&reports);
        let report = Arc::new(move |text| reported.lock().unwrap().push(text));
        let background = Background::new(Instant::now() + Duration::from_mins(5), 0, report);
        Self {
            sandbox: Arc::new(sandboxes.open(place)),
            workspace,
            cancel: CancellationToken::new(),
            output: Arc::default(),
            background: Arc::new(background),
            documents: Arc::default(),
            reports,
            _data: data,
        }
    }

    /// Calls a tool as the engine does. A call with arguments that do not match the schema fails.
    async fn call(&self, tool: &str, arguments: Value) -> Result<ToolAnswer, String> {
        let built_in = tools::built_in();
        let slot = built_in.find(tool).expect("no such tool");
        slot.check(&arguments)?;
        let output = Arc::clone(&self.output);
        let context = ToolContext {
            workplace: self.sandbox.clone(),
            output: Arc::new(move |piece| output.lock().unwrap().push_str(&piece)),
            background: Arc::clone(&self.background),
            documents: Arc::clone(&self.documents),
            notice: Arc::new(|_| {}),
            continuation: None,
            cancel: self.cancel.clone(),
        };
        let call = slot.tool.call(arguments, &context);
        match tokio::time::timeout(Duration::from_mins(1), call)
            .await
            .expect("the tool did not end")
        {
            Ok(answer) => Ok(answer),
            Err(ToolFailure::Reported(text)) => Err(text),
            Err(ToolFailure::Fatal(error)) => panic!("fatal: {error}"),
            Err(ToolFailure::Asks(questions)) => panic!("asks: {questions:?}"),
        }
    }

    #[track_caller]
    fn text(&self, tool: &str, arguments: Value) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            match self.call(tool, arguments).await {
                Ok(answer) if !answer.is_error => answer.text,
                other => panic!("at {caller}: {other:?}"),
            }
        }
    }

    /// Calls a tool that must fail. Returns the text that the model receives.
    async fn error(&self, tool: &str, arguments: Value) -> String {
        match self.call(tool, arguments).await {
            Err(text) => text,
            Ok(answer) if answer.is_error => answer.text,
            Ok(answer) => panic!("the call did not fail: {answer:?}"),
        }
    }

    async fn bash(&self, command: &str) -> String {
        self.text("bash", json!({"command": command})).await
    }

    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.workspace.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn content(&self, path: &str) -> String {
        std::fs::read_to_string(self.workspace.join(path)).unwrap()
    }
}

#[test]
fn there_are_six_core_tools_with_strict_schemas() {
    let names = ["bash", "read", "write", "edit", "glob", "grep"];
    assert_eq!(tools::core().names().collect::<Vec<_>>(), names);
    let core = tools::built_in();
    let names: Vec<&str> = core.names().collect();
    assert_eq!(names[6..], ["bash_output", "bash_kill"]);
    let looks: Vec<bool> = names
        .iter()
        .map(|name| core.find(name).unwrap().effect() == Effect::ReadOnly)
        .collect();
    assert_eq!(looks, [false, true, false, false, true, true, true, false]);
    for spec in core.specs() {
        assert!(spec.description.len() < 800, "{}", spec.name);
        assert_eq!(spec.parameters["type"], "object");
        assert_eq!(spec.parameters["additionalProperties"], false, "{}", spec.name);
        assert!(
            core.find(&spec.name).unwrap().check(&json!({"nonsense": 1})).is_err(),
            "{}",
            spec.name
        );
    }
    assert!(core.specs()[1].description.contains("2000 lines"));
    assert!(tools::none().is_empty());
}
