//! `runyard token`.

use std::time::Duration;

use clap::Args;

use super::{Ending, output::Output, settings::Settings};
use crate::{
    clock::Clock,
    error::{Error, Result},
    telemetry,
    wire::jwt::{self, Grant},
};

/// Print a token for a caller, signed with the server's secret.
#[derive(Args, Debug)]
pub(super) struct Token {
    /// Who the caller is: the account's subject, such as a UUID.
    #[arg(long, value_name = "UUID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    sub: String,
    /// A role, such as super_admin.
    #[arg(long)]
    role: Option<String>,
    /// How long the token lasts: a number and s, m, h or d.
    #[arg(long, default_value = "30d", value_parser = parse_lifetime)]
    ttl: Duration,
}

impl Token {
    pub(super) fn execute(self, settings: &Settings) -> Result<Ending> {
        telemetry::start_logging(&settings.log_filter("warn"))?;
        let config = settings.config()?;
        let secret = jwt::load_or_create_secret(&config)?.ok_or_else(|| {
            Error::invalid("only a JWKS is configured, whose private keys are its issuer's: ask the issuer for a token")
        })?;
        let grant = Grant {
            subject: self.sub,
            role: self.role,
            lifetime: self.ttl,
        };
        let token = jwt::mint(&config.auth, &secret, &grant, Clock::default().now())?;
        Output::new().line(&token)?;
        Ok(Ending::Well)
    }
}

/// Reads a duration such as 90s, 15m, 12h or 30d.
fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let wanted = || format!("{text} is not a number and s, m, h or d, such as 12h");
    let unit = match text.chars().next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(wanted()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wanted())?;
    let seconds = number
        .checked_mul(unit)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(wanted)?;
    Ok(Duration::from_secs(seconds))
}
