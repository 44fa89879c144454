//! Tests of memory in runs that another worker resumes.

use runyard_upstream::{Script, Turn};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{
    memories::{remember, texts},
    memories_in_runs::{obedient, results, used},
};
use crate::test_server::{assert_no_gaps, on_every_database};

#[tokio::test]
async fn a_resumed_run_does_not_repeat_the_notice_about_its_memories() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |received| match received.number {
                0 => Turn::words(10).gate_after(3, &gate),
                _ => Turn::text("After all."),
            })
        },
        async |server| {
            let caller = server.caller("ann");
            remember(&caller, "", "Ann likes blue.").await;
            let body = json!({"prompt": "Which colour?", "memory_enabled": true});
            let run = caller.post("/agent/start", body).await.ok();
            server.upstream.wait_for(1).await;
            server.restart().await;
            let events = server.caller("ann").events(&run, 0).await;
            assert_eq!(events.last().unwrap().data["status"]["status"], "completed");
            let resumed = events.iter().filter(|event| event.data["notice"]["kind"] == "resumed");
            assert_eq!(resumed.count(), 1, "{events:#?}");
            assert_eq!(used(&events), ["The model received 1 memory:\n- Ann likes blue."]);
            // The resumed run still has its memories.
            let request = server.upstream.requests().pop().unwrap();
            assert!(request.messages()[0].to_string().contains("Ann likes blue."));
            server.gate.open();
        },
    )
    .await;
}

// The database refuses the result of the tool after the memory was committed. The run is then in the same state as if the
// server had been killed between the two.
#[tokio::test]
async fn a_fact_is_remembered_once_if_the_server_ends_before_the_result_is_recorded() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let outside = server.outside().await;
            let poison = if server.config.database_url.is_some() {
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
                 CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW WHEN (NEW.content LIKE 'Remembered.%')
                 EXECUTE FUNCTION refuse()"
            } else {
                "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.content LIKE 'Remembered.%'
                 BEGIN SELECT RAISE(ABORT, 'refused'); END"
            };
            outside.execute_unprepared(poison).await.unwrap();
            let caller = server.caller("ann");
            let body = json!({"prompt": "remember {\"text\": \"Ann likes blue.\"}", "memory_enabled": true});
            let run = caller.post("/agent/start", body).await.ok();
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(events.last().unwrap().data["status"]["status"], "completed");
            let results = results(&events);
            assert_eq!(results.len(), 1, "{results:?}");
            assert!(results[0].starts_with("interrupted, outcome unknown"), "{results:?}");
            let requests = server.upstream.requests();
            let mut messages = requests.iter().flat_map(runyard_upstream::Received::messages);
            let is_told = |message: &Value| {
                message["role"] == "tool" && message["content"].to_string().contains("interrupted, outcome unknown")
            };
            assert!(messages.any(is_told), "the model is told that the outcome is unknown");
            assert_eq!(texts(&caller, "").await, ["Ann likes blue."]);
            outside.close().await.unwrap();
        },
    )
    .await;
}
