//! `runyard completions`: prints shell completion scripts.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome, output::Output};
use crate::error::Result;

/// Print a shell completion script.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell to print the script for.
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(&self) -> Result<Outcome> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "runyard", &mut script);
        Output::new().bytes(&script)?;
        Ok(Outcome::Success)
    }
}
