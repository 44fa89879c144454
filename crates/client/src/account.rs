//! Methods for the caller's account, and for the administration of all accounts.

use tonic::Response;

use super::{Client, call, repeat, status};
use crate::{
    error::Result,
    v1::{
        Account, AccountState, GetAccountRequest, GetAccountStateRequest, GrantCreditsRequest, ListAccountUsageRequest,
        ListAccountsRequest, ListAccountsResponse, ListUsageResponse, ResumeAccountRequest, SetAccountTierRequest,
        SuspendAccountRequest, account_service_client::AccountServiceClient, admin_service_client::AdminServiceClient,
    },
};

impl Client {
    /// Returns the tier, the limits and the usage of the caller's account.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn load_account_state(&self) -> Result<AccountState> {
        repeat(async || {
            AccountServiceClient::new(self.channel())
                .get_account_state(call(GetAccountStateRequest {}))
                .await
        })
        .await
    }

    /// Returns the account with this id. Only administrators may call this method.
    ///
    /// # Errors
    /// The server's error, such as ACCOUNT_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn load_account(&self, account_id: &str) -> Result<Account> {
        let request = GetAccountRequest {
            account_id: account_id.to_owned(),
        };
        repeat(async || {
            AdminServiceClient::new(self.channel())
                .get_account(call(request.clone()))
                .await
        })
        .await
    }

    /// Returns one page of accounts. Only administrators may call this method.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn list_accounts(&self, request: ListAccountsRequest) -> Result<ListAccountsResponse> {
        repeat(async || {
            AdminServiceClient::new(self.channel())
                .list_accounts(call(request.clone()))
                .await
        })
        .await
    }

    /// Returns one page of the model calls of an account, newest first. Only administrators may call this method.
    ///
    /// # Errors
    /// The server's error, such as ACCOUNT_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn list_account_usage(&self, request: ListAccountUsageRequest) -> Result<ListUsageResponse> {
        repeat(async || {
            AdminServiceClient::new(self.channel())
                .list_account_usage(call(request.clone()))
                .await
        })
        .await
    }

    /// Suspends an account and stops its runs. Only administrators may call this method.
    ///
    /// # Errors
    /// The server's error, such as ACCOUNT_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn suspend_account(&self, account_id: &str, reason: &str) -> Result<Account> {
        let request = SuspendAccountRequest {
            account_id: account_id.to_owned(),
            reason: reason.to_owned(),
        };
        repeat(async || {
            AdminServiceClient::new(self.channel())
                .suspend_account(call(request.clone()))
                .await
        })
        .await
    }

    /// Ends the suspension of an account. Only administrators may call this method.
    ///
    /// # Errors
    /// The server's error, such as ACCOUNT_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn resume_account(&self, account_id: &str) -> Result<Account> {
        let request = ResumeAccountRequest {
            account_id: account_id.to_owned(),
        };
        repeat(async || {
            AdminServiceClient::new(self.channel())
                .resume_account(call(request.clone()))
                .await
        })
        .await
    }

    /// Adds credits to an account, once per `request_id`. Only administrators may call this method.
    ///
    /// # Errors
    /// The server's error, such as ACCOUNT_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn grant_credits(&self, request: GrantCreditsRequest) -> Result<Account> {
        let answer = AdminServiceClient::new(self.channel())
            .grant_credits(call(request))
            .await;
        answer.map(Response::into_inner).map_err(status::from_status)
    }

    /// Moves an account to another tier. Only administrators may call this method.
    ///
    /// # Errors
    /// The server's error, such as INVALID_REQUEST for an unknown tier, or UNAVAILABLE if the server cannot be reached.
    pub async fn set_account_tier(&self, account_id: &str, tier: &str) -> Result<Account> {
        let request = SetAccountTierRequest {
            account_id: account_id.to_owned(),
            tier_name: tier.to_owned(),
        };
        let answer = AdminServiceClient::new(self.channel())
            .set_account_tier(call(request))
            .await;
        answer.map(Response::into_inner).map_err(status::from_status)
    }
}
