//! File uploads through `FileService` and through multipart forms.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream::BoxStream};
use runyard_transcode::{self as transcode, FormFiles, Refused};
use tonic::{Request, Response, Status};

use super::{caller, permit, traits::runyard::v1::file_service_server::FileService, write};
use crate::{
    accounts::{Access, Caller},
    app::App,
    error::{Code, Error, Result},
    events::timestamp,
    id,
    uploads::{Upload, receive},
    v1,
};

#[derive(Clone)]
pub struct Files {
    pub(super) app: App,
}

#[tonic::async_trait]
impl FileService for Files {
    async fn create_upload(&self, request: Request<v1::CreateUploadRequest>) -> Result<Response<v1::Upload>, Status> {
        let (caller, asked) = caller::open(request)?;
        let upload = write(&self.app, caller, move |app, caller| {
            receive::announce(app, caller, asked.name, asked.size).boxed()
        })
        .await?;
        Ok(Response::new(shown(upload)))
    }

    async fn upload_chunk(&self, request: Request<v1::UploadChunkRequest>) -> Result<Response<v1::Upload>, Status> {
        let (caller, asked) = caller::open(request)?;
        let upload_id = id::parse("upload_id", &asked.upload_id)?;
        let upload = write(&self.app, caller, move |app, caller| {
            receive::chunk(app, caller, upload_id, asked.offset, asked.data).boxed()
        })
        .await?;
        Ok(Response::new(shown(upload)))
    }
}

fn shown(upload: Upload) -> v1::Upload {
    v1::Upload {
        complete: upload.is_complete(),
        upload_id: upload.id.to_string(),
        name: upload.name,
        size: upload.size,
        received: upload.received,
        created_at: Some(timestamp(upload.created_at)),
    }
}

pub struct Forms {
    pub(super) app: App,
}

#[async_trait]
impl FormFiles for Forms {
    async fn receive(
        &self,
        extensions: &http::Extensions,
        name: &str,
        content: BoxStream<'_, transcode::Result<Bytes>>,
    ) -> Result<String, Refused> {
        let content = content.map(|chunk| chunk.map_err(Error::from)).boxed();
        let received = self.store(extensions, name, content).await;
        received.map_err(|error| Status::from(error).into())
    }

    async fn discard(&self, extensions: &http::Extensions, ids: Vec<String>) {
        let Ok(caller) = caller_in(extensions) else { return };
        let ids: Vec<_> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        if let Err(fault) = receive::discard(&self.app, caller.scope(), &ids).await {
            tracing::warn!(error = %fault, "could not remove the files of a refused form; the sweeper will remove them");
        }
    }
}

impl Forms {
    async fn store(
        &self,
        extensions: &http::Extensions,
        name: &str,
        content: BoxStream<'_, Result<Bytes>>,
    ) -> Result<String> {
        // The files are stored before the method is called, so the scope of an API key is checked here too.
        let caller = caller_in(extensions)?;
        permit::check(caller, Access::Run)?;
        let upload = receive::stream(&self.app, caller, name, content).await?;
        Ok(upload.id.to_string())
    }
}

fn caller_in(extensions: &http::Extensions) -> Result<&Caller> {
    extensions
        .get()
        .ok_or_else(|| Error::new(Code::NotAuthenticated, "Not authenticated"))
}
