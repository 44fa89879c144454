//! Checks and unpacks the zip archive of a skill. The archive comes from a client and is not trusted.
//!
//! An archive must contain one folder, with only regular files and folders below it. The limits apply to the bytes
//! that are actually unpacked, because the sizes in the archive's headers may be false.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Cursor, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use zip::{CompressionMethod, ZipArchive, read::ZipFileEntry};

use super::{
    SkillFile,
    front_matter::{self, FrontMatter},
};
use crate::error::{Code, Error, Result};

pub const MAX_ARCHIVE_BYTES: usize = 8 * 1024 * 1024;
const MAX_UNPACKED_BYTES: u64 = 32 * 1024 * 1024;
const MAX_ENTRIES: usize = 1000;
/// Maximum length of a path in bytes, and maximum number of its segments.
const MAX_PATH: (usize, usize) = (512, 16);
/// Maximum size of SKILL.md in bytes. The model reads its whole text.
const MAX_SKILL_FILE: u64 = 64 * 1024;
pub(super) const SKILL_FILE: &str = "SKILL.md";

// Masks and values of a Unix file mode.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const EXECUTE: u32 = 0o111;

#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) front_matter: FrontMatter,
    pub(super) instructions: String,
    pub(super) files: Vec<SkillFile>,
    pub(super) unpacked_bytes: u64,
}

/// Checks an archive and reads SKILL.md.
///
/// # Errors
/// `TOO_LARGE` if the archive is too large; INVALID_REQUEST if it breaks another rule.
pub(super) fn inspect(bytes: &[u8]) -> Result<Inspected> {
    if bytes.len() > MAX_ARCHIVE_BYTES {
        return Err(Error::new(
            Code::TooLarge,
            format!("the archive of a skill may have up to {MAX_ARCHIVE_BYTES} bytes"),
        ));
    }
    let (mut files, mut skill_file, mut folder) = (Vec::new(), None, String::new());
    walk(bytes, |entry, content| {
        folder.clone_from(&entry.folder);
        if entry.is_folder {
            return Ok(0);
        }
        let mut text = Vec::new();
        let size = if entry.path == SKILL_FILE {
            let size = content.read_to_end(&mut text)? as u64;
            skill_file = Some(text);
            size
        } else {
            io::copy(content, &mut io::sink())?
        };
        files.push(SkillFile {
            path: entry.path.clone(),
            size,
            executable: entry.executable,
        });
        Ok(size)
    })?;
    let text = skill_file.ok_or_else(|| refused(format!("contains no file {SKILL_FILE} in its folder {folder:?}")))?;
    if text.len() as u64 > MAX_SKILL_FILE {
        return Err(refused(format!(
            "contains a {SKILL_FILE} with more than {MAX_SKILL_FILE} bytes"
        )));
    }
    let text =
        String::from_utf8(text).map_err(|_| refused(format!("contains a {SKILL_FILE} that is not UTF-8 text")))?;
    let (front_matter, instructions) = front_matter::read(&text)?;
    if front_matter.name != folder {
        return Err(refused(format!(
            "contains the folder {folder:?}, but {SKILL_FILE} names the skill {:?}; the two must be equal",
            front_matter.name
        )));
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Inspected {
        front_matter,
        instructions: instructions.to_owned(),
        unpacked_bytes: files.iter().map(|file| file.size).sum(),
        files,
    })
}

/// Unpacks an archive into a new folder that every user can read. All files are synced to disk: a later run uses the
/// folder as it is, so a crash must not leave damaged files.
pub(super) fn unpack(bytes: &[u8], into: &Path) -> Result<()> {
    make_folder(into).map_err(not_unpacked)?;
    walk(bytes, |entry, content| {
        let path = into.join(&entry.path);
        if entry.is_folder {
            return make_folder(&path).map(|()| 0);
        }
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let size = io::copy(content, &mut file)?;
        let mode = if entry.executable { 0o755 } else { 0o644 };
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        Ok(size)
    })?;
    File::open(into)
        .and_then(|folder| folder.sync_all())
        .map_err(not_unpacked)
}

fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    fs::create_dir(path)?;
    // The umask may have removed permissions from the new folder.
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn not_unpacked(error: io::Error) -> Error {
    Error::internal("the skill could not be unpacked", error)
}

struct Entry {
    /// Top folder of the archive.
    folder: String,
    /// Path below the top folder; empty for the top folder itself.
    path: String,
    is_folder: bool,
    executable: bool,
}

/// Checks each entry, then calls `visit` with the entry and its content. `visit` returns the number of bytes it read.
fn walk(bytes: &[u8], mut visit: impl FnMut(&Entry, &mut dyn Read) -> io::Result<u64>) -> Result<()> {
    let damaged = |error: &dyn std::fmt::Display| refused(format!("cannot be read: {error}"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    if archive.is_empty() {
        return Err(refused("is empty"));
    }
    if archive.len() > MAX_ENTRIES {
        return Err(refused(format!("contains more than {MAX_ENTRIES} files and folders")));
    }
    if archive.has_duplicate_names() {
        return Err(refused("contains a name twice"));
    }
    let mut names = Names::default();
    let mut left = MAX_UNPACKED_BYTES;
    for index in 0..archive.len() {
        let entry = entry(&archive.by_index_data(index).map_err(|error| damaged(&error))?)?;
        let Some(entry) = entry else { continue };
        names.add(&entry)?;
        let mut file = archive.by_index(index).map_err(|error| damaged(&error))?;
        let read = visit(&entry, &mut (&mut file).take(left + 1)).map_err(|error| damaged(&error))?;
        left = left
            .checked_sub(read)
            .ok_or_else(|| refused(format!("unpacks to more than {MAX_UNPACKED_BYTES} bytes")))?;
    }
    names.folder.map(drop).ok_or_else(|| refused("is empty"))
}

/// Checks the name and type of an entry. Returns `None` for files that macOS adds to archives.
fn entry(found: &ZipFileEntry<'_>) -> Result<Option<Entry>> {
    let Ok(name) = std::str::from_utf8(found.name_raw()) else {
        return Err(refused("contains a name that is not UTF-8"));
    };
    let is_folder = name.ends_with('/');
    let parts: Vec<&str> = name.strip_suffix('/').unwrap_or(name).split('/').collect();
    if name.starts_with('/') {
        return Err(refused(format!("contains the absolute path {name:?}")));
    }
    if parts.iter().any(|part| ["", ".", ".."].contains(part)) {
        return Err(refused(format!("contains {name:?}, a path with empty parts, . or ..")));
    }
    if name.contains(['\\', ':']) || name.chars().any(char::is_control) {
        return Err(refused(format!(
            "contains {name:?}, a path with a backslash, a colon or a control character"
        )));
    }
    if name.len() > MAX_PATH.0 || parts.len() > MAX_PATH.1 {
        let (bytes, deep) = MAX_PATH;
        return Err(refused(format!(
            "contains a path with more than {bytes} bytes or {deep} parts"
        )));
    }
    let kind = found.unix_mode().unwrap_or_default() & TYPE;
    let expected = if is_folder { FOLDER } else { REGULAR };
    if found.is_symlink() || ![0, expected].contains(&kind) {
        return Err(refused(format!("contains {name:?}, which is a link or a special file")));
    }
    if found.encrypted() {
        return Err(refused(format!("contains {name:?}, which is encrypted")));
    }
    if ![CompressionMethod::Stored, CompressionMethod::Deflated].contains(&found.compression()) {
        return Err(refused(format!(
            "contains {name:?}, whose compression is not supported; use deflate"
        )));
    }
    if parts[0] == "__MACOSX" || parts.last() == Some(&".DS_Store") {
        return Ok(None);
    }
    if parts.len() == 1 && !is_folder {
        return Err(refused(format!(
            "contains {name:?} outside a folder; put all files into one folder with the name of the skill"
        )));
    }
    Ok(Some(Entry {
        folder: parts[0].to_owned(),
        path: parts[1..].join("/"),
        is_folder,
        executable: found.unix_mode().unwrap_or_default() & EXECUTE != 0,
    }))
}

/// The names of the entries read so far.
#[derive(Default)]
struct Names {
    folder: Option<String>,
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Names {
    fn add(&mut self, entry: &Entry) -> Result<()> {
        let folder = self.folder.get_or_insert_with(|| entry.folder.clone());
        if *folder != entry.folder {
            return Err(refused(format!(
                "contains the folders {folder:?} and {:?}; put all files into one folder with the name of the skill",
                entry.folder
            )));
        }
        let above = entry.path.match_indices('/').map(|(at, _)| entry.path[..at].to_owned());
        let above: Vec<String> = above.collect();
        let is_taken = if entry.is_folder {
            self.files.contains(&entry.path)
        } else {
            self.folders.contains(&entry.path) || !self.files.insert(entry.path.clone())
        };
        if is_taken || above.iter().any(|path| self.files.contains(path)) {
            return Err(refused(format!("contains {:?} twice", entry.path)));
        }
        self.folders.extend(above);
        if entry.is_folder {
            self.folders.insert(entry.path.clone());
        }
        Ok(())
    }
}

fn refused(what: impl std::fmt::Display) -> Error {
    Error::invalid_field("archive", format!("the skill archive {what}"))
}
