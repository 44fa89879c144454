//! Creates a tar archive of a workspace folder, chunk by chunk.
//!
//! The file service requests a chunk after the client has received the previous one, so a slow client blocks no
//! thread. Links, pipes and devices are skipped. An archive that would be incomplete ends with an error.

use std::{
    fs::File,
    io::Read,
    time::{Duration, SystemTime},
};

use super::{
    spelling,
    walk::{Found, Walk, WalkLimits},
    workspace::{FileKind, Metadata, Workspace},
};
use crate::error::{Error, ErrorKind, Result};

/// Approximate bytes of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;
const BLOCK: usize = 512;
/// Maximum bytes of a name in a tar header.
const SHORT_NAME: usize = 100;
/// Smallest file size that exceeds the eleven octal digits of a tar header.
const LARGE: u64 = 1 << 33;
/// Clients may be slow, so the time limit is long.
const LIMITS: WalkLimits = WalkLimits {
    entries: 100_000,
    depth: 64,
    time: Duration::from_hours(6),
    names: 16_384,
};

/// A tar archive that is read chunk by chunk.
pub struct Archive {
    walk: Walk,
    name: String,
    /// Number of bytes to remove from the start of each path: the archived folder and a slash.
    above: usize,
    file: Option<(File, u64)>,
    /// The last opened file, for error texts.
    path: String,
    chunk: Vec<u8>,
    ended: bool,
}

impl Workspace {
    /// Starts an archive of a folder.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` if the folder does not exist; `INVALID_REQUEST` for a path outside the workspace or through a
    /// link.
    pub fn archive(&self, path: &str) -> Result<Archive> {
        let metadata = self.metadata(path)?;
        let (root, path) = self.locate(path)?;
        let name = path.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty());
        let mut archive = Archive {
            walk: Walk::new(root, &path, LIMITS, None)?,
            name: spelling::text_of(name.unwrap_or(b"workspace")),
            above: if path.is_empty() { 0 } else { path.len() + 1 },
            file: None,
            path: String::new(),
            chunk: Vec::with_capacity(CHUNK_BYTES),
            ended: false,
        };
        let top = format!("{}/", archive.name);
        archive.header(top.as_bytes(), b'5', 0, &metadata);
        Ok(archive)
    }
}

impl Archive {
    /// Returns the name of the archived folder; `workspace` for the whole workspace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the next chunk, if any. Blocks on file reads.
    ///
    /// # Errors
    /// `INVALID_REQUEST` if a file's permissions forbid reading; `INTERNAL` if reading fails; `TOO_LARGE` if the
    /// folder exceeds the limits.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        while self.chunk.len() < CHUNK_BYTES && !self.ended {
            match self.file.take() {
                Some((file, left)) => self.copy(file, left)?,
                None => match self.walk.next() {
                    Some(found) => self.enter(&found)?,
                    None => self.end()?,
                },
            }
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    fn enter(&mut self, found: &Found) -> Result<()> {
        let mut name = [self.name.as_bytes(), b"/", &found.raw()[self.above..]].concat();
        match found.metadata.kind {
            FileKind::Folder => {
                name.push(b'/');
                self.header(&name, b'5', 0, &found.metadata);
            }
            FileKind::File => match self.walk.open(found) {
                Ok(file) => {
                    self.path.clone_from(&found.path);
                    let size = file.metadata().map_err(|error| self.unreadable(error))?.len();
                    self.header(&name, b'0', size, &found.metadata);
                    self.file = Some((file, size));
                }
                Err(error) if self.walk.is_file(found) => return Err(error),
                // The file was removed or replaced after the walk read its name.
                Err(_) => {}
            },
            FileKind::Link | FileKind::Other => {}
        }
        Ok(())
    }

    // The header already states the file's size. Content that was added after the header was written is left out.
    // Zeros replace content that was removed.
    fn copy(&mut self, mut file: File, left: u64) -> Result<()> {
        let before = self.chunk.len();
        let wanted = left.min(CHUNK_BYTES as u64);
        let outcome = file.by_ref().take(wanted).read_to_end(&mut self.chunk);
        outcome.map_err(|error| self.unreadable(error))?;
        let read = (self.chunk.len() - before) as u64;
        let added = if read < wanted {
            self.chunk
                .resize(before + usize::try_from(wanted).unwrap_or(CHUNK_BYTES), 0);
            wanted
        } else {
            read
        };
        if left > added {
            self.file = Some((file, left - added));
        } else {
            self.pad();
        }
        Ok(())
    }

    fn unreadable(&self, error: std::io::Error) -> Error {
        Error::internal(format!("{:?} cannot be read", self.path), error)
    }

    fn end(&mut self) -> Result<()> {
        if let Some(cut) = self.walk.cut() {
            let message =
                format!("the folder cannot be sent as one archive: {cut}; download its subfolders one by one");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.chunk.resize(self.chunk.len() + 2 * BLOCK, 0);
        self.ended = true;
        Ok(())
    }

    fn header(&mut self, name: &[u8], kind: u8, size: u64, metadata: &Metadata) {
        if name.len() > SHORT_NAME {
            // GNU extension: an extra entry before the file's own entry contains the long name.
            let length = name.len() as u64 + 1;
            self.chunk.extend(block(b"././@LongLink", b'L', length, metadata));
            self.chunk.extend_from_slice(name);
            self.chunk.push(0);
            self.pad();
        }
        let short = &name[..name.len().min(SHORT_NAME)];
        self.chunk.extend(block(short, kind, size, metadata));
    }

    // Earlier chunks are whole blocks, so padding this chunk aligns the archive.
    fn pad(&mut self) {
        let full = self.chunk.len().next_multiple_of(BLOCK);
        self.chunk.resize(full, 0);
    }
}

fn block(name: &[u8], kind: u8, size: u64, metadata: &Metadata) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let modified = metadata.modified.duration_since(SystemTime::UNIX_EPOCH);
    let modified = modified.unwrap_or_default().as_secs().min(LARGE - 1);
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, format!("{:07o}\0", metadata.mode & 0o777).as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size < LARGE {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    put(136, format!("{modified:011o}\0").as_bytes());
    // The checksum is computed as if its own field contained spaces.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar  \0");
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
