//! What a run takes in memory is given back when it has ended.

use std::time::Duration;

use runyard_upstream::Turn;
use serde_json::json;
use tokio::runtime::Handle;

use crate::house::{House, PATIENCE, everywhere_with};

/// Tasks that are alive, once no run and no stream is held any more.
async fn settled(house: &House, most: usize) -> usize {
    let waiting = async {
        loop {
            let alive = Handle::current().metrics().num_alive_tasks();
            if alive <= most && house.app().hub.is_empty() && house.app().wake.is_idle() {
                return alive;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let settled = tokio::time::timeout(PATIENCE, waiting).await;
    settled.unwrap_or_else(|_| {
        let alive = Handle::current().metrics().num_alive_tasks();
        panic!(
            "{alive} tasks are alive, at most {most} should be; {} rings",
            house.app().hub.len()
        )
    })
}

#[tokio::test]
async fn finished_runs_leave_no_task_and_no_entry_behind() {
    everywhere_with(
        |_| Turn::text("Aye."),
        |config| config.tiers[0].threads = None,
        async |house| {
            let caller = house.caller("ann");
            let run = async |mode: &str| {
                let body = json!({"prompt": "x", "mode": mode});
                let run = caller.post("/agent/start", body).await.ok();
                caller.ended(&run).await;
            };
            // The first ones open connections that stay.
            for _ in 0..3 {
                run("chat").await;
                run("code").await;
            }
            let before = settled(house, usize::MAX).await;
            for _ in 0..20 {
                run("chat").await;
                run("code").await;
            }
            // A connection more or less is no leak; a task for each run is.
            settled(house, before + 4).await;
        },
    )
    .await;
}
