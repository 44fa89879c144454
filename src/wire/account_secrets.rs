//! Implements the gRPC service `SecretService`.

use futures::FutureExt;
use secrecy::SecretString;
use tonic::{Request, Response, Status};

use super::{caller, mask::Mask, page::Page, traits::runyard::v1::secret_service_server::SecretService, write};
use crate::{
    account_secrets::{self, AccountSecret, Changes, NewSecret},
    app::App,
    error::Result,
    events::timestamp,
    id, v1,
};

#[derive(Clone)]
pub struct AccountSecrets {
    pub(super) app: App,
}

#[tonic::async_trait]
impl SecretService for AccountSecrets {
    async fn create_secret(&self, request: Request<v1::CreateSecretRequest>) -> Result<Response<v1::Secret>, Status> {
        let (caller, asked) = caller::open(request)?;
        let new = NewSecret {
            name: asked.name,
            value: SecretString::from(asked.value),
            hosts: asked.hosts,
        };
        let made = write(&self.app, caller, move |app, caller| {
            account_secrets::create(app, caller, new).boxed()
        })
        .await?;
        Ok(Response::new(shown(made)))
    }

    async fn list_secrets(
        &self,
        request: Request<v1::ListSecretsRequest>,
    ) -> Result<Response<v1::ListSecretsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let rows = account_secrets::list(self.app.db.read(), caller.scope(), page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListSecretsResponse {
            secrets: rows.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn update_secret(&self, request: Request<v1::UpdateSecretRequest>) -> Result<Response<v1::Secret>, Status> {
        let (caller, asked) = caller::open(request)?;
        let secret_id = id::parse("secret_id", &asked.secret_id)?;
        let changes = changes(asked)?;
        let row = write(&self.app, caller, move |app, caller| {
            account_secrets::update(app, caller, secret_id, changes).boxed()
        })
        .await?;
        Ok(Response::new(shown(row)))
    }

    async fn delete_secret(&self, request: Request<v1::DeleteSecretRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let secret_id = id::parse("secret_id", &asked.secret_id)?;
        write(&self.app, caller, move |app, caller| {
            account_secrets::delete(app, caller, secret_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }
}

fn shown(row: AccountSecret) -> v1::Secret {
    v1::Secret {
        secret_id: row.id.to_string(),
        name: row.name,
        hosts: row.hosts.split_whitespace().map(str::to_owned).collect(),
        created_at: Some(timestamp(row.created_at)),
        updated_at: Some(timestamp(row.updated_at)),
    }
}

// A field that the mask contains, but the message does not set, becomes empty. The rules for values then refuse an
// empty value.
fn changes(asked: v1::UpdateSecretRequest) -> Result<Changes> {
    let mask = Mask::read(asked.update_mask, "a secret", &["secret_id"], &["value", "hosts"])?;
    Ok(Changes {
        value: mask.value("value", asked.value).map(SecretString::from),
        hosts: mask.list("hosts", asked.hosts),
    })
}
