//! Starts the child processes of the benchmark: Runyard servers, the minimal comparison server (`floor.rs`), the
//! scripted models and the gRPC echo server (`echo.rs`). A child is killed when its handle is dropped.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use runyard_upstream::{Call, Script, Turn, Upstream};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{Result, paced, report, sandbox, waiting};

const TIMEOUT: Duration = Duration::from_secs(20);
pub(crate) const SECRET: &str = "a secret of the benchmark that is long enough";

/// Number of tokens in an answer of the model `bench/slow`, and the pause before each token.
pub(crate) const SLOW: (usize, Duration) = (6_000, Duration::from_millis(100));
/// Number of tokens in an answer of the model `bench/many`.
pub(crate) const TOKENS: usize = 200;

/// A temporary folder, which is removed when this value is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn make(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("bench-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(fault) = std::fs::remove_dir_all(&self.0) {
            report::complain(&format!("could not remove {}: {fault}", self.0.display()).into());
        }
    }
}

/// A child process that prints one line when it is ready, and exits when its standard input is closed.
pub(crate) struct Helper {
    child: Child,
    pub(crate) line: String,
}

impl Helper {
    /// Starts this program with `role` as its argument, and reads the line that the child prints.
    pub(crate) async fn start(role: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("a child process printed nothing")?;
        let mut line = String::new();
        timeout(TIMEOUT, BufReader::new(stdout).read_line(&mut line)).await??;
        Ok(Self {
            child,
            line: line.trim().to_owned(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}

/// Names of the scripted models, in the order in which [`play_model`] prints their URLs.
const MODELS: [&str; 7] = ["one", "many", "slow", "tools", "paced", "shell", "asks"];

/// Parses the URLs that [`play_model`] printed. Returns the name and the base URL of each model.
pub(crate) fn models(line: &str) -> Result<Vec<(&'static str, &str)>> {
    let models: Vec<_> = MODELS.into_iter().zip(line.split(' ')).collect();
    if models.len() < MODELS.len() || models.iter().any(|(_, url)| !url.starts_with("http://")) {
        return Err("the scripted models did not start".into());
    }
    Ok(models)
}

pub(crate) async fn play_model() -> Result<()> {
    let one = Upstream::start(Script::fixed(1)).await;
    let many = Upstream::start(Script::fixed(TOKENS)).await;
    let slow = Upstream::start(Script::paced(SLOW.0, SLOW.1)).await;
    let tools = Upstream::start(Script::function(|received| {
        match received.messages().last().map(|message| &message["role"]) {
            Some(role) if role == "tool" => Turn::text("Done."),
            _ => Turn::calls([Call::new("bash", &json!({"command": "echo made | tee made.txt"}))]),
        }
    }))
    .await;
    let paced = paced::serve().await?;
    let shell = Upstream::start(Script::function(sandbox::answer)).await;
    let urls = [&one, &many, &slow, &tools].map(Upstream::base_url);
    let asks = Upstream::start(Script::function(waiting::answer)).await;
    report::say(&format!(
        "{} {paced} {} {}",
        urls.join(" "),
        shell.base_url(),
        asks.base_url()
    ));
    until_input_ends().await
}

/// Returns when the parent has closed this process's standard input or has exited.
pub(crate) async fn until_input_ends() -> Result<()> {
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await?;
    Ok(())
}

/// A running Runyard server or minimal comparison server (`floor.rs`).
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Time from the start of the process until the server was ready.
    pub(crate) start_up: Duration,
}

/// The program, the folder and the settings of a server to start. If `database` is `None`, the server uses SQLite.
pub(crate) struct Place<'a> {
    pub(crate) program: &'a Path,
    pub(crate) folder: &'a Path,
    pub(crate) config: &'a str,
    pub(crate) database: Option<&'a str>,
}

impl Server {
    /// Starts a server on a free port and waits until the server is ready.
    pub(crate) async fn start(place: &Place<'_>) -> Result<Self> {
        std::fs::create_dir_all(place.folder)?;
        let config = place.folder.join("runyard.toml");
        std::fs::write(&config, place.config)?;
        let address = free_address()?;
        let mut command = Command::new(place.program);
        command
            .args(["serve", "--listen", &address.to_string(), "--config"])
            .arg(&config)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUNYARD_DATA_DIR", place.folder.join("data"))
            .env("RUNYARD_JWT_SECRET", SECRET)
            .stdin(Stdio::null());
        if let Some(url) = place.database {
            command.env("RUNYARD_DATABASE_URL", url);
        }
        Self::spawn(command, address, place.folder).await
    }

    /// Starts the minimal comparison server on a free port and waits until the server is ready.
    pub(crate) async fn start_floor(folder: &Path, models: &str) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["floor", &address.to_string()])
            .arg(folder)
            .arg(models)
            .stdin(Stdio::piped());
        Self::spawn(command, address, folder).await
    }

    async fn spawn(mut command: Command, address: SocketAddr, folder: &Path) -> Result<Self> {
        let log = folder.join("server.log");
        let output = std::fs::File::create(&log)?;
        command.stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let began = Instant::now();
        let child = command.spawn()?;
        let start_up = tokio::task::spawn_blocking(move || until_ready(address, began)).await?;
        let Some(start_up) = start_up else {
            let output = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("the server did not become ready; its output:\n{output}").into());
        };
        Ok(Self {
            child,
            address,
            start_up,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.start_kill()?;
        timeout(TIMEOUT, self.child.wait()).await??;
        Ok(())
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

// Returns the time from `began` until the server is ready, or `None` after the timeout.
fn until_ready(address: SocketAddr, began: Instant) -> Option<Duration> {
    while began.elapsed() < TIMEOUT {
        if is_ready(address).unwrap_or(false) {
            return Some(began.elapsed());
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    None
}

fn is_ready(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer.ends_with(b" 200"))
}
