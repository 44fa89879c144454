//! Creates one object of every kind that an account can own and, for every method, a request with the ids of these
//! objects. If a method has no request here, the tests that iterate over the contract fail.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor};
use reqwest::multipart::{Form, Part};
use runyard_upstream::{Call, Received, Script, Turn};
use serde_json::{Value, json};
use uuid::Uuid;

use super::archives;
use crate::test_server::{Answer, Caller};

/// Methods that are not implemented yet. The tests fail if the server implements one of them.
pub const LATER: &[&str] = &[];

/// Fields that are named like ids but do not identify an object, each with its meaning.
const NOT_IDS: &[(&str, &str)] = &[(
    "request_id",
    "an idempotency key that the client chooses, valid within its own account",
)];

#[derive(Clone, Debug)]
pub struct Belongings {
    /// The ids of the objects, keyed by the name of the request field.
    ids: BTreeMap<&'static str, String>,
}

impl Belongings {
    pub async fn of(caller: &Caller) -> Self {
        let body = json!({"name": "An agent", "system_prompt": "First.", "tags": ["one"]});
        let agent = caller.post("/agents", body).await.ok();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (agent_id, version_id) = (text(&agent["agent_id"]), text(&agent["current_version_id"]));
        let path = format!("/agents/{agent_id}/versions");
        let second = caller.post(&path, json!({"system_prompt": "Second."})).await;
        let other_version_id = match second.status {
            200 => text(&second.json()["version_id"]),
            _ => version_id.clone(),
        };
        let form = Form::new()
            .text("prompt", "Look at notes.txt.")
            .part("files", Part::bytes(b"noted\n".to_vec()).file_name("notes.txt"));
        let run = caller.form("/agent/start", form).await.ok();
        caller.ended(&run).await;
        let key = caller
            .post("/api-keys", json!({"name": "A key", "scopes": ["read"]}))
            .await;
        let key_id = match key.status {
            200 => text(&key.json()["api_key"]["key_id"]),
            _ => Uuid::now_v7().to_string(),
        };
        let skill = archives::skill("a-skill", "Belongs to an account.");
        let skill = caller.post("/skills", json!({"archive": BASE64.encode(skill)})).await;
        let skill_id = match skill.status {
            200 => text(&skill.json()["skill_id"]),
            _ => Uuid::now_v7().to_string(),
        };
        let account = caller.get("/billing/account-state").await;
        let account_id = match account.status {
            200 => text(&account.json()["account_id"]),
            _ => Uuid::now_v7().to_string(),
        };
        let memory = caller
            .post("/memories", json!({"agent_id": agent_id, "text": "A fact."}))
            .await;
        let memory_id = match memory.status {
            200 => text(&memory.json()["memory_id"]),
            _ => Uuid::now_v7().to_string(),
        };
        let (waiting_run_id, input_id) = waiting(caller).await;
        let (webhook_id, delivery_id) = webhook(caller).await;
        let schedule = json!({"name": "Yearly", "cron": "0 0 1 1 *", "prompt": "Go.", "agent_id": agent_id});
        let schedule = caller.post("/schedules", schedule).await;
        let schedule_id = match schedule.status {
            200 => text(&schedule.json()["schedule_id"]),
            _ => Uuid::now_v7().to_string(),
        };
        let secret = json!({"name": "KEY", "value": "a secret value"});
        let secret = caller.post("/secrets", secret).await;
        let secret_id = match secret.status {
            200 => text(&secret.json()["secret_id"]),
            _ => Uuid::now_v7().to_string(),
        };
        let trigger = json!({"name": "Hook", "prompt": "{{body}}", "agent_id": agent_id});
        let trigger = caller.post("/triggers", trigger).await;
        let trigger_id = match trigger.status {
            200 => text(&trigger.json()["trigger_id"]),
            _ => Uuid::now_v7().to_string(),
        };
        let shares = format!("/threads/{}/shares", text(&run["thread_id"]));
        let share = caller.post(&shares, json!({})).await;
        let (share_id, share_token) = match share.status {
            200 => (text(&share.json()["share"]["share_id"]), text(&share.json()["token"])),
            _ => (Uuid::now_v7().to_string(), String::new()),
        };
        let ids = BTreeMap::from([
            ("share_id", share_id),
            ("share_token", share_token),
            ("trigger_id", trigger_id),
            ("secret_id", secret_id),
            ("waiting_run_id", waiting_run_id),
            ("input_id", input_id),
            ("schedule_id", schedule_id),
            ("webhook_id", webhook_id),
            ("delivery_id", delivery_id),
            ("memory_id", memory_id),
            ("agent_id", agent_id),
            ("version_id", version_id),
            ("expected_version_id", other_version_id.clone()),
            ("other_version_id", other_version_id),
            ("agent_run_id", text(&run["agent_run_id"])),
            ("parent_run_id", text(&run["agent_run_id"])),
            ("thread_id", text(&run["thread_id"])),
            ("project_id", text(&run["project_id"])),
            ("sandbox_id", text(&run["sandbox_id"])),
            ("upload_id", upload(caller).await),
            ("files", upload(caller).await),
            ("key_id", key_id),
            ("skill_id", skill_id),
            ("account_id", account_id),
        ]);
        Self { ids }
    }

    pub fn id(&self, field: &str) -> &str {
        let id = self.ids.get(field);
        id.unwrap_or_else(|| panic!("no id for the field {field}; add one to Belongings"))
    }

    pub fn request(&self, method: &MethodDescriptor) -> Value {
        let id = |field: &str| json!(self.id(field));
        let version = || json!({"agent_id": id("agent_id"), "version_id": id("version_id")});
        let sandbox = |path: &str| json!({"sandbox_id": id("sandbox_id"), "path": path});
        match method.name() {
            "CreateAgent" => json!({"name": "Another agent", "icon_color": "#6366F1", "tags": ["two"]}),
            "UpdateAgent" => json!({
                "agent_id": id("agent_id"), "name": "Renamed", "expected_version_id": id("expected_version_id"),
            }),
            "GetAgent" | "DeleteAgent" | "ListAgentVersions" | "ListAgentTools" | "ListMemories" => {
                json!({"agent_id": id("agent_id")})
            }
            "CreateAgentVersion" => json!({"agent_id": id("agent_id"), "system_prompt": "Third."}),
            "GetAgentVersion" | "ActivateAgentVersion" | "RollbackAgentVersion" => version(),
            "CompareAgentVersions" => json!({
                "agent_id": id("agent_id"), "version_id": id("version_id"), "other_version_id": id("other_version_id"),
            }),
            "TestMcpServer" => json!({
                "server": {"name": "box", "type": "MCP_TRANSPORT_STDIO", "command": "true"}, "agent_id": id("agent_id"),
            }),
            "GenerateAgentIcon" => json!({"name": "Code Assistant"}),
            "StartRun" => json!({
                "prompt": "Go on.", "thread_id": id("thread_id"), "project_id": id("project_id"),
                "agent_id": id("agent_id"), "files": [id("files")], "mode": "chat",
            }),
            "GetRun" | "StopRun" | "StreamRun" => json!({"agent_run_id": id("agent_run_id")}),
            "StreamRuns" => json!({"runs": [{"agent_run_id": id("agent_run_id")}]}),
            "ListRuns" => {
                json!({"thread_id": id("thread_id"), "status": "completed", "parent_run_id": id("parent_run_id")})
            }
            "ListUsage" => json!({"thread_id": id("thread_id"), "agent_run_id": id("agent_run_id")}),
            "CreateThread" => json!({"project_id": id("project_id"), "name": "Another thread"}),
            "GetThread" | "DeleteThread" | "ListMessages" | "SuggestThreadTitle" | "CreateShare" | "ListShares" => {
                json!({"thread_id": id("thread_id")})
            }
            "UpdateThread" => json!({"thread_id": id("thread_id"), "name": "Renamed"}),
            "AddMessage" => json!({"thread_id": id("thread_id"), "content": "By the way."}),
            "RevokeShare" => json!({"share_id": id("share_id")}),
            "GetSharedThread" | "ListSharedMessages" => json!({"token": id("share_token")}),
            "GetProject" | "DeleteProject" | "ListThreads" => json!({"project_id": id("project_id")}),
            "GetSandbox" => json!({"sandbox_id": id("sandbox_id")}),
            "ListFiles" => sandbox(""),
            "ReadFile" | "DeleteFile" => sandbox("notes.txt"),
            "WriteFile" => json!({
                "sandbox_id": id("sandbox_id"), "path": "kept.txt", "upload_id": id("upload_id"),
            }),
            "CreateUpload" => json!({"name": "more.txt", "size": 4}),
            "UploadChunk" => json!({"upload_id": id("upload_id"), "offset": 0, "data": BASE64.encode("hello")}),
            "AnswerInput" => json!({
                "agent_run_id": id("waiting_run_id"),
                "answers": [{"input_id": id("input_id"), "decision": "INPUT_DECISION_RESULT", "text": "Found."}],
            }),
            "ListPendingInputs" => json!({"agent_run_id": id("waiting_run_id")}),
            "GetInput" => json!({"input_id": id("input_id")}),
            "CreateApiKey" => json!({"name": "Another key", "scopes": ["read"]}),
            "CreateSkill" => json!({"files": [id("files")]}),
            "GetSkill" | "DeleteSkill" => json!({"skill_id": id("skill_id")}),
            "RevokeApiKey" => json!({"key_id": id("key_id")}),
            "CreateAccount" => json!({"subject": "a new subject"}),
            "GetAccount" | "SuspendAccount" | "ResumeAccount" | "ListAccountUsage" => {
                json!({"account_id": id("account_id")})
            }
            "SetAccountTier" => json!({"account_id": id("account_id"), "tier_name": "pro"}),
            "GrantCredits" => json!({"account_id": id("account_id"), "credits": 100, "reason": "a test"}),
            "CreateMemory" => json!({"agent_id": id("agent_id"), "text": "Another fact."}),
            "UpdateMemory" => json!({"memory_id": id("memory_id"), "text": "A changed fact."}),
            "GetMemory" | "DeleteMemory" => json!({"memory_id": id("memory_id")}),
            "CreateSchedule" => json!({
                "name": "Another", "cron": "0 0 1 1 *", "prompt": "Go.", "agent_id": id("agent_id"),
                "thread_id": id("thread_id"),
            }),
            "UpdateSchedule" => json!({
                "schedule_id": id("schedule_id"), "agent_id": id("agent_id"), "thread_id": id("thread_id"),
            }),
            "GetSchedule" | "DeleteSchedule" | "PauseSchedule" | "ResumeSchedule" | "RunScheduleNow"
            | "ListScheduleRuns" => json!({"schedule_id": id("schedule_id")}),
            "CreateSecret" => json!({"name": "ANOTHER", "value": "another secret value"}),
            "UpdateSecret" => json!({"secret_id": id("secret_id"), "value": "a changed value"}),
            "DeleteSecret" => json!({"secret_id": id("secret_id")}),
            "CreateTrigger" => json!({
                "name": "Another", "prompt": "{{body}}", "agent_id": id("agent_id"), "thread_id": id("thread_id"),
            }),
            "UpdateTrigger" => json!({
                "trigger_id": id("trigger_id"), "agent_id": id("agent_id"), "thread_id": id("thread_id"),
            }),
            "GetTrigger" | "DeleteTrigger" | "RotateTriggerSecret" => json!({"trigger_id": id("trigger_id")}),
            "CreateWebhook" => json!({"url": "https://example.com/hook", "events": ["run.completed"]}),
            "UpdateWebhook" => json!({"webhook_id": id("webhook_id"), "enabled": false}),
            "GetWebhook" | "DeleteWebhook" | "RotateWebhookSecret" | "TestWebhook" | "ListWebhookDeliveries" => {
                json!({"webhook_id": id("webhook_id")})
            }
            "RedeliverWebhookDelivery" => json!({
                "webhook_id": id("webhook_id"), "delivery_id": id("delivery_id"),
            }),
            "ListWebhooks" | "ListSchedules" | "ListTriggers" | "ListSecrets" | "ListAgents" | "ListModes"
            | "ListSkills" | "ListAccounts" | "ListActiveRuns" | "ListProjects" | "GetAccountState" | "ListApiKeys" => {
                json!({})
            }
            name => panic!("{name} has no request in the table; add one, so that its ids are tested"),
        }
    }
}

/// Returns a model that calls the client tool `look_up` if a run has it, and otherwise answers with `turn`.
pub fn looks_up(turn: impl Fn(&Received) -> Turn + Send + Sync + 'static) -> Script {
    Script::function(move |request| {
        let calls = request.tool_names().contains(&"look_up") && request.messages().last().is_some_and(is_prompt);
        if calls {
            Turn::calls([Call::new("look_up", &json!({"word": "tree"}))])
        } else {
            turn(request)
        }
    })
}

fn is_prompt(message: &Value) -> bool {
    message["role"] == "user"
}

/// Starts a run with a client tool. Returns the ids of the run and of its pending input. If the model does not call the
/// tool, the second id is random.
pub async fn waiting(caller: &Caller) -> (String, String) {
    let body = json!({"prompt": "Look it up.", "tools": [{"name": "look_up"}], "mode": "chat"});
    let run = caller.post("/agent/start", body).await.ok();
    let run_id = run["agent_run_id"].as_str().unwrap().to_owned();
    loop {
        let state = caller.get(&format!("/agent-run/{run_id}")).await.ok()["status"].clone();
        if state == "waiting" {
            let listed = caller.get(&format!("/inputs?agent_run_id={run_id}")).await.ok();
            return (run_id, listed["inputs"][0]["input_id"].as_str().unwrap().to_owned());
        }
        if state != "running" {
            return (run_id, Uuid::now_v7().to_string());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Creates a webhook that no request can reach, and a delivery. Returns their ids; random ids if the caller may not
/// create a webhook.
async fn webhook(caller: &Caller) -> (String, String) {
    let body = json!({"url": "https://localhost:1/hook"});
    let made = caller.post("/webhooks", body).await;
    if made.status != 200 {
        return (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    }
    let webhook_id = made.json()["webhook_id"].as_str().unwrap().to_owned();
    let sent = caller
        .post(&format!("/webhooks/{webhook_id}/test"), json!({}))
        .await
        .ok();
    (webhook_id, sent["delivery_id"].as_str().unwrap().to_owned())
}

async fn upload(caller: &Caller) -> String {
    let made = caller.post("/uploads", json!({"name": "up.txt", "size": 5})).await.ok();
    let id = made["upload_id"].as_str().unwrap().to_owned();
    let body = json!({"offset": 0, "data": BASE64.encode("hello")});
    let request = caller.request("PUT", &format!("/uploads/{id}")).json(&body);
    Answer::of(request.send().await.unwrap()).await.ok();
    id
}

#[derive(Clone, Debug)]
pub struct IdField {
    pub pointer: String,
    pub name: String,
}

pub fn id_fields(message: &MessageDescriptor) -> Vec<IdField> {
    let mut found = Vec::new();
    for field in message.fields() {
        let name = field.name().to_owned();
        let first = if field.is_list() { "/0" } else { "" };
        match field.kind() {
            Kind::String => {
                let is_id = name.ends_with("_id") || name.ends_with("_ids") || name == "files";
                if is_id && NOT_IDS.iter().all(|(other, _)| *other != name) {
                    found.push(IdField {
                        pointer: format!("/{name}{first}"),
                        name,
                    });
                }
            }
            // Only messages of the `runyard` packages contain ids of the service.
            Kind::Message(inner) if inner.full_name().starts_with("runyard.") && !field.is_map() => {
                found.extend(id_fields(&inner).into_iter().map(|below| IdField {
                    pointer: format!("/{name}{first}{}", below.pointer),
                    name: below.name,
                }));
            }
            _ => {}
        }
    }
    found
}
