//! Measures and removes the folder tree of a workspace, even while a hostile command changes it.
//!
//! A command may nest folders so deeply that paths exceed their maximum length, or a recursive removal runs out of
//! descriptors. No function here is recursive or keeps more than a few descriptors open.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{AtFlags, FileType, Mode},
    io::Errno,
};

use super::{
    beneath::{MAX_PATH_BYTES, Root, look, names, open_folder, open_up},
    workspace::Usage,
};

/// Maximum number of names that are read at once from a folder that is being emptied.
const BATCH: usize = 1000;
/// Maximum number of reads of a folder that is being emptied. A running command may keep adding files.
const ROUNDS: usize = 100_000;

/// Measures the disk usage of a workspace. Stops as soon as a limit is exceeded, and returns the usage so far. A
/// folder whose path is too long for the kernel counts as `u64::MAX` files.
#[expect(
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "the types differ between architectures; blocks are not negative"
)]
pub fn measure(root: &Root, limit: Usage) -> rustix::io::Result<Usage> {
    let mut usage = Usage::default();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let folder = match root.open_folder(&path) {
            Ok(folder) => folder,
            // A command removed or replaced the folder after it was listed.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(errno) => return Err(errno),
        };
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let Ok(stat) = look(&folder, name) else { continue };
            usage.files += 1;
            usage.bytes += stat.st_blocks as u64 * 512 / (stat.st_nlink as u64).max(1);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let below = if path.is_empty() {
                    name.to_vec()
                } else {
                    [&path, b"/".as_slice(), name].concat()
                };
                if below.len() > MAX_PATH_BYTES {
                    usage.files = u64::MAX;
                    return Ok(usage);
                }
                pending.push(below);
            }
            if usage.bytes > limit.bytes || usage.files > limit.files {
                return Ok(usage);
            }
        }
    }
    Ok(usage)
}

/// Removes a file, a link, or a folder with its content.
pub fn remove(root: &Root, folder: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        answer => return answer,
    }
    let bin = Bin::make(root)?;
    bin.take(folder, name, 0)?;
    bin.burn(1)
}

/// Removes the content of a workspace. Fails with `ENOTEMPTY` if a command keeps adding files.
pub fn empty(root: &Root) -> rustix::io::Result<()> {
    rustix::fs::fchmod(root.folder(), Mode::RWXU)?;
    for _ in 0..ROUNDS {
        let names = names(root.folder(), BATCH)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            match remove(root, root.folder(), &name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Err(Errno::NOTEMPTY)
}

/// A temporary folder at the top of the workspace. Folders to remove are first moved into this folder, so that their
/// paths stay short.
struct Bin<'a> {
    root: &'a Root,
    name: String,
    folder: OwnedFd,
}

impl<'a> Bin<'a> {
    fn make(root: &'a Root) -> rustix::io::Result<Self> {
        let name = format!(".runyard-tmp-{:016x}", u64::from_ne_bytes(rand::random::<[u8; 8]>()));
        rustix::fs::mkdirat(root.folder(), name.as_str(), Mode::RWXU)?;
        let folder = root.open_folder(&name)?;
        Ok(Self { root, name, folder })
    }

    fn take(&self, folder: &OwnedFd, name: &[u8], number: u64) -> rustix::io::Result<()> {
        let into = number.to_string();
        match rustix::fs::renameat(folder, name, &self.folder, into.as_str()) {
            // Moving a folder to another parent requires write permission on the folder itself.
            Err(Errno::ACCESS) => {
                open_up(folder, name)?;
                rustix::fs::renameat(folder, name, &self.folder, into.as_str())
            }
            answer => answer,
        }
    }

    fn burn(self, taken: u64) -> rustix::io::Result<()> {
        let mut next = taken;
        let mut pending: Vec<u64> = (0..taken).collect();
        while let Some(number) = pending.pop() {
            let name = number.to_string();
            // Removing entries from a folder requires write permission on the folder.
            open_up(&self.folder, name.as_bytes())?;
            let folder = open_folder(&self.folder, name.as_bytes())?;
            for _ in 0..ROUNDS {
                let names = names(&folder, BATCH)?;
                if names.is_empty() {
                    break;
                }
                for name in names {
                    match rustix::fs::unlinkat(&folder, name.as_slice(), AtFlags::empty()) {
                        Ok(()) | Err(Errno::NOENT) => {}
                        Err(Errno::ISDIR) => {
                            self.take(&folder, &name, next)?;
                            pending.push(next);
                            next += 1;
                        }
                        Err(errno) => return Err(errno),
                    }
                }
            }
            rustix::fs::unlinkat(&self.folder, name.as_str(), AtFlags::REMOVEDIR)?;
        }
        rustix::fs::unlinkat(self.root.folder(), self.name.as_str(), AtFlags::REMOVEDIR)
    }
}
