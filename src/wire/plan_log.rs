//! Logs a line when a plan refuses a request. The line tells the operator how to change the account's plan. Only one
//! line is logged per account and hour, because callers can cause any number of refusals.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryFutureExt;
use http::{HeaderMap, Request};
use tonic::{Code as GrpcCode, Status, body::Body};
use tower::{ServiceExt, service_fn};
use tracing::info;
use uuid::Uuid;

use runyard_contract::status::StatusDetails;

use super::{answers::Answers, status};
use crate::{
    accounts::Caller,
    clock::Clock,
    error::{Code, Kind},
};

/// Minimum time between two lines about one account.
const PAUSE: TimeDelta = TimeDelta::hours(1);
/// Maximum number of accounts that are logged within [`PAUSE`].
const MAX_ACCOUNTS: usize = 100;

pub(super) fn log(grpc: impl Answers<Body>, clock: Clock) -> impl Answers<Body> {
    let mentioned = Arc::new(Mentioned {
        clock,
        accounts: Mutex::default(),
    });
    service_fn(move |request: Request<Body>| {
        let account_id = request.extensions().get::<Caller>().map(|caller| caller.account_id);
        let mentioned = Arc::clone(&mentioned);
        grpc.clone().oneshot(request).inspect_ok(move |answer| {
            if let Some(account_id) = account_id {
                mentioned.look(answer.headers(), account_id);
            }
        })
    })
}

/// The accounts that were mentioned in the log, with the time of the last line.
struct Mentioned {
    clock: Clock,
    accounts: Mutex<HashMap<Uuid, DateTime<Utc>>>,
}

impl Mentioned {
    fn look(&self, headers: &HeaderMap, account_id: Uuid) {
        let Some(fault) = refusal(headers) else { return };
        if !self.is_due(account_id) {
            return;
        }
        let error_code = fault.reason.as_ref();
        let error = fault.message.as_str();
        if error_code == Code::InsufficientCredits.as_str() {
            info!(%account_id, error_code, error, "a plan refused a request; RUNYARD_LIMITS=off turns plans off");
        } else {
            info!(
                %account_id, error_code, error,
                "a plan refused a request; `runyard tier TIER --account ID` changes the plan of an account, and \
                 RUNYARD_LIMITS=off turns plans off"
            );
        }
    }

    fn is_due(&self, account_id: Uuid) -> bool {
        let now = self.clock.now();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, at| now - *at < PAUSE);
        if accounts.len() >= MAX_ACCOUNTS || accounts.contains_key(&account_id) {
            return false;
        }
        accounts.insert(account_id, now);
        true
    }
}

/// Reads the error of a response. Returns `None` if no plan refused the request.
fn refusal(headers: &HeaderMap) -> Option<StatusDetails> {
    let status = headers.get("grpc-status")?;
    let may_be = [GrpcCode::ResourceExhausted, GrpcCode::PermissionDenied]
        .iter()
        .any(|code| GrpcCode::from_bytes(status.as_bytes()) == *code);
    if !may_be {
        return None;
    }
    let fault = status::read(&Status::from_header_map(headers)?);
    matches!(fault.kind, Kind::OverPlan | Kind::NotInPlan).then_some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_is_logged_once_per_hour_and_the_number_of_accounts_is_bounded() {
        let mentioned = Mentioned {
            clock: Clock::default(),
            accounts: Mutex::default(),
        };
        let account = |number: usize| Uuid::from_u128(number as u128);
        assert!(mentioned.is_due(account(0)));
        assert!(!mentioned.is_due(account(0)));
        for number in 1..MAX_ACCOUNTS {
            assert!(mentioned.is_due(account(number)), "{number}");
        }
        assert!(!mentioned.is_due(account(MAX_ACCOUNTS)));
        mentioned.clock.advance(std::time::Duration::from_hours(1));
        assert!(mentioned.is_due(account(MAX_ACCOUNTS)) && mentioned.is_due(account(0)));
    }
}
