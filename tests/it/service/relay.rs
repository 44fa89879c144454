//! Tests that one server streams the events of a run that another server executes.

use std::time::Duration;

use runyard::server::Server;
use runyard_upstream::Turn;

use crate::test_server::{Answer, Database, TEST_TIMEOUT, TestServer, assert_no_gaps, databases, parse_sse};

#[tokio::test]
async fn events_of_a_run_on_another_server_arrive_through_the_relay() {
    let database = databases()
        .into_iter()
        .find(|database| matches!(database, Database::Postgres(_)));
    let Some(database) = database else { return };
    // The run takes about a second, so the stream first returns stored events and then waits for new ones.
    let slow = Turn::words(40).delay(Duration::from_millis(25));
    let mut server = TestServer::open(&database, vec![slow], |_| {}).await;
    // The second server shares the database and the data folder, and executes no runs.
    let mut config = server.config.clone();
    config.worker.max_runs = 0;
    let second = Server::open(config).await.unwrap();
    let (url, other) = (format!("http://{}", second.address().unwrap()), second.app().clone());
    let running = tokio::spawn(second.run());

    let caller = server.caller("ann");
    let run = caller.start("Go.").await;
    let run_id: uuid::Uuid = run["agent_run_id"].as_str().unwrap().parse().unwrap();
    // The second server does not execute the run. Only its relay, which reads the events of other servers, adds
    // events to this buffer.
    let ring = other.hub.ring(run_id);
    let mut newest = ring.newest();
    let request = server
        .http
        .get(format!("{url}/agent-run/{run_id}/stream"))
        .bearer_auth(&caller.token);
    let reading = tokio::spawn(async move { Answer::of(request.timeout(TEST_TIMEOUT).send().await.unwrap()).await });
    let stream = reading.await.unwrap();
    assert_eq!(stream.status, 200);
    assert_no_gaps(&parse_sse(&stream.text), 1);
    tokio::time::timeout(TEST_TIMEOUT, newest.wait_for(|sequence| *sequence > 1))
        .await
        .expect("the relay should deliver events from the other server")
        .unwrap();
    drop(ring);
    other.stopping.cancel();
    running.await.unwrap().unwrap();
    server.stop().await;
}
