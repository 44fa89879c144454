//! Checks the limits of plans. The `admit` functions compare the account's current usage with its plan, and fail if
//! the plan does not allow the request. The API documentation fixes the wording of these errors.
//!
//! The calling function must have locked the account in its transaction, so that the usage is current.

use std::{collections::BTreeSet, time::Duration};

use uuid::Uuid;

use crate::{
    config::{Http, Limits, ModelTable, Tier, Worker},
    error::{Code, Error, ErrorDetails, Result},
};

/// The API documentation fixes this wording.
pub const INSUFFICIENT_CREDITS: &str = "Billing check failed: Insufficient credits";

#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub tier: &'a Tier,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub struct StartRequest<'a> {
    /// Model of the request or else of the agent; `None` for the tier's default model.
    pub model: Option<&'a str>,
    pub makes_thread: bool,
    pub makes_project: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Threads of the unfinished runs, one entry per run.
    pub running_threads: Vec<Uuid>,
    pub threads: i64,
    pub projects: i64,
    /// Millionths of a credit that can still be reserved; `None` if the model is free.
    pub microcredits: Option<i64>,
}

/// Permission to create a run with a model. Only [`admit`] and [`Plan::model`] construct an `Admission`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    model: String,
    downgraded_from: Option<String>,
}

impl Admission {
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The requested model, if the plan replaced it.
    pub fn downgraded_from(&self) -> Option<&str> {
        self.downgraded_from.as_deref()
    }
}

impl Plan<'_> {
    pub fn limit(&self, limit: Option<i32>) -> Option<i32> {
        match self.limits {
            Limits::On => limit,
            Limits::Off => None,
        }
    }

    /// Maximum size of an uploaded file in bytes. Without plan limits, this is the maximum form size.
    pub fn largest_upload(&self, http: &Http) -> u64 {
        match self.limits {
            Limits::On => self.tier.max_upload_bytes,
            Limits::Off => http.max_form_bytes,
        }
    }

    /// Maximum duration of a run. If plan limits are off or the tier has no timeout, the worker's timeout applies.
    pub fn run_timeout(&self, worker: &Worker) -> Duration {
        let seconds = match self.limits {
            Limits::On => self.tier.run_timeout_seconds,
            Limits::Off => None,
        };
        Duration::from_secs(seconds.unwrap_or(worker.run_timeout_seconds))
    }

    /// Chooses the model of a run: the requested model, its replacement under the plan, or the tier's default.
    ///
    /// # Errors
    /// `UNKNOWN_MODEL`, or `MODEL_ACCESS_DENIED` with the wording fixed by the API documentation.
    pub fn model(&self, asked: Option<&str>, models: &ModelTable) -> Result<Admission> {
        let name = asked.unwrap_or(&self.tier.default_model);
        let model = models.load(name)?;
        let admitted = |model: &str, from: Option<&str>| Admission {
            model: model.to_owned(),
            downgraded_from: from.map(str::to_owned),
        };
        if self.limits == Limits::Off || self.tier.includes(&model.name) {
            return Ok(admitted(&model.name, None));
        }
        if let Some(instead) = self.tier.downgrades.get(&model.name) {
            return Ok(admitted(instead, Some(name)));
        }
        let details = ErrorDetails {
            tier_name: Some(self.tier.name.clone()),
            ..ErrorDetails::default()
        };
        let message = format!(
            "Your current subscription plan does not include access to {name}. Please upgrade your subscription."
        );
        Err(Error::new(Code::ModelAccessDenied, message).with_details(details))
    }
}

/// Decides whether a run may start. The API documentation fixes the order of the checks.
///
/// # Errors
/// The error of the first check that fails.
pub fn admit(plan: &Plan<'_>, models: &ModelTable, ask: &StartRequest<'_>, load: &Load) -> Result<Admission> {
    let admission = plan.model(ask.model, models)?;
    if load.microcredits.is_some_and(|microcredits| microcredits <= 0) {
        return Err(Error::new(Code::InsufficientCredits, INSUFFICIENT_CREDITS));
    }
    if ask.makes_thread {
        count(
            Code::ThreadLimitExceeded,
            "threads",
            load.threads,
            plan.limit(plan.tier.threads),
        )?;
    }
    if ask.makes_project {
        count(
            Code::ProjectLimitExceeded,
            "projects",
            load.projects,
            plan.limit(plan.tier.projects),
        )?;
    }
    slots(&load.running_threads, plan.limit(plan.tier.concurrent_runs))?;
    Ok(admission)
}

/// `makes_project` says whether a project is created too.
///
/// # Errors
/// `THREAD_LIMIT_EXCEEDED`, `PROJECT_LIMIT_EXCEEDED`.
pub fn admit_thread(plan: &Plan<'_>, load: &Load, makes_project: bool) -> Result<()> {
    count(
        Code::ThreadLimitExceeded,
        "threads",
        load.threads,
        plan.limit(plan.tier.threads),
    )?;
    let projects = if makes_project {
        plan.limit(plan.tier.projects)
    } else {
        None
    };
    count(Code::ProjectLimitExceeded, "projects", load.projects, projects)
}

/// `agents` is the account's current number of agents.
///
/// # Errors
/// `AGENT_LIMIT_EXCEEDED` with the wording fixed by the API documentation.
pub fn admit_agent(plan: &Plan<'_>, agents: i64) -> Result<()> {
    let Some(limit) = plan.limit(plan.tier.agents).filter(|limit| agents >= i64::from(*limit)) else {
        return Ok(());
    };
    let message = format!("Maximum of {limit} agents allowed for your current plan. You have {agents} agents.");
    let details = ErrorDetails {
        current_count: Some(shown(agents)),
        limit: Some(limit),
        tier_name: Some(plan.tier.name.clone()),
        ..ErrorDetails::default()
    };
    Err(Error::new(Code::AgentLimitExceeded, message).with_details(details))
}

fn count(code: Code, what: &str, current: i64, limit: Option<i32>) -> Result<()> {
    let Some(limit) = limit.filter(|limit| current >= i64::from(*limit)) else {
        return Ok(());
    };
    let details = ErrorDetails {
        current_count: Some(shown(current)),
        limit: Some(limit),
        ..ErrorDetails::default()
    };
    Err(Error::new(code, format!("Maximum of {limit} {what} allowed.")).with_details(details))
}

fn slots(running: &[Uuid], limit: Option<i32>) -> Result<()> {
    let count = i32::try_from(running.len()).unwrap_or(i32::MAX);
    let Some(limit) = limit.filter(|limit| count >= *limit) else {
        return Ok(());
    };
    // List each thread once, ordered by its first run.
    let mut seen = BTreeSet::new();
    let threads = running.iter().filter(|thread_id| seen.insert(**thread_id));
    let details = ErrorDetails {
        running_thread_ids: threads.map(Uuid::to_string).collect(),
        running_count: Some(count),
        limit: Some(limit),
        ..ErrorDetails::default()
    };
    let message = format!("Maximum of {limit} concurrent runs. You have {count} running.");
    Err(Error::new(Code::AgentRunLimitExceeded, message).with_details(details))
}

fn shown(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic fails the test")]

    use super::*;
    use crate::config::Config;

    fn decide(tier: &str, limits: Limits, model: Option<&str>, load: &Load) -> Result<Admission> {
        let config = Config::parse("test", "").unwrap();
        let tiers = config.tier_table();
        let plan = Plan {
            tier: tiers.load(tier),
            limits,
        };
        admit(
            &plan,
            &config.model_table(),
            &StartRequest {
                model,
                makes_thread: true,
                makes_project: true,
            },
            load,
        )
    }

    #[test]
    fn the_last_free_slot_is_given_and_the_next_refused() {
        let one = Load {
            running_threads: vec![Uuid::from_u128(7)],
            ..Load::default()
        };
        assert!(decide("free", Limits::On, None, &Load::default()).is_ok());
        let refused = decide("free", Limits::On, None, &one).unwrap_err();
        assert_eq!(refused.code(), Code::AgentRunLimitExceeded);
        assert_eq!(refused.message(), "Maximum of 1 concurrent runs. You have 1 running.");
        assert!(decide("pro", Limits::On, None, &one).is_ok());
        assert!(decide("free", Limits::Off, None, &one).is_ok());
    }

    #[test]
    fn with_limits_off_the_timeout_and_file_size_come_from_the_configuration() {
        let config = Config::parse("test", "").unwrap();
        let tier = Tier {
            run_timeout_seconds: Some(7),
            ..config.tiers[0].clone()
        };
        let plan = |limits| Plan { tier: &tier, limits };
        let of = |plan: Plan<'_>| {
            (
                plan.run_timeout(&config.worker).as_secs(),
                plan.largest_upload(&config.http),
            )
        };
        assert_eq!(of(plan(Limits::On)), (7, tier.max_upload_bytes));
        assert_eq!(
            of(plan(Limits::Off)),
            (config.worker.run_timeout_seconds, config.http.max_form_bytes)
        );
        let without = Plan {
            tier: &config.tiers[0],
            limits: Limits::On,
        };
        assert_eq!(of(without).0, config.worker.run_timeout_seconds);
    }

    #[test]
    fn a_thread_with_several_runs_is_named_once() {
        let [one, two] = [7, 3].map(Uuid::from_u128);
        let load = Load {
            running_threads: vec![one, two, one],
            ..Load::default()
        };
        let refused = decide("pro", Limits::On, None, &load).unwrap_err();
        let details = refused.details().unwrap();
        assert_eq!(details.running_thread_ids, [one.to_string(), two.to_string()]);
        assert_eq!(details.running_count, Some(3));
    }

    #[test]
    fn a_model_outside_the_plan_is_downgraded_or_refused() {
        let free = |model| decide("free", Limits::On, Some(model), &Load::default());
        let downgraded = free("kortix/basic").unwrap();
        assert_eq!(
            (downgraded.model(), downgraded.downgraded_from()),
            ("kortix/minimax", Some("kortix/basic"))
        );
        let refused = free("openai/gpt-5-nano-2025-08-07").unwrap_err();
        assert_eq!(refused.code(), Code::ModelAccessDenied);
        assert_eq!(
            refused.message(),
            "Your current subscription plan does not include access to openai/gpt-5-nano-2025-08-07. Please upgrade your subscription."
        );
        assert_eq!(free("nobody/knows").unwrap_err().code(), Code::UnknownModel);
        assert!(decide("enterprise", Limits::On, Some("openai/gpt-5-nano"), &Load::default()).is_ok());
    }

    #[test]
    fn threads_and_projects_are_counted_before_slots() {
        let full = Load {
            running_threads: vec![Uuid::from_u128(7)],
            threads: 10,
            projects: 20,
            microcredits: Some(0),
        };
        assert_eq!(
            decide("free", Limits::On, None, &full).unwrap_err().code(),
            Code::InsufficientCredits
        );
        let full = Load {
            microcredits: Some(1),
            ..full
        };
        assert_eq!(
            decide("free", Limits::On, None, &full).unwrap_err().code(),
            Code::ThreadLimitExceeded
        );
        let threads = Load { threads: 9, ..full };
        assert_eq!(
            decide("free", Limits::On, None, &threads).unwrap_err().code(),
            Code::ProjectLimitExceeded
        );
    }
}
