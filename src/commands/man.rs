//! `runyard man`: manual pages generated from the clap definitions.

use std::{fs, io, path::PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Outcome, output::Output, settings};
use crate::error::{Error, Result};

const FOOT: &str = ".SH \"SEE ALSO\"\n\\fI/docs\\fR on the server, and \\fIdocs/\\fR in the source repository.\n";

/// Print the manual page; view it with `man -l -`.
#[derive(Args, Debug)]
pub(super) struct Manual {
    /// Write the manual pages of all commands to this folder instead.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Manual {
    pub(super) fn execute(self) -> Result<Outcome> {
        let page = page().map_err(|error| Error::internal("generating the manual page failed", error))?;
        let Some(folder) = self.dir else {
            Output::new().bytes(&page)?;
            return Ok(Outcome::Success);
        };
        let written = fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(command(), &folder))
            .and_then(|()| fs::write(folder.join("runyard.1"), page));
        written.map_err(|error| Error::invalid(format!("{} cannot be written: {error}", folder.display())))?;
        Ok(Outcome::Success)
    }
}

/// The subcommand `help` has no manual page.
fn command() -> Command {
    Cli::command().disable_help_subcommand(true)
}

fn page() -> io::Result<Vec<u8>> {
    let man = Man::new(command());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    // The macro `.nf` preserves line breaks.
    page.extend_from_slice(b".SH ENVIRONMENT\n.nf\n");
    for line in settings::VARIABLES.lines().skip(1) {
        page.extend_from_slice(line.trim_start().as_bytes());
        page.push(b'\n');
    }
    page.extend_from_slice(b".fi\n");
    page.extend_from_slice(FOOT.as_bytes());
    Ok(page)
}
