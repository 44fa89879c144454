//! Gives the engine access to the sandbox of a project. The sandbox is created on first use, because a run without tool
//! calls needs no sandbox.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::sandbox;
use crate::{
    app::App,
    engine::{self, SandboxSource},
    error::Result,
    sandbox::{ProjectSandbox, Sandbox},
};

/// Opens the sandbox of a project on first use, and returns the same sandbox from then on.
pub struct OnDemand {
    app: App,
    account_id: Uuid,
    project_id: Uuid,
    opened: OnceCell<ProjectSandbox>,
}

impl OnDemand {
    /// Prepares the sandbox of a project without creating it.
    pub fn new(app: &App, account_id: Uuid, project_id: Uuid) -> Self {
        Self {
            app: app.clone(),
            account_id,
            project_id,
            opened: OnceCell::new(),
        }
    }

    /// Returns the sandbox; the first call creates it.
    ///
    /// # Errors
    /// Errors of [`sandbox::ensure`].
    pub async fn ensure(&self) -> Result<&ProjectSandbox> {
        let create = || sandbox::ensure(&self.app, self.account_id, self.project_id);
        self.opened.get_or_try_init(create).await
    }
}

#[async_trait]
impl SandboxSource for OnDemand {
    async fn open(&self) -> engine::Result<Arc<dyn Sandbox>> {
        Ok(Arc::new(self.ensure().await?.clone()))
    }
}
