//! Tests of skills over gRPC, JSON and forms: storing, reading, versions, deleting, limits and attaching to agents.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use reqwest::multipart::{Form, Part};
use runyard::v1;
use runyard_client::v1::skill_service_client::SkillServiceClient;
use runyard_upstream::Turn;
use serde_json::{Value, json};

use super::archives::{self, file, folder, skill_file, zip};
use crate::test_server::{Answer, Caller, on_every_database, on_every_database_with};

async fn upload(caller: &Caller, archive: Vec<u8>) -> Answer {
    caller.post("/skills", json!({"archive": BASE64.encode(archive)})).await
}

fn names(listed: &Value) -> Vec<&str> {
    let skills = listed["skills"].as_array().unwrap();
    skills.iter().map(|skill| skill["name"].as_str().unwrap()).collect()
}

fn large() -> Vec<u8> {
    let text = "---\nname: csv-report\ndescription: >\n  Makes reports\n  from CSV files.\nlicense: MIT\ncompatibility: Needs Python 3.\nmetadata:\n  author: Ann\n  version: \"1.0\"\nallowed-tools: bash read\n---\n\n# Steps\n\nRun scripts/run.sh.\n";
    let mut script = file("csv-report/scripts/run.sh", "echo ran\n");
    script.mode = 0o100_755;
    zip(&[folder("csv-report/"), file("csv-report/SKILL.md", text), script])
}

#[tokio::test]
async fn a_skill_is_stored_and_shown_with_all_its_fields() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let stored = upload(&caller, large()).await.ok();
            assert_eq!((&stored["name"], &stored["version"]), (&json!("csv-report"), &json!(1)));
            assert_eq!(stored["description"], "Makes reports from CSV files.\n");
            assert_eq!(
                (&stored["license"], &stored["compatibility"]),
                (&json!("MIT"), &json!("Needs Python 3."))
            );
            assert_eq!(stored["metadata"], json!({"author": "Ann", "version": "1.0"}));
            assert_eq!(stored["allowed_tools"], json!(["bash", "read"]));
            assert_eq!(stored["instructions"], "# Steps\n\nRun scripts/run.sh.");
            assert_eq!(
                stored["files"][1],
                json!({"path": "scripts/run.sh", "size": 9, "executable": true})
            );
            assert_eq!(stored["files"][0]["executable"], false);
            let path = format!("/skills/{}", stored["skill_id"].as_str().unwrap());
            assert_eq!(caller.get(&path).await.ok(), stored);
            let listed = caller.get("/skills").await.ok();
            assert_eq!(names(&listed), ["csv-report"]);
            assert_eq!(listed["skills"][0]["instructions"], "");
        },
    )
    .await;
}

#[tokio::test]
async fn forms_uploads_and_grpc_store_the_same_skill() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let archive = large();
            let form = Form::new().part("files", Part::bytes(archive.clone()).file_name("csv-report.zip"));
            let first = caller.form("/skills", form).await.ok();
            let made = json!({"name": "s.zip", "size": archive.len()});
            let upload_id = caller.post("/uploads", made).await.ok()["upload_id"].clone();
            let chunk = json!({"offset": 0, "data": BASE64.encode(&archive)});
            let path = format!("/uploads/{}", upload_id.as_str().unwrap());
            Answer::of(caller.request("PUT", &path).json(&chunk).send().await.unwrap())
                .await
                .ok();
            let again = caller.post("/skills", json!({"files": [upload_id.clone()]})).await.ok();
            assert_eq!(again, first, "an identical archive changes nothing");
            let gone = caller.post("/skills", json!({"files": [upload_id.clone()]})).await;
            gone.refused(404, "UPLOAD_NOT_FOUND");
            let mut client = SkillServiceClient::new(caller.channel().await);
            let request = v1::CreateSkillRequest {
                archive: archive.into(),
                files: Vec::new(),
            };
            let third = client.create_skill(caller.signed(request)).await.unwrap().into_inner();
            assert_eq!(
                (third.skill_id.as_str(), third.version),
                (first["skill_id"].as_str().unwrap(), 1)
            );
            let both = json!({"files": [upload_id], "archive": "eA=="});
            caller.post("/skills", both).await.refused(400, "INVALID_REQUEST");
            caller.post("/skills", json!({})).await.refused(400, "INVALID_REQUEST");
        },
    )
    .await;
}

#[tokio::test]
async fn a_new_archive_is_the_next_version_and_versions_can_be_deleted() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            for (description, version) in [("One.", 1), ("Two.", 2), ("Three.", 3)] {
                let stored = upload(&caller, archives::skill("a", description)).await.ok();
                assert_eq!(
                    (&stored["version"], &stored["current_version"]),
                    (&json!(version), &json!(version))
                );
            }
            let listed = caller.get("/skills").await.ok();
            assert_eq!(
                (names(&listed).len(), &listed["skills"][0]["description"]),
                (1, &json!("Three."))
            );
            let path = format!("/skills/{}", listed["skills"][0]["skill_id"].as_str().unwrap());
            let first = caller.get(&format!("{path}?version=1")).await.ok();
            assert_eq!(
                (&first["description"], &first["current_version"]),
                (&json!("One."), &json!(3))
            );
            let numbers = |skill: &Value| -> Vec<i64> {
                let versions = skill["versions"].as_array().unwrap();
                versions
                    .iter()
                    .map(|version| version["version"].as_i64().unwrap())
                    .collect()
            };
            assert_eq!(numbers(&first), [3, 2, 1]);
            let delete = async |query: &str| {
                Answer::of(
                    caller
                        .request("DELETE", &format!("{path}{query}"))
                        .send()
                        .await
                        .unwrap(),
                )
                .await
            };
            delete("?version=3").await.ok();
            let current = caller.get(&path).await.ok();
            assert_eq!(
                (&current["description"], numbers(&current)),
                (&json!("Two."), vec![2, 1])
            );
            delete("?version=3").await.refused(404, "SKILL_NOT_FOUND");
            assert_eq!(upload(&caller, archives::skill("a", "Three.")).await.ok()["version"], 4);
            delete("").await.ok();
            caller.get(&path).await.refused(404, "SKILL_NOT_FOUND");
            assert!(names(&caller.get("/skills").await.ok()).is_empty());
            for table in ["skills", "skill_versions", "skill_contents"] {
                assert_eq!(
                    server.number(&format!("SELECT COUNT(*) FROM {table}")).await,
                    0,
                    "{table}"
                );
            }
            let again = upload(&caller, archives::skill("a", "Again.")).await.ok();
            assert_eq!(again["version"], 1);
        },
    )
    .await;
}

#[tokio::test]
async fn skills_of_accounts_are_separate() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let anns = upload(&ann, archives::skill("same", "Ann's.")).await.ok();
            let bobs = upload(&bob, archives::skill("same", "Bob's.")).await.ok();
            assert_ne!(anns["skill_id"], bobs["skill_id"]);
            let path = format!("/skills/{}", anns["skill_id"].as_str().unwrap());
            bob.get(&path).await.refused(404, "SKILL_NOT_FOUND");
            let deleted = Answer::of(bob.request("DELETE", &path).send().await.unwrap()).await;
            deleted.refused(404, "SKILL_NOT_FOUND");
            upload(&ann, archives::skill("only-ann", "Ann's.")).await.ok();
            let body = json!({"name": "An agent", "skills": [{"name": "only-ann"}]});
            bob.post("/agents", body.clone()).await.refused(400, "INVALID_REQUEST");
            ann.post("/agents", body).await.ok();
            assert_eq!(names(&bob.get("/skills").await.ok()), ["same"]);
        },
    )
    .await;
}

#[tokio::test]
async fn the_bytes_of_an_account_are_limited() {
    let size = archives::skill("a", "x").len() as u64;
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.skills.max_bytes_per_account = 2 * size,
        async |server| {
            let caller = server.caller("ann");
            upload(&caller, archives::skill("a", "x")).await.ok();
            let second = upload(&caller, archives::skill("b", "x")).await.ok();
            let refused = upload(&caller, archives::skill("c", "x"))
                .await
                .refused(409, "CONFLICT");
            assert!(refused.to_string().contains("delete skills"), "{refused}");
            let path = format!("/skills/{}", second["skill_id"].as_str().unwrap());
            Answer::of(caller.request("DELETE", &path).send().await.unwrap())
                .await
                .ok();
            upload(&caller, archives::skill("c", "x")).await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn an_agent_names_skills_that_exist() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            upload(&caller, archives::skill("a", "x")).await.ok();
            upload(&caller, archives::skill("a", "y")).await.ok();
            let body = json!({"name": "An agent", "skills": [{"name": "a", "version": 1}]});
            let agent = caller.post("/agents", body).await.ok();
            assert_eq!(agent["current_version"]["skills"], json!([{"name": "a", "version": 1}]));
            let path = format!("/agents/{}", agent["agent_id"].as_str().unwrap());
            let put =
                async |body: Value| Answer::of(caller.request("PUT", &path).json(&body).send().await.unwrap()).await;
            for (skills, what) in [
                (json!([{"name": "b"}]), "no skill b"),
                (json!([{"name": "a", "version": 3}]), "no version 3"),
                (json!([{"name": "a"}, {"name": "a"}]), "again"),
                (json!([{"name": "A"}]), "lower-case"),
                (json!([{"name": "a", "version": 0}]), "1 or more"),
                (json!(vec![json!({"name": "a"}); 33]), "at most 32"),
            ] {
                let refused = put(json!({"skills": skills})).await.refused(400, "INVALID_REQUEST");
                assert!(refused.to_string().contains(what), "{what}: {refused}");
            }
            let changed = put(json!({"skills": [{"name": "a"}]})).await.ok();
            assert_eq!(
                changed["current_version"]["skills"],
                json!([{"name": "a", "version": null}])
            );
            assert_eq!(changed["version_count"], 2);
            let kept = put(json!({"system_prompt": "New."})).await.ok();
            assert_eq!(kept["current_version"]["skills"][0]["name"], "a");
            assert_eq!(
                put(json!({"skills": []})).await.ok()["current_version"]["skills"],
                json!([])
            );
        },
    )
    .await;
}

#[tokio::test]
async fn an_unknown_tool_setting_is_refused_with_the_list() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let body = |name: &str| json!({"name": "An agent", "agentpress_tools": {name: {"enabled": false}}});
            let refused = caller
                .post("/agents", body("browser"))
                .await
                .refused(400, "INVALID_REQUEST");
            let text = refused.to_string();
            assert!(
                text.contains("bash, read, write, edit, glob, grep") && text.contains("skills"),
                "{text}"
            );
            let agent = caller.post("/agents", body("skills")).await.ok();
            assert_eq!(agent["agentpress_tools"]["skills"], json!({"enabled": false}));
        },
    )
    .await;
}

#[tokio::test]
async fn the_skill_file_is_checked() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let with = |text: &str| zip(&[file("good/SKILL.md", text)]);
            for (archive, what) in [
                (with("# No front matter"), "two lines that contain only"),
                (with("---\nname: other\ndescription: x\n---\n"), "must be equal"),
                (with("---\nname: good\n---\n"), "description"),
                (with(&"x".repeat(70_000)), "more than 65536"),
                (zip(&[file("good/README.md", "x")]), "no file SKILL.md"),
                (
                    zip(&[skill_file("good", "x"), file("bad.txt", "x")]),
                    "outside a folder",
                ),
                (
                    zip(&[skill_file("good", "x"), file("bad/x.txt", "x")]),
                    "contains the folders",
                ),
            ] {
                let refused = upload(&caller, archive).await.refused(400, "INVALID_REQUEST");
                assert!(refused.to_string().contains(what), "{what}: {refused}");
            }
            upload(&caller, archives::skill("good", "x")).await.ok();
        },
    )
    .await;
}
