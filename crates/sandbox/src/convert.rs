//! Conversions: programs of the host that turn an untrusted file into text or an image.
//!
//! `ProjectSandbox::convert` calls [`convert`]. A conversion has the confinement of a command, but no workspace, and
//! tighter limits. It reads the file from its standard input and writes the result to its standard output. The service's
//! own program converts documents. It is passed to the sandbox as an open descriptor, because its path may not exist
//! there. Invariant: nothing converts a file outside bubblewrap.

use std::{
    fmt,
    io::Read,
    mem,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use rustix::fs::{Mode, OFlags};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, sink},
    task::spawn_blocking,
};

use super::{
    Command, CommandEnd, Execution, OpenFile,
    gate::quoted,
    host::Host,
    spawned::{self, LongLived},
    start::Cell,
};
use crate::error::{Error, Result};

/// Maximum number of conversions that run at once.
pub const MAX_CONVERSIONS: usize = 2;
/// Maximum duration of a conversion, with the start of its process.
const MAX_TIME: Duration = Duration::from_secs(30);
/// Maximum processor time of a conversion.
pub const MAX_CPU_SECONDS: u64 = 20;
/// Maximum address space of each process of a conversion.
pub const MAX_ADDRESS_BYTES: u64 = 1 << 30;
/// Maximum size of a file that a conversion writes to its own /tmp.
pub const MAX_FILE_BYTES: u64 = 128 << 20;
const CHUNK_BYTES: usize = 1 << 20;

/// A conversion of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// A subcommand of the service's own program, with its arguments.
    Own(Vec<String>),
    /// A script for bash that uses programs of the host.
    Script(String),
}

/// Result of a conversion.
#[derive(Clone, PartialEq, Eq)]
pub struct Converted {
    /// Standard output, cut at the requested maximum.
    pub output: Vec<u8>,
    /// True if the output was longer.
    pub is_cut: bool,
    /// How the conversion ended.
    pub ending: CommandEnd,
}

impl fmt::Debug for Converted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.output.len();
        write!(
            f,
            "Converted {{ {bytes} bytes, cut: {}, {:?} }}",
            self.is_cut, self.ending
        )
    }
}

/// Opens the service's own program, so that it can be executed even after an upgrade has replaced the file.
pub fn open_program(path: Option<&Path>) -> Option<Arc<OwnedFd>> {
    let path = path.unwrap_or(Path::new("/proc/self/exe"));
    let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.ok().map(Arc::new)
}

pub async fn convert(
    host: Arc<Host>,
    owner: Option<u32>,
    conversion: Conversion,
    input: OpenFile,
    max_output_bytes: usize,
) -> Result<Converted> {
    let _slot = host
        .conversions
        .acquire()
        .await
        .map_err(|error| Error::internal("conversions have ended", error))?;
    let missing = || Error::internal("the service's program cannot be opened", "no descriptor");
    let program = host.program.clone().ok_or_else(missing)?;
    let script = match conversion {
        Conversion::Own(arguments) => {
            let arguments: Vec<String> = arguments
                .iter()
                .map(|argument| quoted(&argument.replace('\0', "")))
                .collect();
            format!("exec /proc/self/fd/{} {}", program.as_raw_fd(), arguments.join(" "))
        }
        Conversion::Script(script) => script,
    };
    let cell = Cell {
        host: Arc::clone(&host),
        workspace: None,
        owner,
        folders: Arc::default(),
        gateway: None,
        converter: Some(program),
    };
    let alone = LongLived::default();
    let command = Command {
        script,
        timeout: MAX_TIME,
    };
    let mut process = spawned::spawn(cell, command, &alone).await?;
    let stdin = mem::replace(&mut process.stdin, Box::new(sink()));
    let stdout = mem::replace(&mut process.stdout, Box::new(tokio::io::empty()));
    let mut output = Vec::new();
    let mut stdout = stdout.take(max_output_bytes as u64 + 1);
    // A conversion that has written its result, or too much, need not have read its whole input.
    let read = {
        let mut read = pin!(stdout.read_to_end(&mut output));
        tokio::select! {
            read = &mut read => read,
            () = feed(stdin, input.content) => read.await,
        }
    };
    let is_cut = output.len() > max_output_bytes;
    output.truncate(max_output_bytes);
    let Execution { ending, text, .. } = if is_cut || read.is_err() {
        process.stop().await?
    } else {
        process.close().await?
    };
    if !ending.is_success() {
        // The text may quote the file, so it is only for an operator who looks for the reason.
        tracing::debug!(?ending, text, "a conversion failed");
    }
    Ok(Converted { output, is_cut, ending })
}

/// Writes the file to the process chunk by chunk. Stops when the process no longer reads.
async fn feed(mut stdin: Box<dyn tokio::io::AsyncWrite + Send + Unpin>, mut content: Box<dyn Read + Send>) {
    loop {
        let next = spawn_blocking(move || {
            let mut chunk = Vec::new();
            let read = content.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
            (read.map(|_| chunk), content)
        });
        let Ok((Ok(chunk), rest)) = next.await else { return };
        if chunk.is_empty() || stdin.write_all(&chunk).await.is_err() {
            return;
        }
        content = rest;
    }
}
