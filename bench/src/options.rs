//! Command-line options of the benchmark.

use std::{path::PathBuf, time::Duration};

use crate::{Result, floor::Setup};

const USAGE: &str = "usage: runyard-bench [--quick] [--rounds N] [--database postgres://…] [--folder DIR] \
    [--only PART]… [--minutes N] [--server FILE]…
  --quick     take about ten minutes instead of thirty
  --rounds    number of rounds
  --database  an empty PostgreSQL database, instead of SQLite in a temporary folder
  --folder    parent of the temporary folder [default: beside this program, because /tmp may be memory]
  --only      measure one part: start-up, probe, starts, reads, tokens, first, streams, many, sandbox, database,
              neighbours, mcp, webhooks, waiting, memory, growth, soak; may be repeated; soak is measured only if named
  --minutes   duration of the soak [default: 60]
  --server    the server program [default: beside this one]; a second one, the previous build, is measured in turn with
              the first";

pub(crate) enum Command {
    Measure(Options),
    Model,
    Echo,
    Floor(Setup),
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// Divides the numbers of calls and runs, for a shorter benchmark.
    pub(crate) divisor: usize,
    /// Number of runs after which the server's memory is measured for the last time.
    pub(crate) many_runs: usize,
    pub(crate) soak: Duration,
    /// URL of a PostgreSQL database. If `None`, the servers use SQLite.
    pub(crate) database: Option<String>,
    /// The folder in which the temporary folder is created.
    pub(crate) folder: PathBuf,
    /// Programs to measure: the current build and, optionally, the previous build.
    pub(crate) servers: Vec<PathBuf>,
    only: Vec<String>,
}

impl Options {
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Command> {
        let here = std::env::current_exe()?;
        let beside = here.parent().ok_or("the folder of this program is unknown")?.to_owned();
        let mut options = Self {
            rounds: 7,
            divisor: 1,
            many_runs: 100_000,
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
                    .ok_or_else(|| format!("{argument} needs a value\n{USAGE}"))
            };
            match argument.as_str() {
                "model" => return Ok(Command::Model),
                "echo" => return Ok(Command::Echo),
                "floor" => {
                    let (address, folder, models) = (value()?.parse()?, value()?.into(), value()?);
                    return Ok(Command::Floor(Setup {
                        address,
                        folder,
                        models,
                    }));
                }
                "--quick" => (options.rounds, options.divisor, options.many_runs) = (3, 2, 20_000),
                "--rounds" => rounds = Some(value()?.parse()?),
                "--minutes" => options.soak = Duration::from_mins(value()?.parse()?),
                "--database" => options.database = Some(value()?),
                "--folder" => options.folder = value()?.into(),
                "--only" => options.only.push(value()?),
                "--server" => options.servers.push(value()?.into()),
                _ => return Err(format!("unknown argument {argument}\n{USAGE}").into()),
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

    pub(crate) fn wants_soak(&self) -> bool {
        self.only.iter().any(|only| only == "soak")
    }

    /// Returns true if `rounds.rs` measures any selected part.
    pub(crate) fn wants_rounds(&self) -> bool {
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|only| !["growth", "soak"].contains(&only.as_str()))
    }

    /// Returns true if this part is selected. Without a selection, all parts are selected.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }
}
