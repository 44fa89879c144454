//! Describes the sandbox to the model, as part of the system prompt. Without this description, models try to install
//! packages and fetch web pages.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Command, CommandEnd, Sandboxes, project::run, start::Cell};
use crate::{
    config::{self, Network},
    error::Error,
};

/// Maximum number of hosts that the text names.
const MAX_HOSTS: usize = 60;
/// Time limit for listing the programs. The first start of Python can take seconds on a cold disk.
const PROGRAMS_TIMEOUT: Duration = Duration::from_secs(30);

impl Sandboxes {
    /// Returns the limits and the installed programs. If commands cannot run on this host, the text says so instead.
    pub async fn describe_for_model(&self) -> String {
        let programs = self.programs().await;
        // `programs` has already started bubblewrap once, so `layout` does not block.
        match self.host.layout(None) {
            Ok(_) => format!("{}\n{programs}", limits(&self.host.config)),
            Err(_) => "Commands cannot be run on this server: bash always fails. The other tools work.".to_owned(),
        }
    }

    /// Lists the programs in the sandbox. The first call runs a script in a sandbox, and later calls return its
    /// result. If the script fails, the list is empty and the next call tries again.
    pub async fn programs(&self) -> &str {
        let asked = self.programs.get_or_try_init(|| async {
            let cell = Cell {
                host: Arc::clone(&self.host),
                workspace: None,
                owner: self.host.owner(0),
                folders: Arc::default(),
                gateway: None,
                converter: None,
            };
            let command = Command {
                script: PROGRAMS_SCRIPT.into(),
                timeout: PROGRAMS_TIMEOUT,
            };
            let execution = run(cell, None, command, &mut |_| {}, &CancellationToken::new()).await?;
            match execution.ending {
                CommandEnd::Exited(0) => Ok::<_, Error>(execution.text.trim().to_owned()),
                ending => Err(Error::internal(
                    "the sandbox's programs cannot be listed",
                    format!("{ending:?}"),
                )),
            }
        });
        match asked.await {
            Ok(programs) => programs,
            Err(error) => {
                tracing::warn!(%error, "cannot list the sandbox's programs");
                ""
            }
        }
    }
}

fn limits(config: &config::Config) -> String {
    format!(
        "- {network}\n\
         - A command gets {memory} of memory, {processes} processes and {default} seconds, or up to {max} seconds with \
         timeout_seconds. Processes that are still running when the command ends are killed.\n\
         - /workspace can hold up to {workspace} in {files} files; each file can be up to {file}. /tmp can hold {tmp} and is empty \
         at the start of each command.\n\
         - You are an ordinary user: no root, no sudo.",
        network = network(config),
        memory = size(config.max_memory_bytes),
        processes = config.max_processes,
        default = config.default_timeout_seconds.min(config.max_timeout_seconds),
        max = config.max_timeout_seconds,
        workspace = size(config.max_workspace_bytes),
        files = config.max_workspace_files,
        file = size(config.max_file_bytes.min(config.max_workspace_bytes)),
        tmp = size(config.tmp_bytes),
    )
}

fn network(config: &config::Config) -> String {
    match config.network {
        Network::None => {
            "There is no network. Nothing can be downloaded or installed (pip, npm, apt, git clone), and no web page \
                          or server can be reached. Use what is installed."
                .to_owned()
        }
        Network::Proxy => {
            let hosts = &config.allowed_hosts;
            let shown = hosts[..hosts.len().min(MAX_HOSTS)].join(", ");
            let more = match hosts.len().saturating_sub(MAX_HOSTS) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "Commands can reach only these hosts, over HTTP and HTTPS: {shown}{more}. Requests go through the proxy in \
                 HTTPS_PROXY. All other hosts are refused with status 403. You can install packages for the project, not for \
                 the system: use a virtual environment (python3 -m venv) or npm install, in /workspace."
            )
        }
    }
}

/// Formats a size with the largest binary unit that gives a whole number. If no unit does, sizes from 10 MiB are in
/// megabytes, and smaller sizes in bytes.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units
        .iter()
        .find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    match unit {
        Some((name, shift)) => format!("{} {name}", bytes >> shift),
        None if bytes >= 10 << 20 => format!("{} MB", bytes / 1_000_000),
        None => format!("{bytes} bytes"),
    }
}

const PROGRAMS_SCRIPT: &str = r#"
found= missing=
for name in bash sh awk sed grep rg sort jq sqlite3 psql git curl tar zip unzip make cmake gcc g++ pip3 node npm perl ruby php java javac go \
    rustc cargo R gnuplot pandoc pdflatex libreoffice pdftotext convert ffmpeg chromium; do
    if command -v "$name" >/dev/null; then found="$found $name"; else missing="$missing $name"; fi
done
echo "programs:$found"
echo "not installed:${missing:- (every common program is installed)}"
if command -v python3 >/dev/null; then
    python3 - <<'END'
import importlib.util, platform
names = ["numpy", "pandas", "matplotlib", "scipy", "sklearn", "openpyxl", "docx", "pptx", "PIL", "requests", "yaml", "lxml", "bs4"]
found = [name for name in names if importlib.util.find_spec(name)]
print(f"python3 {platform.python_version()} with", ", ".join(found) if found else "its standard library only")
END
else
    echo "no python3"
fi
"#;

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_exact_or_short() {
        for (bytes, text) in [
            (2_147_483_648, "2 GiB"),
            (268_435_456, "256 MiB"),
            (1_536, "1536 bytes"),
            (2_048, "2 KiB"),
            (50_000_000, "50 MB"),
            (0, "0 bytes"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
