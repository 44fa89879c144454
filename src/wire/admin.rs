//! Implements the gRPC service `AdminService`. Each method first checks that the caller is a super admin. Other
//! callers can therefore not find out which accounts exist.

use futures::FutureExt;
use tonic::{Request, Response, Status};

use super::{caller, jwt, traits::runyard::v1::admin_service_server::AdminService, write};
use crate::{
    accounts::{Caller, Role},
    admin::{self, Known},
    app::App,
    error::{Code, Error, Result},
    events::timestamp,
    id, ledger, v1,
};

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
        let (caller, v1::CreateAccountRequest { subject, issuer }) = administrator(request)?;
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
        let known = write(&self.app, caller, move |app, caller| {
            async move { admin::create(app, caller, &issuer, &subject).await }.boxed()
        })
        .await?;
        Ok(Response::new(shown(known)))
    }

    async fn get_account(&self, request: Request<v1::GetAccountRequest>) -> Result<Response<v1::Account>, Status> {
        let (caller, asked) = administrator(request)?;
        let account_id = id::parse("account_id", &asked.account_id)?;
        let known = write(&self.app, caller, move |app, _| admin::load(app, account_id).boxed()).await?;
        Ok(Response::new(shown(known)))
    }

    async fn set_account_tier(
        &self,
        request: Request<v1::SetAccountTierRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let (caller, asked) = administrator(request)?;
        let account_id = id::parse("account_id", &asked.account_id)?;
        let known = write(&self.app, caller, move |app, caller| {
            async move { admin::set_tier(app, caller, account_id, &asked.tier_name).await }.boxed()
        })
        .await?;
        Ok(Response::new(shown(known)))
    }

    async fn grant_credits(&self, request: Request<v1::GrantCreditsRequest>) -> Result<Response<v1::Account>, Status> {
        let (caller, asked) = administrator(request)?;
        let account_id = id::parse("account_id", &asked.account_id)?;
        let new = admin::Grant {
            credits: asked.credits,
            request_key: asked.request_id,
            reason: asked.reason,
        };
        let known = write(&self.app, caller, move |app, caller| {
            admin::grant(app, caller, account_id, new).boxed()
        })
        .await?;
        Ok(Response::new(shown(known)))
    }
}

fn administrator<T>(request: Request<T>) -> Result<(Caller, T)> {
    let (caller, asked) = caller::open(request)?;
    match caller.role {
        Role::SuperAdmin => Ok((caller, asked)),
        Role::User => Err(Error::new(
            Code::PermissionDenied,
            "this method requires the role super_admin",
        )),
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
