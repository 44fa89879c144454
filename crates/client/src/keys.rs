//! Creates, lists and revokes API keys of the caller's account.

use tonic::Response;

use super::{Client, call, repeat, status};
use crate::{
    error::Result,
    v1::{
        ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse,
        RevokeApiKeyRequest, account_service_client::AccountServiceClient,
    },
};

impl Client {
    /// Creates an API key. Its secret is only in this response. Not retried, because a retry could create a second key.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn create_api_key(&self, request: CreateApiKeyRequest) -> Result<CreateApiKeyResponse> {
        let answer = AccountServiceClient::new(self.channel())
            .create_api_key(call(request))
            .await;
        answer.map(Response::into_inner).map_err(status::from_status)
    }

    /// Returns one page of API keys, without their secrets.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn list_api_keys(&self, request: ListApiKeysRequest) -> Result<ListApiKeysResponse> {
        repeat(async || {
            AccountServiceClient::new(self.channel())
                .list_api_keys(call(request.clone()))
                .await
        })
        .await
    }

    /// Revokes an API key immediately.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn revoke_api_key(&self, key_id: &str) -> Result<ApiKey> {
        let request = RevokeApiKeyRequest {
            key_id: key_id.to_owned(),
        };
        repeat(async || {
            AccountServiceClient::new(self.channel())
                .revoke_api_key(call(request.clone()))
                .await
        })
        .await
    }
}
