//! Implements the gRPC service `TriggerService`.

pub mod fire;

use futures::FutureExt;
use secrecy::ExposeSecret;
use tonic::{Request, Response, Status};

use super::{caller, mask::Mask, page::Page, traits::runyard::v1::trigger_service_server::TriggerService, write};
use crate::{
    app::App,
    error::Result,
    events::timestamp,
    id,
    runs::saved::{SavedStart, StartChanges},
    triggers::{self, Changes, NewTrigger, Trigger, WithSecret},
    v1,
};

#[derive(Clone)]
pub struct Triggers {
    pub(super) app: App,
}

#[tonic::async_trait]
impl TriggerService for Triggers {
    async fn create_trigger(
        &self,
        request: Request<v1::CreateTriggerRequest>,
    ) -> Result<Response<v1::Trigger>, Status> {
        let (caller, asked) = caller::open(request)?;
        let new = new(asked)?;
        let made = write(&self.app, caller, move |app, caller| {
            triggers::create(app, caller, new).boxed()
        })
        .await?;
        Ok(Response::new(self.shown_with_secret(made)))
    }

    async fn list_triggers(
        &self,
        request: Request<v1::ListTriggersRequest>,
    ) -> Result<Response<v1::ListTriggersResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let rows = triggers::list(self.app.db.read(), caller.scope(), page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListTriggersResponse {
            triggers: rows.into_iter().map(|row| self.shown(row)).collect(),
            next_page_token,
        }))
    }

    async fn get_trigger(&self, request: Request<v1::GetTriggerRequest>) -> Result<Response<v1::Trigger>, Status> {
        let (caller, asked) = caller::open(request)?;
        let trigger_id = id::parse("trigger_id", &asked.trigger_id)?;
        let row = triggers::load(self.app.db.read(), caller.scope(), trigger_id).await?;
        Ok(Response::new(self.shown(row)))
    }

    async fn update_trigger(
        &self,
        request: Request<v1::UpdateTriggerRequest>,
    ) -> Result<Response<v1::Trigger>, Status> {
        let (caller, asked) = caller::open(request)?;
        let trigger_id = id::parse("trigger_id", &asked.trigger_id)?;
        let changes = changes(asked)?;
        let row = write(&self.app, caller, move |app, caller| {
            triggers::update(app, caller, trigger_id, changes).boxed()
        })
        .await?;
        Ok(Response::new(self.shown(row)))
    }

    async fn delete_trigger(&self, request: Request<v1::DeleteTriggerRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let trigger_id = id::parse("trigger_id", &asked.trigger_id)?;
        write(&self.app, caller, move |app, caller| {
            triggers::delete(app, caller, trigger_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }

    async fn rotate_trigger_secret(
        &self,
        request: Request<v1::RotateTriggerSecretRequest>,
    ) -> Result<Response<v1::Trigger>, Status> {
        let (caller, asked) = caller::open(request)?;
        let trigger_id = id::parse("trigger_id", &asked.trigger_id)?;
        let rotated = write(&self.app, caller, move |app, caller| {
            triggers::rotate(app, caller, trigger_id).boxed()
        })
        .await?;
        Ok(Response::new(self.shown_with_secret(rotated)))
    }
}

impl Triggers {
    fn shown_with_secret(&self, made: WithSecret) -> v1::Trigger {
        v1::Trigger {
            secret: Some(made.secret.expose_secret().to_owned()),
            ..self.shown(made.trigger)
        }
    }

    fn shown(&self, row: Trigger) -> v1::Trigger {
        let now = self.app.clock.now();
        v1::Trigger {
            trigger_id: row.id.to_string(),
            name: row.name,
            prompt: row.prompt,
            agent_id: row.agent_id.map(|agent_id| agent_id.to_string()),
            thread_id: row.thread_id.map(|thread_id| thread_id.to_string()),
            model_name: row.model,
            mode: row.mode,
            enabled: row.enabled,
            path: format!("/triggers/{}", row.id),
            secret: None,
            earlier_secret_expires_at: row.earlier_until.filter(|until| *until > now).map(timestamp),
            last_fired_at: row.fired_at.map(timestamp),
            last_run_id: row.run_id.map(|run_id| run_id.to_string()),
            last_thread_id: row.last_thread_id.map(|thread_id| thread_id.to_string()),
            last_error_code: row.error_code.unwrap_or_default(),
            last_error: row.error.unwrap_or_default(),
            created_at: Some(timestamp(row.created_at)),
            updated_at: Some(timestamp(row.updated_at)),
        }
    }
}

fn new(asked: v1::CreateTriggerRequest) -> Result<NewTrigger> {
    Ok(NewTrigger {
        name: asked.name,
        start: SavedStart {
            prompt: asked.prompt,
            agent_id: id::parse_optional("agent_id", &asked.agent_id)?,
            thread_id: id::parse_optional("thread_id", &asked.thread_id)?,
            model: asked.model_name,
            mode: asked.mode,
        },
        enabled: asked.enabled.unwrap_or(true),
    })
}

// A field that the mask contains, but the message does not set, becomes empty.
fn changes(asked: v1::UpdateTriggerRequest) -> Result<Changes> {
    const FIELDS: [&str; 7] = [
        "name",
        "prompt",
        "agent_id",
        "thread_id",
        "model_name",
        "mode",
        "enabled",
    ];
    let mask = Mask::read(asked.update_mask, "a trigger", &["trigger_id"], &FIELDS)?;
    let id_of = |field: &'static str, value: Option<String>| {
        let value = mask.value(field, value);
        value.map(|text| id::parse_optional(field, &text)).transpose()
    };
    Ok(Changes {
        name: mask.value("name", asked.name),
        start: StartChanges {
            prompt: mask.value("prompt", asked.prompt),
            agent_id: id_of("agent_id", asked.agent_id)?,
            thread_id: id_of("thread_id", asked.thread_id)?,
            model: mask.value("model_name", asked.model_name),
            mode: mask.value("mode", asked.mode),
        },
        enabled: mask.value("enabled", asked.enabled),
    })
}
