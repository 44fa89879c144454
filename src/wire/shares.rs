//! Implements the gRPC service `ShareService`. `GetSharedThread` and `ListSharedMessages` have no caller: the token in
//! their request shows which thread they may read.

use futures::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    access, caller,
    page::{self, Page},
    runs::time,
    threads::PAGE_BYTES,
    traits::runyard::v1::share_service_server::ShareService,
    write,
};
use crate::{
    accounts::Scope,
    app::App,
    error::{Error, Result},
    events::timestamp,
    id,
    shares::{self, Share},
    threads::{
        self, Message, Thread,
        messages::{self, Bound},
    },
    v1::{self, MessageRole},
};

#[derive(Clone)]
pub struct Shares {
    pub(super) app: App,
}

#[tonic::async_trait]
impl ShareService for Shares {
    async fn create_share(
        &self,
        request: Request<v1::CreateShareRequest>,
    ) -> Result<Response<v1::CreateShareResponse>, Status> {
        let (caller, asked) = caller::open(request)?;
        let thread_id = id::parse("thread_id", &asked.thread_id)?;
        let expires_at = time("expires_at", asked.expires_at)?;
        let made = write(&self.app, caller, move |app, caller| {
            shares::create(app, caller, thread_id, expires_at).boxed()
        })
        .await?;
        Ok(Response::new(v1::CreateShareResponse {
            share: Some(shown(made.share)),
            token: made.token.expose_secret().to_owned(),
        }))
    }

    async fn list_shares(
        &self,
        request: Request<v1::ListSharesRequest>,
    ) -> Result<Response<v1::ListSharesResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let thread_id = id::parse_optional("thread_id", &asked.thread_id)?;
        let db = self.app.db.read();
        if let Some(thread_id) = thread_id {
            threads::load(db, caller.scope(), thread_id).await?;
        }
        let rows = shares::list(db, caller.scope(), thread_id, page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListSharesResponse {
            shares: rows.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn revoke_share(&self, request: Request<v1::RevokeShareRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let share_id = id::parse("share_id", &asked.share_id)?;
        write(&self.app, caller, move |app, caller| {
            shares::revoke(app, caller, share_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }

    async fn get_shared_thread(
        &self,
        request: Request<v1::GetSharedThreadRequest>,
    ) -> Result<Response<v1::SharedThread>, Status> {
        let (_, thread) = self.open(&request.into_inner().token).await?;
        Ok(Response::new(v1::SharedThread {
            name: thread.name,
            created_at: Some(timestamp(thread.created_at)),
            updated_at: Some(timestamp(thread.updated_at)),
        }))
    }

    async fn list_shared_messages(
        &self,
        request: Request<v1::ListSharedMessagesRequest>,
    ) -> Result<Response<v1::ListSharedMessagesResponse>, Status> {
        let mut asked = request.into_inner();
        let (share, thread) = self.open(&asked.token).await?;
        // The cursor is the id of a message. The other lists of messages also use the id of its run, which is private.
        let page = Page::<Uuid>::of_account(share.account_id, &mut asked)?;
        let bound = Bound {
            rows: page.size,
            bytes: PAGE_BYTES,
        };
        let (db, scope) = (self.app.db.read(), Scope::account(share.account_id));
        let after = match page.after {
            Some(message_id) => {
                let place = messages::place_of(db, scope, thread.id, message_id).await?;
                Some(place.ok_or_else(page::invalid)?)
            }
            None => None,
        };
        let (rows, has_more) = messages::list(db, scope, thread.id, after, bound).await?;
        let next = rows.last().filter(|_| has_more).map(|row| row.id);
        let next_page_token = page.token(next.as_ref());
        let messages = rows.into_iter().filter_map(|row| public(row).transpose());
        Ok(Response::new(v1::ListSharedMessagesResponse {
            messages: messages.collect::<Result<_>>()?,
            next_page_token,
        }))
    }
}

impl Shares {
    async fn open(&self, token: &str) -> Result<(Share, Thread)> {
        let found = shares::verify(&self.app, &SecretString::from(token)).await?;
        access::note_account(found.0.account_id);
        Ok(found)
    }
}

fn shown(row: Share) -> v1::Share {
    v1::Share {
        share_id: row.id.to_string(),
        thread_id: row.thread_id.to_string(),
        prefix: row.prefix,
        created_at: Some(timestamp(row.created_at)),
        expires_at: row.expires_at.map(timestamp),
    }
}

/// Returns the parts of a message that a reader sees. Returns `None` for the results of tools, and for messages of the
/// model that only call tools.
fn public(row: Message) -> Result<Option<v1::SharedMessage>> {
    let role = MessageRole::try_from(i32::from(row.role)).unwrap_or_default();
    let files = match (role, row.files) {
        (MessageRole::User, Some(files)) => serde_json::from_value::<Vec<String>>(files)
            .map_err(|error| Error::internal("the message could not be decoded", error))?,
        (MessageRole::User | MessageRole::Assistant, _) => Vec::new(),
        (MessageRole::Tool | MessageRole::Unspecified, _) => return Ok(None),
    };
    if row.content.is_empty() && files.is_empty() {
        return Ok(None);
    }
    Ok(Some(v1::SharedMessage {
        role: role.into(),
        content: row.content,
        // The folders of the workspace stay private.
        files: files.iter().map(|path| last_part(path).to_owned()).collect(),
        partial: row.partial,
        created_at: Some(timestamp(row.created_at)),
    }))
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
