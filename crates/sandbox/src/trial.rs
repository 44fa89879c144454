//! Long-lived processes without a project, in which the service tests tool servers.
//!
//! They have the confinement and the limits of a command, and an empty workspace in memory. Together they count as
//! one sandbox.

use std::sync::Arc;

use super::{Command, Sandboxes, Spawned, spawned, start::Cell};
use crate::error::Result;

impl Sandboxes {
    /// Starts a long-lived process with an empty workspace. The process is killed at its time limit, or when the
    /// returned [`Spawned`] is dropped.
    ///
    /// # Errors
    /// UNAVAILABLE when this host cannot run commands; CONFLICT when [`MAX_SPAWNED`](super::MAX_SPAWNED) such processes
    /// already run.
    pub async fn spawn_without_project(&self, command: Command) -> Result<Spawned> {
        let cell = Cell {
            host: Arc::clone(&self.host),
            workspace: None,
            owner: self.host.owner(0),
            folders: Arc::default(),
            gateway: None,
            converter: None,
        };
        spawned::spawn(cell, command, &self.trials).await
    }
}
