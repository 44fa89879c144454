//! Tests of the sandbox with real bubblewrap. Every refusal has a positive control, because a broken sandbox also
//! refuses everything. If root runs the tests, `without_root` repeats them as an unprivileged user.

mod commands;
mod files;
mod limits;
mod links;
mod long_lived;
mod memory;
mod network;
mod programs;
mod rootfs;
mod standby;
mod walls;
mod without_root;

use std::{os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use runyard::{
    config::Config,
    sandbox::{Command, CommandEnd, Execution, Place, ProjectSandbox, Sandbox, Sandboxes},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Sandboxes with a new data folder, which has mode 0700 like every temporary folder.
struct Yard {
    folder: TempDir,
    sandboxes: Sandboxes,
}

fn settings() -> runyard::sandbox::Config {
    let mut settings = Config::parse("test", "").unwrap().sandbox;
    settings.program = Some(env!("CARGO_BIN_EXE_runyard").into());
    settings
}

impl Yard {
    fn new() -> Self {
        Self::with(&settings())
    }

    fn with(settings: &runyard::sandbox::Config) -> Self {
        let folder = closed_folder();
        let sandboxes = Sandboxes::detect(settings, folder.path()).unwrap();
        Self { folder, sandboxes }
    }

    fn place(&self, number: u32) -> Place {
        Place {
            folder: self.folder.path().join(format!("workspaces/p{number}")),
            number,
        }
    }

    fn project(&self, number: u32) -> ProjectSandbox {
        let place = self.place(number);
        self.sandboxes.make(&place).unwrap();
        self.sandboxes.open(place)
    }

    fn host_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn is_bounded_by_cgroups(yard: &Yard) -> bool {
    yard.sandboxes
        .describe()
        .iter()
        .any(|fact| fact.starts_with("control groups") && fact.contains("memory"))
}

fn closed_folder() -> TempDir {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir().unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn command(script: impl Into<String>) -> Command {
    Command {
        script: script.into(),
        timeout: Duration::from_mins(1),
    }
}

async fn run_for(sandbox: &ProjectSandbox, seconds: f64, script: impl Into<String>) -> Execution {
    let command = Command {
        timeout: Duration::from_secs_f64(seconds),
        ..command(script)
    };
    sandbox
        .execute(command, &mut |_| {}, &CancellationToken::new())
        .await
        .unwrap()
}

async fn run(sandbox: &ProjectSandbox, script: impl Into<String>) -> Execution {
    run_for(sandbox, 60.0, script).await
}

async fn say(sandbox: &ProjectSandbox, script: impl Into<String>) -> String {
    let execution = run(sandbox, script).await;
    assert_eq!(execution.ending, CommandEnd::Exited(0), "{}", execution.text);
    execution.text
}

/// Returns a sleep duration in seconds that also identifies a process. The duration contains the id of this test
/// process, because two test runs may overlap.
fn mark(name: u32) -> String {
    format!("{name}0{}", std::process::id())
}

/// Start of the process names of bubblewrap on the host, for sandboxes of this data folder.
fn sandbox_mark(folder: &std::path::Path) -> String {
    let folder = std::fs::metadata(folder).unwrap();
    let created = folder.created().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!(
        "runyard-sandbox/{}-{}-{}/",
        folder.dev(),
        folder.ino(),
        created.as_nanos()
    )
}

fn with_marker(marker: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |number: &u32| {
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(marker)
    };
    numbers.filter(has).collect()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    // A busy machine takes seconds to end the processes of a sandbox.
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < until, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
