//! Uploads and downloads files. An upload is sent in chunks of 1 MiB, and each chunk can be retried.

use std::path::Path;

use bytes::Bytes;
use runyard_contract::google::api::HttpBody;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
};

use super::{Client, call, repeat, status};
use crate::{
    error::{Error, Result},
    v1::{
        self, CreateUploadRequest, DeleteFileRequest, ListFilesRequest, ReadFileRequest, Upload, UploadChunkRequest,
        WriteFileRequest,
    },
};

const CHUNK_BYTES: u64 = 1024 * 1024;

impl Client {
    /// Uploads a local file. `StartRunRequest.files` passes the result's `upload_id` to an agent.
    ///
    /// # Errors
    /// INVALID_REQUEST if the file cannot be read or becomes smaller during the upload; otherwise the server's error,
    /// or UNAVAILABLE if the server cannot be reached.
    pub async fn upload(&self, path: &Path) -> Result<Upload> {
        let unreadable = |error: std::io::Error| Error::invalid(format!("{} cannot be read: {error}", path.display()));
        let mut file = File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|_| metadata.is_file())
            .ok_or_else(|| Error::invalid(format!("{} is not a regular file with a UTF-8 name", path.display())))?;
        let size = i64::try_from(metadata.len()).unwrap_or(i64::MAX);
        let announced = CreateUploadRequest {
            name: name.to_owned(),
            size,
        };
        let mut upload = repeat(async || self.uploads().create_upload(call(announced.clone())).await).await?;
        while !upload.complete {
            let mut data = Vec::new();
            (&mut file)
                .take(CHUNK_BYTES)
                .read_to_end(&mut data)
                .await
                .map_err(unreadable)?;
            if data.is_empty() {
                return Err(Error::invalid(format!(
                    "{} became smaller during the upload; upload it again when it no longer changes",
                    path.display()
                )));
            }
            let chunk = UploadChunkRequest {
                upload_id: upload.upload_id.clone(),
                offset: upload.received,
                data: Bytes::from(data),
            };
            upload = repeat(async || self.uploads().upload_chunk(call(chunk.clone())).await).await?;
        }
        Ok(upload)
    }

    /// Lists all files and folders in a sandbox folder and its subfolders, ordered by path.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn list_files(&self, sandbox_id: &str, folder: &str) -> Result<Vec<v1::File>> {
        let mut files = Vec::new();
        let mut request = ListFilesRequest {
            sandbox_id: sandbox_id.to_owned(),
            path: folder.to_owned(),
            recursive: true,
            ..ListFilesRequest::default()
        };
        loop {
            let page = repeat(async || self.sandboxes().list_files(call(request.clone())).await).await?;
            files.extend(page.files);
            if page.next_page_token.is_empty() {
                return Ok(files);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Downloads a file of a sandbox, and returns its size in bytes. Creates missing local folders. A failed download
    /// leaves an existing local file unchanged.
    ///
    /// # Errors
    /// INVALID_REQUEST if the local path cannot be written; otherwise the server's error, or UNAVAILABLE if the server
    /// cannot be reached.
    pub async fn download(&self, sandbox_id: &str, path: &str, to: &Path) -> Result<u64> {
        let unwritable = |error: std::io::Error| Error::invalid(format!("{} cannot be written: {error}", to.display()));
        let request = ReadFileRequest {
            sandbox_id: sandbox_id.to_owned(),
            path: path.to_owned(),
            ..ReadFileRequest::default()
        };
        let mut stream = self
            .sandboxes()
            .read_file(request)
            .await
            .map_err(status::from_status)?
            .into_inner();
        if let Some(folder) = to.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(unwritable)?;
        }
        let mut draft = to.as_os_str().to_owned();
        draft.push(".part");
        let mut file = File::create(&draft).await.map_err(unwritable)?;
        let mut size = 0;
        while let Some(HttpBody { data, .. }) = stream.message().await.map_err(status::from_status)? {
            file.write_all(&data).await.map_err(unwritable)?;
            size += data.len() as u64;
        }
        file.flush().await.map_err(unwritable)?;
        tokio::fs::rename(&draft, to).await.map_err(unwritable)?;
        Ok(size)
    }

    /// Places a complete upload in a sandbox. Creates missing folders, and replaces an existing file. Not retried, because
    /// an upload can be used only once.
    ///
    /// # Errors
    /// The server's error, such as UPLOAD_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn write_file(&self, sandbox_id: &str, path: &str, upload_id: &str) -> Result<v1::File> {
        let request = WriteFileRequest {
            sandbox_id: sandbox_id.to_owned(),
            path: path.to_owned(),
            upload_id: upload_id.to_owned(),
        };
        let written = self.sandboxes().write_file(call(request)).await;
        written.map(tonic::Response::into_inner).map_err(status::from_status)
    }

    /// Deletes a file or an empty folder of a sandbox. Not retried, because a retry could report that the file is missing.
    ///
    /// # Errors
    /// The server's error, such as FILE_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn delete_file(&self, sandbox_id: &str, path: &str) -> Result<()> {
        let request = DeleteFileRequest {
            sandbox_id: sandbox_id.to_owned(),
            path: path.to_owned(),
        };
        let deleted = self.sandboxes().delete_file(call(request)).await;
        deleted.map(|_| ()).map_err(status::from_status)
    }
}
