//! Seats: a start takes a free place of the worker with it, and nobody goes ahead of a run that waits.

use runyard::{
    accounts::{Scope, of},
    runs::table::{Column, Entity},
};
use runyard_upstream::{Script, Turn};
use sea_orm::{ColumnTrait, QueryFilter};
use serde_json::Value;
use uuid::Uuid;

use super::ask::text;
use crate::house::{House, PATIENCE, everywhere, everywhere_with};

async fn row(house: &House, run: &Value) -> runyard::runs::Run {
    let id: Uuid = text(run, "agent_run_id").parse().unwrap();
    let found = of::<Entity>(Scope::system("a test looks"))
        .filter(Column::Id.eq(id))
        .one(house.app().db.read())
        .await
        .unwrap();
    found.unwrap()
}

fn held() -> impl Fn(&runyard_upstream::Gate) -> Script {
    |gate| {
        let gate = gate.clone();
        Script::function(move |_| Turn::text("Aye.").held_by(&gate))
    }
}

#[tokio::test]
async fn a_start_is_claimed_by_its_own_commit() {
    everywhere(held(), async |house| {
        // The worker has opened its seats and looked for work once.
        let settled = async {
            let app = house.app();
            while app.wake.has_waiting() || app.seats.take().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.unwrap();
        let caller = house.caller("ann");
        let run = caller.start("x").await;
        let started = row(house, &run).await;
        assert!(started.lease_owner.is_some(), "{started:?}");
        assert_eq!((started.lease_epoch, started.started_at), (1, Some(started.created_at)));
        house.gate.open();
        caller.ended(&run).await;
        let ended = row(house, &run).await;
        assert_eq!((ended.lease_owner, ended.lease_epoch), (None, 1));
    })
    .await;
}

#[tokio::test]
async fn nobody_goes_ahead_of_a_run_that_waits() {
    everywhere_with(
        held(),
        |config| config.worker.max_runs = 1,
        async |house| {
            let callers = ["ann", "bob", "cid", "dan"].map(|name| house.caller(name));
            let mut runs = Vec::new();
            for caller in &callers {
                runs.push(caller.start("x").await);
            }
            house.upstream.wait_for(1).await;
            for run in &runs[1..] {
                assert_eq!(row(house, run).await.lease_owner, None, "one run has the only place");
            }
            house.gate.open();
            let mut began = Vec::new();
            for (caller, run) in callers.iter().zip(&runs) {
                caller.ended(run).await;
                began.push(row(house, run).await.started_at.unwrap());
            }
            assert!(began.is_sorted(), "first come, first served: {began:?}");
        },
    )
    .await;
}
