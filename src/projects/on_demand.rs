//! Gives the engine access to the sandbox of a project. The sandbox is created on first use, because not every run
//! needs a sandbox.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::sandbox;
use crate::{
    app::App,
    engine::{self, SandboxSource},
    error::{Error, Result},
    sandbox::{Gateway, ProjectSandbox, ReadOnlyFolder, Sandbox},
};

pub struct OnDemand {
    app: App,
    account_id: Uuid,
    project_id: Uuid,
    folders: Arc<[ReadOnlyFolder]>,
    gateway: Option<Arc<dyn Gateway>>,
    opened: OnceCell<ProjectSandbox>,
}

impl OnDemand {
    /// `folders` are mounted in the sandbox in addition to the workspace. `gateway` is the proxy of the commands; `None`
    /// without a network.
    pub fn new(
        app: &App,
        account_id: Uuid,
        project_id: Uuid,
        folders: Vec<ReadOnlyFolder>,
        gateway: Option<Arc<dyn Gateway>>,
    ) -> Self {
        Self {
            app: app.clone(),
            account_id,
            project_id,
            folders: folders.into(),
            gateway,
            opened: OnceCell::new(),
        }
    }

    pub async fn ensure(&self) -> Result<&ProjectSandbox> {
        let create = || async {
            let (app, account_id, project_id) = (self.app.clone(), self.account_id, self.project_id);
            // The transaction runs in its own task, because the engine does not poll a tool call while it records the
            // results of other calls. An open transaction that is not polled would block this recording.
            let made = tokio::spawn(async move { sandbox::ensure(&app, account_id, project_id).await });
            let sandbox = made
                .await
                .map_err(|error| Error::internal("the sandbox could not be opened", error))??;
            Ok(sandbox
                .with_folders(Arc::clone(&self.folders))
                .with_gateway(self.gateway.clone()))
        };
        self.opened.get_or_try_init(create).await
    }
}

#[async_trait]
impl SandboxSource for OnDemand {
    async fn open(&self) -> engine::Result<Arc<dyn Sandbox>> {
        Ok(Arc::new(self.ensure().await?.clone()))
    }
}
