//! Documents in containers: ZIP archives and OLE compound files. Finds the format, and refuses bombs and encryption.

use std::io::{Cursor, Read as _, Write as _};

use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::{Kind, Unreadable};

const MAX_ENTRIES: usize = 10_000;
const MAX_UNPACKED_BYTES: u64 = 512 << 20;
/// Maximum size in bytes of a member that this crate itself reads.
const MAX_MEMBER_BYTES: u64 = 64 << 20;
/// Maximum size in bytes of the members of an archive that are rewritten.
const MAX_REWRITTEN_BYTES: usize = 128 << 20;

pub type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Opens an archive and checks its limits.
pub fn open(bytes: &[u8]) -> Result<Archive<'_>, Unreadable> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Unreadable::damaged(Kind::Zip))?;
    if archive.len() > MAX_ENTRIES {
        return Err(Unreadable::too_large());
    }
    let mut unpacked: u64 = 0;
    for number in 0..archive.len() {
        let Ok(entry) = archive.by_index_raw(number) else {
            continue;
        };
        if entry.encrypted() {
            return Err(Unreadable::encrypted());
        }
        unpacked = unpacked.saturating_add(entry.size());
    }
    if unpacked > MAX_UNPACKED_BYTES {
        return Err(Unreadable::too_large());
    }
    Ok(archive)
}

/// Returns the names of the members; a name that is not text is left out.
pub fn names(archive: &Archive<'_>) -> Vec<String> {
    archive
        .file_names()
        .flatten()
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// Finds the format of a document in a ZIP archive.
pub fn kind(bytes: &[u8]) -> Result<Kind, Unreadable> {
    let mut archive = open(bytes)?;
    let names = names(&archive);
    let has = |prefix: &str| names.iter().any(|name| name.starts_with(prefix));
    let found = if has("word/") {
        Some(Kind::Docx)
    } else if has("xl/workbook.bin") {
        Some(Kind::Xlsb)
    } else if has("xl/") {
        Some(Kind::Xlsx)
    } else if has("ppt/") {
        Some(Kind::Pptx)
    } else {
        None
    };
    if let Some(kind) = found {
        return Ok(kind);
    }
    let stated = member(&mut archive, "mimetype").unwrap_or_default();
    let stated = String::from_utf8_lossy(&stated);
    if stated.contains("opendocument.spreadsheet") {
        // An encrypted OpenDocument file states the encryption of each member.
        let manifest = member(&mut archive, "META-INF/manifest.xml").unwrap_or_default();
        let manifest = String::from_utf8_lossy(&manifest);
        if manifest.contains("encryption-data") {
            return Err(Unreadable::encrypted());
        }
        return Ok(Kind::Ods);
    }
    if stated.contains("epub") || archive.index_for_name("META-INF/container.xml").is_some() {
        return Ok(Kind::Epub);
    }
    let types = member(&mut archive, "[Content_Types].xml").unwrap_or_default();
    let types = String::from_utf8_lossy(&types);
    let by_type = [
        ("wordprocessingml.document.main", Kind::Docx),
        ("spreadsheetml.sheet.main", Kind::Xlsx),
        ("presentationml.presentation.main", Kind::Pptx),
    ];
    let found = by_type.iter().find(|(name, _)| types.contains(name));
    found.map(|(_, kind)| *kind).ok_or_else(Unreadable::unknown)
}

/// Reads a member; `None` if it is missing, damaged or too large.
pub fn member(archive: &mut Archive<'_>, name: &str) -> Option<Vec<u8>> {
    let entry = archive.by_name(name).ok()?;
    let mut content = Vec::new();
    entry.take(MAX_MEMBER_BYTES + 1).read_to_end(&mut content).ok()?;
    (content.len() as u64 <= MAX_MEMBER_BYTES).then_some(content)
}

/// Rewrites an archive. `rewrite` gets the name and the text of each member that is UTF-8, and returns its new text, or
/// `None` to keep the member. Returns `None` if all members are kept, or if the archive cannot be rewritten.
pub fn rewritten(bytes: &[u8], mut rewrite: impl FnMut(&str, &str) -> Option<String>) -> Option<Vec<u8>> {
    let mut archive = open(bytes).ok()?;
    let mut changed = Vec::new();
    let mut total = 0;
    for name in names(&archive) {
        // Members without text cannot have names that matter here, and can be large.
        let Some(text) = member(&mut archive, &name).and_then(|content| String::from_utf8(content).ok()) else {
            continue;
        };
        if let Some(text) = rewrite(&name, text.trim_start_matches('\u{feff}')) {
            total += text.len();
            if total > MAX_REWRITTEN_BYTES {
                return None;
            }
            changed.push((name, text));
        }
    }
    if changed.is_empty() {
        return None;
    }
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..archive.len() {
        let Ok(entry) = archive.by_index_raw(number) else {
            continue;
        };
        let is_changed = entry
            .name()
            .is_ok_and(|entry| changed.iter().any(|(name, _)| *name == entry));
        if !is_changed {
            writer.raw_copy_file(entry).ok()?;
        }
    }
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, text) in changed {
        writer.start_file(name, options).ok()?;
        writer.write_all(text.as_bytes()).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}

/// Finds the format of an OLE compound file by the names of its streams.
pub fn compound_kind(bytes: &[u8]) -> Result<Kind, Unreadable> {
    let has = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // The names are in directory entries of 128 bytes.
        let entries = bytes.chunks_exact(128).skip(4);
        let mut entries = entries.map(|entry| entry.get(..name.len() + 2));
        entries.any(|start| start.is_some_and(|start| start.starts_with(&name) && start.ends_with(&[0, 0])))
    };
    if has("EncryptedPackage") {
        Err(Unreadable::encrypted())
    } else if has("Workbook") || has("Book") {
        Ok(Kind::Xls)
    } else if has("WordDocument") {
        Ok(Kind::Doc)
    } else if has("PowerPoint Document") {
        Ok(Kind::Ppt)
    } else {
        Err(Unreadable::unknown())
    }
}
