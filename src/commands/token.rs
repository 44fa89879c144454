//! `runyard token`: signs tokens for accounts.

use std::time::Duration;

use clap::Args;

use super::{
    Outcome,
    output::{Output, one_line, remark},
    settings::Settings,
    signer::{LOCAL_SUBJECT, Signer},
};
use crate::{
    error::Result,
    wire::jwt::{self, Grant},
};

/// Print a token for an account, signed with the server's secret.
///
/// Run this in the folder where you run the server, or name the server's data folder with --data-dir. Without --sub,
/// the token is for the local account, which `runyard run` also uses by default.
#[derive(Args, Debug)]
pub(super) struct Token {
    /// Name of the account; a new name creates a new account [default: the local account].
    #[arg(long, value_name = "NAME", value_parser = parse_subject)]
    sub: Option<String>,
    /// Role, such as super_admin.
    #[arg(long)]
    role: Option<String>,
    /// Lifetime of the token: a number followed by s, m, h or d.
    #[arg(long, default_value = "30d", value_parser = parse_lifetime)]
    ttl: Duration,
}

impl Token {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        let config = settings.config()?;
        let signer = Signer::find(&config).await?;
        let account = self.sub.as_deref().map_or_else(
            || "the local account".to_owned(),
            |subject| format!("the account {}", one_line(subject)),
        );
        let token = signer.sign(&Grant {
            subject: self.sub.unwrap_or_else(|| LOCAL_SUBJECT.to_owned()),
            role: self.role,
            lifetime: self.ttl,
        })?;
        Output::new().line(&token)?;
        remark(&format!("a token for {account}, signed with {}", signer.source()));
        Ok(Outcome::Success)
    }
}

/// Refuses a name that the server would refuse in a token.
fn parse_subject(text: &str) -> Result<String, String> {
    if jwt::is_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "a name must have 1 to {} bytes and no control characters",
        jwt::MAX_NAME_BYTES
    ))
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let invalid = || format!("{text} is not a duration such as 90s, 15m, 12h or 30d");
    let unit = match text.chars().next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(invalid()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| invalid())?;
    let seconds = number
        .checked_mul(unit)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(invalid)?;
    Ok(Duration::from_secs(seconds))
}
