//! Prints rows page by page, as lines of text or as JSON lines. The commands `admin`, `threads`, `runs` and `keys` use it.

use chrono::{DateTime, SecondsFormat};
use clap::Args;
use prost::{Message, Name};
use prost_types::Timestamp;
use runyard_client::Client;

use super::{
    Outcome,
    connection::Connection,
    json_lines::JsonLines,
    output::{Output, one_line, remark},
    settings::Settings,
};
use crate::error::Result;

/// Maximum number of rows that one request returns.
pub(super) const PAGE: i32 = 200;

/// Options of commands that print rows.
#[derive(Args, Debug)]
pub(super) struct Rows {
    #[command(flatten)]
    connection: Connection,
    /// Print a JSON object per line.
    #[arg(long, global = true)]
    json: bool,
}

impl Rows {
    /// Connects, and calls `act`, which prints the rows.
    pub(super) async fn print(
        &self,
        settings: &Settings,
        act: impl AsyncFnOnce(&Client, &mut Printer) -> Result<()>,
    ) -> Result<Outcome> {
        let connected = self.connection.open(settings).await?;
        connected.explain(act(&connected.client, &mut Printer::new(self.json)?).await)?;
        Ok(Outcome::Success)
    }
}

/// Prints messages as lines of text, or as JSON lines.
pub(super) enum Printer {
    Text(Output),
    Json(Box<JsonLines>),
}

impl Printer {
    pub(super) fn new(json: bool) -> Result<Self> {
        Ok(if json {
            Self::Json(Box::new(JsonLines::new()?))
        } else {
            Self::Text(Output::new())
        })
    }

    pub(super) fn print<M: Message + Name>(&mut self, message: &M, text: impl FnOnce(&M) -> String) -> Result<()> {
        match self {
            Self::Text(out) => out.line(&text(message)),
            Self::Json(json) => json.print(message),
        }
    }

    /// Prints all rows up to `limit`, or the remark `none` to standard error if there are none. `load` gets the size and the token of a page, and returns its rows and the token
    /// of the next page.
    pub(super) async fn pages<M: Message + Name>(
        &mut self,
        limit: u32,
        none: &str,
        text: impl Fn(&M) -> String,
        mut load: impl AsyncFnMut(i32, String) -> Result<(Vec<M>, String)>,
    ) -> Result<()> {
        let mut left = i32::try_from(limit).unwrap_or(i32::MAX);
        let mut is_empty = true;
        let mut token = String::new();
        while left > 0 {
            let (rows, next) = load(left.min(PAGE), token).await?;
            for row in &rows {
                self.print(row, &text)?;
                is_empty = false;
                left -= 1;
            }
            if next.is_empty() {
                break;
            }
            token = next;
        }
        if is_empty {
            remark(none);
        }
        Ok(())
    }
}

pub(super) fn time(stamp: Option<Timestamp>) -> String {
    let time = stamp.and_then(|stamp| DateTime::from_timestamp(stamp.seconds, 0));
    time.map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Formats one line per field. Empty values are omitted.
pub(super) fn table(fields: &[(&str, &str)]) -> String {
    let lines: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:<14}  {}", one_line(value)))
        .collect();
    lines.join("\n")
}
