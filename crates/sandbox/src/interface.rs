//! The traits through which the engine and the tools use a sandbox. All traits are object-safe.

use std::{fs::File, io::Read, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{
    Command, Conversion, Converted, Depth, Execution, Found, Listing, Metadata, Spawned, Walk, WalkLimits, Workspace,
};
use crate::error::Result;

/// Receives a command's output in chunks.
pub type OutputListener<'a> = dyn for<'t> FnMut(&'t str) + Send + 'a;

/// An environment that runs commands and stores files.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Time limit of a command for which the model sets none.
    fn default_timeout(&self) -> Duration;

    /// Maximum time limit of a command that `execute` runs; `spawn` has no maximum.
    fn max_timeout(&self) -> Duration;

    /// Runs a bash script until it ends. `output` receives chunks at a bounded rate, up to a maximum total size. The
    /// script is killed when `cancel` is cancelled or the future is dropped.
    ///
    /// # Errors
    /// UNAVAILABLE when this host cannot run commands; `INVALID_REQUEST` for a script that contains NUL or is too
    /// long; `FILE_NOT_FOUND` when the workspace does not exist.
    async fn execute(
        &self,
        command: Command,
        output: &mut OutputListener<'_>,
        cancel: &CancellationToken,
    ) -> Result<Execution>;

    /// Starts a long-lived process, such as a tool server. Its time limit has no maximum. The process is killed at
    /// its time limit, or when the returned [`Spawned`] or the sandbox is dropped.
    ///
    /// # Errors
    /// The errors of `execute`, and CONFLICT when the sandbox already runs the maximum number of long-lived processes.
    async fn spawn(&self, command: Command) -> Result<Spawned>;

    /// Converts an untrusted file in its own process, without the workspace and with tight limits. Waits while the
    /// maximum number of conversions runs. The output is cut at `max_output_bytes`.
    ///
    /// # Errors
    /// UNAVAILABLE when this host cannot run commands: nothing is converted outside a sandbox.
    async fn convert(&self, conversion: Conversion, input: OpenFile, max_output_bytes: usize) -> Result<Converted>;

    /// Returns the sandbox's files. File access starts no command.
    fn files(&self) -> Arc<dyn Files>;
}

/// The files of a sandbox. The paths `/workspace/x`, `./x` and `x` name the same file. No method follows a symbolic
/// link. All methods block; async code must call them through `spawn_blocking`.
pub trait Files: Send + Sync {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the file does not exist; `INVALID_REQUEST` when the path is outside the workspace, leads
    /// through a symbolic link, or is not a regular file.
    fn open(&self, path: &str) -> Result<OpenFile>;

    /// Reads a whole file.
    ///
    /// # Errors
    /// The errors of `open`, and `TOO_LARGE` when the file is larger than `max_bytes`.
    fn read(&self, path: &str, max_bytes: u64) -> Result<Vec<u8>>;

    /// Writes a whole file atomically, and creates missing parent folders.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for a path that cannot be a file; UNAVAILABLE when the disk is full.
    fn write(&self, path: &str, content: &[u8]) -> Result<()>;

    /// Returns the metadata of a path. For a symbolic link, returns the metadata of the link itself, not of its
    /// target.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the path does not exist; `INVALID_REQUEST` for a path outside the workspace.
    fn metadata(&self, path: &str) -> Result<Metadata>;

    /// Lists up to `max_entries` entries of a folder, sorted by path. `behind` is the last path of the previous page;
    /// `None` for the first page.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the folder does not exist.
    fn list(&self, path: &str, depth: Depth, max_entries: usize, behind: Option<&[u8]>) -> Result<Listing>;

    /// Starts a walk over everything below a folder.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the folder does not exist.
    fn walk(&self, path: &str, limits: WalkLimits) -> Result<Box<dyn FileWalk>>;

    /// Removes a file, a link, or a folder with its content.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the path does not exist; `INVALID_REQUEST` for the workspace itself.
    fn remove(&self, path: &str) -> Result<()>;
}

/// An iterator over files and folders. A folder comes before its content.
pub trait FileWalk: Iterator<Item = Found> {
    /// Opens a file that the walk returned.
    ///
    /// # Errors
    /// The errors of [`Files::open`].
    fn open(&self, found: &Found) -> Result<OpenFile>;

    /// Returns why the walk omitted entries; `None` if it has omitted none so far.
    fn cut(&self) -> Option<&'static str>;
}

/// A file that is open for reading.
pub struct OpenFile {
    /// Reader of the content, at the start of the file.
    pub content: Box<dyn Read + Send>,
    /// Size in bytes when the file was opened.
    pub size: u64,
}

impl From<File> for OpenFile {
    fn from(file: File) -> Self {
        // If the size cannot be read, 0 is used, because reading the content then reports the error.
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        Self {
            content: Box::new(file),
            size,
        }
    }
}

impl Files for Workspace {
    fn open(&self, path: &str) -> Result<OpenFile> {
        self.open_file(path).map(OpenFile::from)
    }

    fn read(&self, path: &str, max_bytes: u64) -> Result<Vec<u8>> {
        self.read(path, max_bytes)
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        self.write(path, content)
    }

    fn metadata(&self, path: &str) -> Result<Metadata> {
        self.metadata(path)
    }

    fn list(&self, path: &str, depth: Depth, max_entries: usize, behind: Option<&[u8]>) -> Result<Listing> {
        self.list(path, depth, max_entries, behind)
    }

    fn walk(&self, path: &str, limits: WalkLimits) -> Result<Box<dyn FileWalk>> {
        Ok(Box::new(self.walk(path, limits)?))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.remove(path)
    }
}

impl FileWalk for Walk {
    fn open(&self, found: &Found) -> Result<OpenFile> {
        self.open(found).map(OpenFile::from)
    }

    fn cut(&self) -> Option<&'static str> {
        self.cut()
    }
}
