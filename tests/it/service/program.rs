//! Runs the real program as a separate process, for tests of its memory, its log and its recovery from crashes.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::RequestBuilder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::test_server::TEST_TIMEOUT;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A configuration in which every caller may use every model. The built-in model is the default.
pub const OPEN: &str = "[[tiers]]\nname = \"free\"\nmodels = [\"*\"]\ndefault_model = \"runyard/demo\"\n\
                        max_upload_bytes = 1000000000\ncredits_granted = 300\n";

/// Returns a free port of 127.0.0.1, and never the same port twice. The system assigns only higher ports, so the port is
/// still free when a program listens on it later. The offset keeps the ports of several test processes apart.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 6_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let offset = std::process::id() % PORTS * 61;
    let ports = (0..PORTS).map(|_| FIRST + (offset + TAKEN.fetch_add(1, Ordering::Relaxed)) % PORTS);
    ports
        .map(|port| u16::try_from(port).unwrap())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// A `runyard serve` process with a SQLite database.
pub struct Program {
    child: Child,
    folder: PathBuf,
    pub address: SocketAddr,
    pub url: String,
    pub token: String,
    pub http: reqwest::Client,
}

impl Program {
    pub async fn start(folder: &Path, config: &str) -> Self {
        Self::start_in(folder, config, "exec \"$@\"").await
    }

    /// Like [`Program::start`], but runs the shell command `line`, which must end by executing the program as `"$@"`.
    pub async fn start_in(folder: &Path, config: &str, line: &str) -> Self {
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("runyard.toml"), config).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut program = Self {
            child: serve(folder, address, line),
            folder: folder.to_owned(),
            address,
            url: format!("http://{address}"),
            token: String::new(),
            http: reqwest::Client::new(),
        };
        program.ready().await;
        program.token = program.mint("ann").await;
        program
    }

    pub async fn mint(&self, subject: &str) -> String {
        let mut command = command(&self.folder, self.address, "exec \"$@\"");
        let minted = command.args(["token", "--sub", subject]).output().await.unwrap();
        assert!(minted.status.success(), "{minted:?}");
        String::from_utf8(minted.stdout).unwrap().trim().to_owned()
    }

    /// Runs another command of the program. Returns its output and its errors.
    pub async fn command(&self, arguments: &[&str]) -> (String, String) {
        Self::execute(command(&self.folder, self.address, "exec \"$@\""), arguments).await
    }

    /// Runs a command of the program in a folder with the file `runyard.toml`, without a server.
    pub async fn command_in(folder: &Path, arguments: &[&str]) -> (String, String) {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        Self::execute(command(folder, nowhere, "exec \"$@\""), arguments).await
    }

    async fn execute(mut command: Command, arguments: &[&str]) -> (String, String) {
        let ran = command
            .args(arguments)
            .env("RUNYARD_LOG", "off")
            .output()
            .await
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(ran.stdout), text(ran.stderr))
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        request.bearer_auth(&self.token)
    }

    /// Kills the program with SIGKILL, to simulate a power failure.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub fn terminate(&self) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    }

    pub async fn ended(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(TEST_TIMEOUT, self.child.wait()).await;
        ended.expect("the program should end").unwrap().code()
    }

    pub async fn start_again(&mut self) {
        self.child = serve(&self.folder, self.address, "exec \"$@\"");
        self.ready().await;
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Returns the log lines of level INFO and above.
    pub fn lines(&self) -> Vec<Value> {
        let log = self.log();
        // The program may still be writing the text after the last line break.
        let (complete, _) = log.rsplit_once('\n').unwrap_or_default();
        let lines = complete
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line}")));
        lines
            .filter(|line| ["INFO", "WARN", "ERROR"].contains(&line["level"].as_str().unwrap()))
            .collect()
    }

    pub async fn line(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let looking = async {
            loop {
                if let Some(line) = self.lines().into_iter().find(|line| holds(line)) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let found = tokio::time::timeout(TEST_TIMEOUT, looking).await;
        found.unwrap_or_else(|_| panic!("the log has no line about {what}: {}", self.log()))
    }

    async fn ready(&self) {
        let url = format!("{}/readyz", self.url);
        let ready = async {
            while !self
                .http
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ready = tokio::time::timeout(TEST_TIMEOUT, ready).await;
        assert!(ready.is_ok(), "the server did not start: {}", self.log());
    }

    /// Converts a path in the program's mount namespace to a path that the test can open.
    pub fn sees(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id().unwrap()));
        root.join(path.strip_prefix("/").unwrap())
    }

    /// Returns the program's anonymous memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Runs `work`. Returns its result, and the peak memory of the program during the work, in bytes.
    pub async fn most<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let (most, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let watching = async {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(self.memory(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let working = async {
            let answer = work.await;
            done.store(true, Ordering::Relaxed);
            answer
        };
        let (answer, ()) = tokio::join!(working, watching);
        (answer, most.load(Ordering::Relaxed))
    }
}

fn command(folder: &Path, address: SocketAddr, line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", line, "sh", env!("CARGO_BIN_EXE_runyard")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("RUNYARD_CONFIG", folder.join("runyard.toml"))
        .env("RUNYARD_JWT_SECRET", SECRET)
        .env("RUNYARD_LISTEN", address.to_string())
        .env("RUNYARD_LOG", "info,runyard=debug")
        .kill_on_drop(true);
    command
}

fn serve(folder: &Path, address: SocketAddr, line: &str) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    command(folder, address, line).arg("serve").stderr(log).spawn().unwrap()
}
