//! `AccountService`: messages in, one verb, messages out.

use tonic::{Request, Response, Status};

use super::{later, traits::runyard::v1::account_service_server::AccountService};
use crate::{error::Result, v1};

/// The service.
#[derive(Clone)]
pub struct Accounts;

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn get_account_state(
        &self,
        request: Request<v1::GetAccountStateRequest>,
    ) -> Result<Response<v1::AccountState>, Status> {
        later(&request)
    }

    async fn list_usage(
        &self,
        request: Request<v1::ListUsageRequest>,
    ) -> Result<Response<v1::ListUsageResponse>, Status> {
        later(&request)
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        later(&request)
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        later(&request)
    }

    async fn revoke_api_key(&self, request: Request<v1::RevokeApiKeyRequest>) -> Result<Response<v1::ApiKey>, Status> {
        later(&request)
    }
}
