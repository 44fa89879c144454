//! Which settings are copied, and which are mounted.

use std::{
    fs::{self, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::{SettingsFolder, make_folder, make_parents};
use crate::settings::{made, shared};

/// Maximum size of a shared folder or file that is copied. A larger one is mounted.
pub(super) const MAX_COPY_BYTES: u64 = 2 << 20;
/// Maximum number of files in a shared folder that is copied.
const MAX_COPY_FILES: usize = 1000;
/// A folder with more entries is mounted if all of them are public. The folders of certificates and of alternatives have
/// hundreds of links: on ext4, creating them at each start of a service takes more time than a mount in each sandbox.
pub(super) const MANY: usize = 100;

/// The files to copy, with the metadata that shows a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    copied: Vec<Entry>,
    mounted: Vec<(PathBuf, PathBuf)>,
    made: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    source: PathBuf,
    inside: PathBuf,
    mode: u32,
    size: u64,
    changed: (i64, i64),
}

impl Plan {
    pub(super) fn of(root: &Path) -> Self {
        let shared = shared(root);
        let mut plan = Self {
            made: made(&shared).collect(),
            ..Self::default()
        };
        for (source, inside) in shared {
            match walk(&source, &inside) {
                Some(entries) => plan.copied.extend(entries),
                None => plan.mounted.push((source, inside)),
            }
        }
        plan
    }

    pub(super) fn copy_to(&self, parent: &Path, folder: PathBuf) -> io::Result<SettingsFolder> {
        let mode = if rustix::process::geteuid().is_root() {
            0o711
        } else {
            0o700
        };
        make_folder(parent, mode)?;
        let copy = SettingsFolder {
            folder,
            mounted: self.mounted.clone(),
        };
        make_folder(&copy.folder, 0o755)?;
        let within = |inside: &Path| copy.folder.join(inside.strip_prefix("/").unwrap_or(inside));
        for name in [copy.etc(), copy.var()] {
            make_folder(&name, 0o755)?;
        }
        symlink("/tmp", copy.var().join("tmp"))?;
        for entry in &self.copied {
            entry.copy_to(&copy.folder, &within(&entry.inside))?;
        }
        for (source, inside) in &self.mounted {
            let target = within(inside);
            make_parents(&copy.folder, &target)?;
            if source.is_dir() {
                make_folder(&target, 0o755)?;
            } else {
                fs::write(&target, "")?;
            }
        }
        for (path, content) in &self.made {
            let target = within(Path::new(path));
            make_parents(&copy.folder, &target)?;
            fs::write(&target, content)?;
            fs::set_permissions(&target, Permissions::from_mode(0o444))?;
        }
        Ok(copy)
    }
}

impl Entry {
    fn copy_to(&self, folder: &Path, target: &Path) -> io::Result<()> {
        make_parents(folder, target)?;
        match self.mode & libc::S_IFMT {
            libc::S_IFDIR => make_folder(target, 0o755),
            libc::S_IFLNK => symlink(fs::read_link(&self.source)?, target),
            _ => {
                fs::copy(&self.source, target)?;
                fs::set_permissions(target, Permissions::from_mode(self.mode & 0o755))
            }
        }
    }
}

/// Returns the public files and folders at and below `source`; `None` if `source` is mounted instead of copied.
fn walk(source: &Path, inside: &Path) -> Option<Vec<Entry>> {
    let mut pending = vec![(source.to_owned(), inside.to_owned())];
    let (mut entries, mut bytes, mut is_public) = (Vec::new(), 0, true);
    while let Some((source, inside)) = pending.pop() {
        // A file that was just removed is skipped.
        let Ok(metadata) = fs::symlink_metadata(&source) else {
            continue;
        };
        if !is_copied(&metadata) {
            is_public = false;
            continue;
        }
        if metadata.is_dir() {
            for entry in fs::read_dir(&source).into_iter().flatten().flatten() {
                pending.push((entry.path(), inside.join(entry.file_name())));
            }
        } else {
            bytes += metadata.len();
        }
        entries.push(Entry {
            source,
            inside,
            mode: metadata.mode(),
            size: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        });
        if bytes > MAX_COPY_BYTES || entries.len() + pending.len() > MAX_COPY_FILES {
            return None;
        }
    }
    (entries.len() <= MANY || !is_public).then_some(entries)
}

/// Returns whether the entry is a link, a file that every user may read, or a folder that every user may list and
/// traverse.
fn is_copied(metadata: &Metadata) -> bool {
    let needed = if metadata.is_dir() { 0o005 } else { 0o004 };
    metadata.is_symlink() || ((metadata.is_dir() || metadata.is_file()) && metadata.mode() & needed == needed)
}
