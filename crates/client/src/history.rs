//! Reads and deletes threads, and lists runs.

use super::{Client, call, repeat, status};
use crate::{
    error::Result,
    v1::{
        DeleteThreadRequest, GetThreadRequest, ListMessagesRequest, ListMessagesResponse, ListRunsRequest,
        ListRunsResponse, ListThreadsRequest, ListThreadsResponse, Thread, thread_service_client::ThreadServiceClient,
    },
};

impl Client {
    /// Returns one page of threads, newest first.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn list_threads(&self, request: ListThreadsRequest) -> Result<ListThreadsResponse> {
        repeat(async || {
            ThreadServiceClient::new(self.channel())
                .list_threads(call(request.clone()))
                .await
        })
        .await
    }

    /// Returns the thread with this UUID.
    ///
    /// # Errors
    /// The server's error, such as THREAD_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn load_thread(&self, thread_id: &str) -> Result<Thread> {
        let request = GetThreadRequest {
            thread_id: thread_id.to_owned(),
        };
        repeat(async || {
            ThreadServiceClient::new(self.channel())
                .get_thread(call(request.clone()))
                .await
        })
        .await
    }

    /// Returns one page of the messages of a thread, oldest first.
    ///
    /// # Errors
    /// The server's error, such as THREAD_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn list_messages(&self, request: ListMessagesRequest) -> Result<ListMessagesResponse> {
        repeat(async || {
            ThreadServiceClient::new(self.channel())
                .max_decoding_message_size(super::MAX_MESSAGE_BYTES)
                .list_messages(call(request.clone()))
                .await
        })
        .await
    }

    /// Deletes a thread with its runs. Not retried, because a retry could report that the thread is missing.
    ///
    /// # Errors
    /// The server's error, such as THREAD_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn delete_thread(&self, thread_id: &str) -> Result<()> {
        let request = DeleteThreadRequest {
            thread_id: thread_id.to_owned(),
        };
        let answer = ThreadServiceClient::new(self.channel())
            .delete_thread(call(request))
            .await;
        answer.map(|_| ()).map_err(status::from_status)
    }

    /// Returns one page of runs, newest first.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn list_runs(&self, request: ListRunsRequest) -> Result<ListRunsResponse> {
        repeat(async || self.runs().list_runs(call(request.clone())).await).await
    }
}
