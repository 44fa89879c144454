//! Implements the gRPC service `WebhookService`.

use futures::FutureExt;
use secrecy::ExposeSecret;
use tonic::{Request, Response, Status};

use super::{caller, mask::Mask, page::Page, traits::runyard::v1::webhook_service_server::WebhookService, write};
use crate::{
    app::App,
    error::Result,
    events::timestamp,
    id, v1,
    webhooks::{self, Changes, Delivery, State, Webhook, WithSecret, deliveries, event},
};

#[derive(Clone)]
pub struct Webhooks {
    pub(super) app: App,
}

#[tonic::async_trait]
impl WebhookService for Webhooks {
    async fn create_webhook(
        &self,
        request: Request<v1::CreateWebhookRequest>,
    ) -> Result<Response<v1::Webhook>, Status> {
        let (caller, asked) = caller::open(request)?;
        let made = write(&self.app, caller, move |app, caller| {
            async move { webhooks::create(app, caller, &asked.url, &asked.events).await }.boxed()
        })
        .await?;
        Ok(Response::new(self.shown_with_secret(made)))
    }

    async fn list_webhooks(
        &self,
        request: Request<v1::ListWebhooksRequest>,
    ) -> Result<Response<v1::ListWebhooksResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let rows = webhooks::list(self.app.db.read(), caller.scope(), page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListWebhooksResponse {
            webhooks: rows.into_iter().map(|row| self.shown(row)).collect(),
            next_page_token,
        }))
    }

    async fn get_webhook(&self, request: Request<v1::GetWebhookRequest>) -> Result<Response<v1::Webhook>, Status> {
        let (caller, asked) = caller::open(request)?;
        let webhook_id = id::parse("webhook_id", &asked.webhook_id)?;
        let row = webhooks::load(self.app.db.read(), caller.scope(), webhook_id).await?;
        Ok(Response::new(self.shown(row)))
    }

    async fn update_webhook(
        &self,
        request: Request<v1::UpdateWebhookRequest>,
    ) -> Result<Response<v1::Webhook>, Status> {
        let (caller, asked) = caller::open(request)?;
        let webhook_id = id::parse("webhook_id", &asked.webhook_id)?;
        let changes = changes(asked)?;
        let row = write(&self.app, caller, move |app, caller| {
            webhooks::update(app, caller, webhook_id, changes).boxed()
        })
        .await?;
        Ok(Response::new(self.shown(row)))
    }

    async fn delete_webhook(&self, request: Request<v1::DeleteWebhookRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let webhook_id = id::parse("webhook_id", &asked.webhook_id)?;
        write(&self.app, caller, move |app, caller| {
            webhooks::delete(app, caller, webhook_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<v1::RotateWebhookSecretRequest>,
    ) -> Result<Response<v1::Webhook>, Status> {
        let (caller, asked) = caller::open(request)?;
        let webhook_id = id::parse("webhook_id", &asked.webhook_id)?;
        let rotated = write(&self.app, caller, move |app, caller| {
            webhooks::rotate(app, caller, webhook_id).boxed()
        })
        .await?;
        Ok(Response::new(self.shown_with_secret(rotated)))
    }

    async fn test_webhook(
        &self,
        request: Request<v1::TestWebhookRequest>,
    ) -> Result<Response<v1::WebhookDelivery>, Status> {
        let (caller, asked) = caller::open(request)?;
        let webhook_id = id::parse("webhook_id", &asked.webhook_id)?;
        let queued = write(&self.app, caller, move |app, caller| {
            webhooks::test(app, caller, webhook_id).boxed()
        })
        .await?;
        Ok(Response::new(shown_delivery(queued)))
    }

    async fn list_webhook_deliveries(
        &self,
        request: Request<v1::ListWebhookDeliveriesRequest>,
    ) -> Result<Response<v1::ListWebhookDeliveriesResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let webhook_id = id::parse("webhook_id", &asked.webhook_id)?;
        let page = Page::read(&caller, &mut asked)?;
        let (db, scope) = (self.app.db.read(), caller.scope());
        webhooks::load(db, scope, webhook_id).await?;
        let rows = deliveries::list(db, scope, webhook_id, page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.number);
        Ok(Response::new(v1::ListWebhookDeliveriesResponse {
            deliveries: rows.into_iter().map(shown_delivery).collect(),
            next_page_token,
        }))
    }

    async fn redeliver_webhook_delivery(
        &self,
        request: Request<v1::RedeliverWebhookDeliveryRequest>,
    ) -> Result<Response<v1::WebhookDelivery>, Status> {
        let (caller, asked) = caller::open(request)?;
        let webhook_id = id::parse("webhook_id", &asked.webhook_id)?;
        let delivery_id = id::parse("delivery_id", &asked.delivery_id)?;
        let queued = write(&self.app, caller, move |app, caller| {
            webhooks::redeliver(app, caller, webhook_id, delivery_id).boxed()
        })
        .await?;
        Ok(Response::new(shown_delivery(queued)))
    }
}

impl Webhooks {
    fn shown_with_secret(&self, made: WithSecret) -> v1::Webhook {
        v1::Webhook {
            secret: Some(made.secret.expose_secret().to_owned()),
            ..self.shown(made.webhook)
        }
    }

    fn shown(&self, row: Webhook) -> v1::Webhook {
        let now = self.app.clock.now();
        v1::Webhook {
            webhook_id: row.id.to_string(),
            url: row.url,
            events: event::names(row.events),
            enabled: row.enabled,
            disabled_reason: row.disabled_reason,
            secret: None,
            earlier_secret_expires_at: row.earlier_until.filter(|until| *until > now).map(timestamp),
            consecutive_failures: row.failures,
            created_at: Some(timestamp(row.created_at)),
            updated_at: Some(timestamp(row.updated_at)),
        }
    }
}

// A field that the mask contains, but the message does not set, gets its default value. The rules for URLs then refuse
// an empty URL.
fn changes(asked: v1::UpdateWebhookRequest) -> Result<Changes> {
    let mask = Mask::read(
        asked.update_mask,
        "a webhook",
        &["webhook_id"],
        &["url", "events", "enabled"],
    )?;
    Ok(Changes {
        url: mask.value("url", asked.url),
        events: mask.list("events", asked.events),
        enabled: mask.value("enabled", asked.enabled),
    })
}

fn shown_delivery(row: Delivery) -> v1::WebhookDelivery {
    use v1::WebhookDeliveryStatus as Status;
    let status = match row.state {
        State::New | State::Queued => Status::Pending,
        State::Succeeded => Status::Succeeded,
        State::Failed => Status::Failed,
    };
    v1::WebhookDelivery {
        delivery_id: row.id.to_string(),
        webhook_id: row.webhook_id.to_string(),
        event: event::name(row.event).to_owned(),
        status: status.into(),
        agent_run_id: row.run_id.map(|run_id| run_id.to_string()),
        sequence: row.sequence,
        attempts: row.attempts,
        created_at: Some(timestamp(row.created_at)),
        attempted_at: row.attempted_at.map(timestamp),
        next_attempt_at: (status == Status::Pending).then(|| timestamp(row.due_at)),
        response_status: row.response_status,
        duration_ms: row.duration_ms,
        response: row.response.unwrap_or_default(),
        error: row.error.unwrap_or_default(),
    }
}
