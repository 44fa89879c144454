//! What the benchmark is told on its command line.

use std::{path::PathBuf, time::Duration};

use crate::Result;

const USAGE: &str = "usage: runyard-bench [--quick] [--rounds N] [--database postgres://…] [--folder DIR] \
    [--only PART]… [--minutes N] [--server FILE]…
  --quick     about five minutes instead of twenty
  --rounds    how often everything is measured
  --database  an empty PostgreSQL database, instead of SQLite in a temporary folder
  --folder    where the temporary folder is made; beside the program by default, because /tmp may be memory
  --only      one part: start-up, probe, starts, streams, tokens, first, neighbours, memory, growth, soak;
              may be repeated; soak is measured only if it is named
  --minutes   how long the soak takes; 60 by default
  --server    the server's program; beside this one by default; a second one is measured in turns with the first";

/// What this process does.
pub(crate) enum Command {
    /// Measures.
    Measure(Options),
    /// Plays the model: a child of the benchmark.
    Model,
    /// Answers calls with nothing behind: a child of the benchmark.
    Echo,
}

/// How to measure.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How often everything is measured.
    pub(crate) rounds: usize,
    /// Calls and runs are this many times fewer than in a full benchmark.
    pub(crate) divisor: usize,
    /// Runs that the server has made when its memory is read last.
    pub(crate) many_runs: usize,
    /// How long the soak takes.
    pub(crate) soak: Duration,
    /// A PostgreSQL URL.
    pub(crate) database: Option<String>,
    /// Where the temporary folder is made.
    pub(crate) folder: PathBuf,
    /// The programs of the servers.
    pub(crate) servers: Vec<PathBuf>,
    only: Vec<String>,
}

impl Options {
    /// Reads the arguments.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Command> {
        let here = std::env::current_exe()?;
        let beside = here.parent().ok_or("the program is in no folder")?.to_owned();
        let mut options = Self {
            rounds: 7,
            divisor: 1,
            many_runs: 20_000,
            soak: Duration::from_hours(1),
            database: None,
            folder: beside.clone(),
            servers: Vec::new(),
            only: Vec::new(),
        };
        let mut rounds = None;
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} wants a value\n{USAGE}"))
            };
            match argument.as_str() {
                "model" => return Ok(Command::Model),
                "echo" => return Ok(Command::Echo),
                "--quick" => (options.rounds, options.divisor, options.many_runs) = (3, 2, 20_000),
                "--rounds" => rounds = Some(value()?.parse()?),
                "--minutes" => options.soak = Duration::from_mins(value()?.parse()?),
                "--database" => options.database = Some(value()?),
                "--folder" => options.folder = value()?.into(),
                "--only" => options.only.push(value()?),
                "--server" => options.servers.push(value()?.into()),
                _ => return Err(format!("{argument} is not known\n{USAGE}").into()),
            }
        }
        options.rounds = rounds.unwrap_or(options.rounds).max(1);
        if options.servers.is_empty() {
            options.servers.push(beside.join("runyard"));
        }
        if options.servers.len() > 1 && options.database.is_some() {
            return Err("two servers cannot share one database".into());
        }
        for server in &options.servers {
            if !server.is_file() {
                return Err(format!("there is no program {}; `make bench` builds it", server.display()).into());
            }
        }
        Ok(Command::Measure(options))
    }

    /// Whether the soak is measured: it takes long, so only if it is named.
    pub(crate) fn wants_soak(&self) -> bool {
        self.only.iter().any(|only| only == "soak")
    }

    /// Whether servers are measured in rounds.
    pub(crate) fn wants_rounds(&self) -> bool {
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|only| !["growth", "soak"].contains(&only.as_str()))
    }

    /// Whether a part is measured.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }
}
