//! Implements the gRPC service `AccountService`.

use futures::FutureExt;
use secrecy::ExposeSecret;
use tonic::{Request, Response, Status};

use super::{caller, page::Page, runs::time, traits::runyard::v1::account_service_server::AccountService, write};
use crate::{
    account_state,
    accounts::Access,
    api_keys::{self, ApiKey, NewKey},
    app::App,
    error::{Error, Result},
    events::timestamp,
    id,
    ledger::{self, LedgerEntry, list::Listing},
    limits::Plan,
    v1,
};

#[derive(Clone)]
pub struct Accounts {
    pub(super) app: App,
}

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn get_account_state(
        &self,
        request: Request<v1::GetAccountStateRequest>,
    ) -> Result<Response<v1::AccountState>, Status> {
        let (caller, _) = caller::open(request)?;
        let usage = write(&self.app, caller, |app, caller| {
            account_state::load(app, caller).boxed()
        })
        .await?;
        Ok(Response::new(self.shown_state(&usage)))
    }

    async fn list_usage(
        &self,
        request: Request<v1::ListUsageRequest>,
    ) -> Result<Response<v1::ListUsageResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let listing = Listing {
            thread_id: id::parse_optional("thread_id", &asked.thread_id)?,
            run_id: id::parse_optional("agent_run_id", &asked.agent_run_id)?,
            created_after: time("created_after", asked.created_after)?,
            created_before: time("created_before", asked.created_before)?,
            before: page.after,
            limit: page.limit(),
        };
        let rows = ledger::list::list(self.app.db.read(), caller.scope(), &listing).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListUsageResponse {
            entries: rows.into_iter().map(shown_entry).collect(),
            next_page_token,
        }))
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        let (caller, asked) = caller::open(request)?;
        let new = NewKey {
            access: access(&asked.scopes)?,
            expires_at: time("expires_at", asked.expires_at)?,
            name: asked.name,
        };
        let (row, key) = write(&self.app, caller, move |app, caller| {
            api_keys::create(app, caller, new).boxed()
        })
        .await?;
        Ok(Response::new(v1::CreateApiKeyResponse {
            api_key: Some(shown_key(row)),
            secret: key.expose_secret().to_owned(),
        }))
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let rows = api_keys::list::list(self.app.db.read(), caller.scope(), page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListApiKeysResponse {
            api_keys: rows.into_iter().map(shown_key).collect(),
            next_page_token,
        }))
    }

    async fn revoke_api_key(&self, request: Request<v1::RevokeApiKeyRequest>) -> Result<Response<v1::ApiKey>, Status> {
        let (caller, asked) = caller::open(request)?;
        let key_id = id::parse("key_id", &asked.key_id)?;
        let row = write(&self.app, caller, move |app, caller| {
            api_keys::revoke(app, caller, key_id).boxed()
        })
        .await?;
        Ok(Response::new(shown_key(row)))
    }
}

impl Accounts {
    fn shown_state(&self, usage: &account_state::AccountState) -> v1::AccountState {
        let app = &self.app;
        let tier = app.tiers.load(&usage.account.tier);
        let plan = Plan {
            tier,
            limits: app.config.limits,
        };
        let account = &usage.account;
        let state = |used: i64, limit: Option<i32>| {
            Some(v1::LimitState {
                used: i32::try_from(used).unwrap_or(i32::MAX),
                limit: plan.limit(limit),
            })
        };
        let models = app.models.iter().map(|model| {
            let admission = plan.model(Some(&model.name), &app.models);
            let downgraded_to = admission
                .as_ref()
                .ok()
                .filter(|admission| admission.downgraded_from().is_some())
                .map(|admission| admission.model().to_owned());
            v1::ModelState {
                model_name: model.name.clone(),
                allowed: admission.is_ok() && downgraded_to.is_none(),
                downgraded_to,
                context_window: i64::try_from(model.context_window).unwrap_or(i64::MAX),
            }
        });
        v1::AccountState {
            account_id: usage.account.id.to_string(),
            tier_name: tier.name.clone(),
            credits: ledger::in_credits(usage.microcredits),
            microcredits: usage.microcredits,
            concurrent_runs: state(i64::try_from(usage.runs).unwrap_or(i64::MAX), tier.concurrent_runs),
            agents: state(account.agents, tier.agents),
            threads: state(account.threads, tier.threads),
            projects: state(account.projects, tier.projects),
            max_upload_bytes: i64::try_from(plan.largest_upload(&app.config.http)).unwrap_or(i64::MAX),
            models: models.collect(),
        }
    }
}

// Returns the widest of the scopes, because it includes all narrower scopes. Returns `Run` if `scopes` is empty.
fn access(scopes: &[i32]) -> Result<Access> {
    let mut widest = None;
    for scope in scopes {
        let access = match v1::ApiKeyScope::try_from(*scope) {
            Ok(v1::ApiKeyScope::Read) => Access::Read,
            Ok(v1::ApiKeyScope::Run) => Access::Run,
            Ok(v1::ApiKeyScope::Admin) => Access::Admin,
            Ok(v1::ApiKeyScope::Unspecified) | Err(_) => {
                return Err(Error::invalid_field("scopes", "scopes must be read, run or admin"));
            }
        };
        widest = widest.max(Some(access));
    }
    Ok(widest.unwrap_or(Access::Run))
}

fn shown_key(row: ApiKey) -> v1::ApiKey {
    let scope = match row.scope {
        Access::Read => v1::ApiKeyScope::Read,
        Access::Run => v1::ApiKeyScope::Run,
        Access::Admin => v1::ApiKeyScope::Admin,
    };
    v1::ApiKey {
        key_id: row.id.to_string(),
        name: row.name,
        prefix: row.prefix,
        scopes: vec![scope.into()],
        created_at: Some(timestamp(row.created_at)),
        expires_at: row.expires_at.map(timestamp),
        last_used_at: row.last_used_at.map(timestamp),
        revoked_at: row.revoked_at.map(timestamp),
    }
}

pub(super) fn shown_entry(row: LedgerEntry) -> v1::UsageEntry {
    let id = |id: Option<uuid::Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    v1::UsageEntry {
        agent_run_id: id(row.run_id),
        thread_id: id(row.thread_id),
        step: row.step.unwrap_or_default(),
        model_name: row.model.unwrap_or_default(),
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        credits: ledger::in_credits(row.microcredits),
        estimated: row.estimated,
        created_at: Some(timestamp(row.created_at)),
    }
}
