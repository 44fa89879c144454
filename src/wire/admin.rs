//! Implements the gRPC service `AdminService`. Each method first checks that the caller is a super admin. Other
//! callers can therefore not find out which accounts exist.

use chrono::DateTime;
use futures::FutureExt;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    accounts::shown_entry,
    caller, jwt,
    page::{Cursor, Page},
    runs::time,
    traits::runyard::v1::admin_service_server::AdminService,
    write,
};
use crate::{
    accounts::{
        Caller, Role, Scope,
        list::{After, Filter},
        suspension,
    },
    admin::{self, Known},
    app::App,
    error::{Code, Error, Result},
    events::timestamp,
    id,
    ledger::{self, list::Listing},
    runs, v1,
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

    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        let (caller, mut asked) = administrator(request)?;
        let page: Page<After> = Page::read(&caller, &mut asked)?;
        let filter = filter(asked)?;
        let rows = admin::list(&self.app, &filter, page.after.clone(), page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| After::from(&row.account));
        Ok(Response::new(v1::ListAccountsResponse {
            accounts: rows.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn suspend_account(
        &self,
        request: Request<v1::SuspendAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let (caller, asked) = administrator(request)?;
        let account_id = id::parse("account_id", &asked.account_id)?;
        let known = write(&self.app, caller, move |app, caller| {
            async move {
                let known = admin::suspend(app, caller, account_id, &asked.reason).await?;
                // If this fails, `background` stops the runs.
                runs::stop::stop_all(app, account_id, suspension::ACTOR).await?;
                Ok(known)
            }
            .boxed()
        })
        .await?;
        Ok(Response::new(shown(known)))
    }

    async fn resume_account(
        &self,
        request: Request<v1::ResumeAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let (caller, asked) = administrator(request)?;
        let account_id = id::parse("account_id", &asked.account_id)?;
        let known = write(&self.app, caller, move |app, caller| {
            admin::resume(app, caller, account_id).boxed()
        })
        .await?;
        Ok(Response::new(shown(known)))
    }

    async fn list_account_usage(
        &self,
        request: Request<v1::ListAccountUsageRequest>,
    ) -> Result<Response<v1::ListUsageResponse>, Status> {
        let (caller, mut asked) = administrator(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let account_id = id::parse("account_id", &asked.account_id)?;
        admin::load(&self.app, account_id).await?;
        let listing = Listing {
            created_after: time("created_after", asked.created_after)?,
            created_before: time("created_before", asked.created_before)?,
            before: page.after,
            limit: page.limit(),
            ..Listing::default()
        };
        let rows = ledger::list::list(self.app.db.read(), Scope::account(account_id), &listing).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListUsageResponse {
            entries: rows.into_iter().map(shown_entry).collect(),
            next_page_token,
        }))
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

/// Reads the only filter of a request.
fn filter(asked: v1::ListAccountsRequest) -> Result<Filter> {
    let texts = [&asked.subject, &asked.subject_prefix, &asked.tier_name];
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(Error::invalid("the filters must not contain the character NUL"));
    }
    let mut filters = Vec::new();
    if !asked.subject.is_empty() {
        filters.push(Filter::Subject(asked.subject));
    }
    if !asked.subject_prefix.is_empty() {
        filters.push(Filter::SubjectPrefix(asked.subject_prefix));
    }
    if !asked.tier_name.is_empty() {
        filters.push(Filter::Tier(asked.tier_name));
    }
    if asked.suspended {
        filters.push(Filter::Suspended);
    }
    let (after, before) = (
        time("active_after", asked.active_after)?,
        time("active_before", asked.active_before)?,
    );
    if after.is_some() || before.is_some() {
        filters.push(Filter::Active { after, before });
    }
    if filters.len() > 1 {
        return Err(Error::invalid(
            "use one filter at a time: subject, subject_prefix, tier_name, suspended, or active_after and active_before",
        ));
    }
    Ok(filters.pop().unwrap_or(Filter::All))
}

/// The position in a list of accounts: id, time of the last activity in microseconds, and subject.
impl Cursor for After {
    fn to_bytes(&self) -> Vec<u8> {
        let micros = self.last_active_at.timestamp_micros().to_be_bytes();
        [self.id.as_bytes(), &micros[..], self.subject.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (micros, subject) = rest.split_first_chunk()?;
        Some(Self {
            id: Uuid::from_bytes(*id),
            last_active_at: DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?,
            subject: String::from_utf8(subject.to_vec()).ok()?,
        })
    }
}

fn shown(known: Known) -> v1::Account {
    let last_active_at = known.account.last_active_at();
    v1::Account {
        account_id: known.account.id.to_string(),
        issuer: known.account.issuer,
        subject: known.account.subject,
        tier_name: known.account.tier,
        credits: ledger::in_credits(known.microcredits),
        microcredits: known.microcredits,
        created_at: Some(timestamp(known.account.created_at)),
        suspended_at: known.account.suspended_at.map(timestamp),
        suspended_reason: known.account.suspended_reason.unwrap_or_default(),
        last_active_at: Some(timestamp(last_active_at)),
    }
}
