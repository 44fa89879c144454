//! `AdminService`: each method converts messages and calls one domain function. Every method checks the role of the
//! caller first, so that a caller without the role learns nothing about accounts.

use tonic::{Request, Response, Status};

use super::{caller, jwt, traits::runyard::v1::admin_service_server::AdminService};
use crate::{
    accounts::{Caller, Role},
    admin::{self, Known},
    app::App,
    error::{Code, Error, Result},
    events::timestamp,
    id, ledger, v1,
};

/// Implements `AdminService`.
#[derive(Clone)]
pub struct Admin {
    pub(super) app: App,
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn create_account(
        &self,
        request: Request<v1::CreateAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let caller = administrator(&request)?;
        let v1::CreateAccountRequest { subject, issuer } = request.into_inner();
        for (field, text) in [("subject", &subject), ("issuer", &issuer)] {
            let may_be_empty = field == "issuer";
            if !(jwt::is_name(text) || (may_be_empty && text.is_empty())) {
                let message = format!(
                    "{field} must have 1 to {} bytes without control characters",
                    jwt::MAX_NAME_BYTES
                );
                return Err(Error::invalid_field(field, message).into());
            }
        }
        let issuer = match &self.app.config.auth.issuer {
            Some(configured) if issuer.is_empty() => configured.clone(),
            _ => issuer,
        };
        let app = self.app.clone();
        let create = async move { admin::create(&app, &caller, &issuer, &subject).await };
        Ok(Response::new(shown(super::finish(create).await?)))
    }

    async fn get_account(&self, request: Request<v1::GetAccountRequest>) -> Result<Response<v1::Account>, Status> {
        administrator(&request)?;
        let account_id = id::parse("account_id", &request.get_ref().account_id)?;
        let app = self.app.clone();
        let known = super::finish(async move { admin::load(&app, account_id).await }).await?;
        Ok(Response::new(shown(known)))
    }

    async fn set_account_tier(
        &self,
        request: Request<v1::SetAccountTierRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let caller = administrator(&request)?;
        let asked = request.into_inner();
        let account_id = id::parse("account_id", &asked.account_id)?;
        let app = self.app.clone();
        let set = async move { admin::set_tier(&app, &caller, account_id, &asked.tier_name).await };
        Ok(Response::new(shown(super::finish(set).await?)))
    }

    async fn grant_credits(&self, request: Request<v1::GrantCreditsRequest>) -> Result<Response<v1::Account>, Status> {
        let caller = administrator(&request)?;
        let asked = request.into_inner();
        let account_id = id::parse("account_id", &asked.account_id)?;
        let app = self.app.clone();
        let new = admin::Grant {
            credits: asked.credits,
            request_key: asked.request_id,
            reason: asked.reason,
        };
        let grant = async move { admin::grant(&app, &caller, account_id, new).await };
        Ok(Response::new(shown(super::finish(grant).await?)))
    }
}

fn administrator<T>(request: &Request<T>) -> Result<Caller> {
    let caller = caller::of(request)?;
    match caller.role {
        Role::SuperAdmin => Ok(caller),
        Role::User => Err(Error::new(Code::PermissionDenied, "requires the role super_admin")),
    }
}

fn shown(known: Known) -> v1::Account {
    v1::Account {
        account_id: known.account.id.to_string(),
        issuer: known.account.issuer,
        subject: known.account.subject,
        tier_name: known.account.tier,
        credits: ledger::in_credits(known.microcredits),
        microcredits: known.microcredits,
        created_at: Some(timestamp(known.account.created_at)),
    }
}
