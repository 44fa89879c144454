//! Processes without a project: long-lived ones, in which the service tests tool servers, and conversions of downloads.
//!
//! The long-lived processes have the confinement and the limits of a command, and an empty workspace in memory. Together they count as
//! one sandbox.

use std::sync::Arc;

use super::{Command, Conversion, Converted, OpenFile, Sandboxes, Spawned, convert, spawned, start::Cell};
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

    /// Converts a file that belongs to no project, such as a download, like [`Sandbox::convert`](super::Sandbox::convert).
    ///
    /// # Errors
    /// UNAVAILABLE when this host cannot run commands.
    pub async fn convert_without_project(
        &self,
        conversion: Conversion,
        input: OpenFile,
        max_output_bytes: usize,
    ) -> Result<Converted> {
        let owner = self.host.owner(0);
        convert::convert(Arc::clone(&self.host), owner, conversion, input, max_output_bytes).await
    }
}
