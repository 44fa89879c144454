//! Check results of `runyard doctor` and `runyard models test`.

use serde::Serialize;

use super::{
    Outcome,
    output::{Output, one_line},
};
use crate::error::Result;

/// If a check is `Bad`, the command exits with status 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warn,
    Bad,
}

/// With `--json`, printed as a JSON object.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) message: String,
}

impl Check {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            message: message.into(),
        }
    }

    pub(super) fn warn(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            ..Self::ok(name, message)
        }
    }

    pub(super) fn bad(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Bad,
            ..Self::ok(name, message)
        }
    }
}

pub(super) struct Report {
    out: Output,
    is_json: bool,
    has_failed: bool,
}

impl Report {
    pub(super) fn new(is_json: bool) -> Self {
        Self {
            out: Output::new(),
            is_json,
            has_failed: false,
        }
    }

    pub(super) fn print(&mut self, check: &Check) -> Result<()> {
        self.has_failed |= check.verdict == Verdict::Bad;
        let line = if self.is_json {
            serde_json::to_string(check).unwrap_or_default()
        } else {
            let verdict = match check.verdict {
                Verdict::Ok => "ok  ",
                Verdict::Warn => "warn",
                Verdict::Bad => "bad ",
            };
            format!("{verdict}  {}: {}", check.name, one_line(&check.message))
        };
        self.out.line(&line)
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.has_failed {
            Outcome::Failure
        } else {
            Outcome::Success
        }
    }
}
