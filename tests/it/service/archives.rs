//! Builds zip archives of skills. No zip library is used, so that a test can build invalid archives.

use std::io::Write;

use flate2::{Compression, Crc, write::DeflateEncoder};

pub struct Entry {
    pub name: Vec<u8>,
    pub content: Vec<u8>,
    /// Unix mode including the file type; 0 for an archive from another system.
    pub mode: u32,
    /// Zip flags; 1 for an encrypted entry.
    pub flags: u16,
    /// Compression method: 0 for none, 8 for deflate.
    pub method: u16,
    /// Size to write into the headers instead of the actual size.
    pub stated_size: Option<u32>,
}

pub fn file(name: &str, content: impl Into<Vec<u8>>) -> Entry {
    Entry {
        name: name.into(),
        content: content.into(),
        mode: 0o100_644,
        flags: 0,
        method: 8,
        stated_size: None,
    }
}

pub fn folder(name: &str) -> Entry {
    Entry {
        mode: 0o040_755,
        method: 0,
        ..file(name, "")
    }
}

/// Returns the archive of a skill that contains only SKILL.md.
pub fn skill(name: &str, description: &str) -> Vec<u8> {
    zip(&[skill_file(name, description)])
}

pub fn skill_file(name: &str, description: &str) -> Entry {
    let text = format!("---\nname: {name}\ndescription: {description}\n---\n# How to use {name}\n");
    file(&format!("{name}/SKILL.md"), text)
}

fn packed(entry: &Entry) -> Vec<u8> {
    if entry.method != 8 {
        return entry.content.clone();
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&entry.content).unwrap();
    encoder.finish().unwrap()
}

fn put(bytes: &mut Vec<u8>, numbers: &[(u32, usize)]) {
    for (number, size) in numbers {
        bytes.extend_from_slice(&number.to_le_bytes()[..*size]);
    }
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let size = |length: usize| u32::try_from(length).unwrap();
    for entry in entries {
        let mut crc = Crc::new();
        crc.update(&entry.content);
        let packed = packed(entry);
        let offset = size(bytes.len());
        let stated = entry.stated_size.unwrap_or(size(entry.content.len()));
        let shared = [
            (20, 2),
            (entry.flags.into(), 2),
            (entry.method.into(), 2),
            (0, 2),
            (33, 2),
            (crc.sum(), 4),
            (size(packed.len()), 4),
            (stated, 4),
            (size(entry.name.len()), 2),
            (0, 2),
        ];
        put(&mut bytes, &[(0x0403_4b50, 4)]);
        put(&mut bytes, &shared);
        bytes.extend_from_slice(&entry.name);
        bytes.extend_from_slice(&packed);
        // The high byte 3 means that the archive was written on Unix.
        put(
            &mut directory,
            &[(0x0201_4b50, 4), (if entry.mode == 0 { 20 } else { 0x0314 }, 2)],
        );
        put(&mut directory, &shared);
        put(
            &mut directory,
            &[(0, 2), (0, 2), (0, 2), (entry.mode << 16, 4), (offset, 4)],
        );
        directory.extend_from_slice(&entry.name);
    }
    let (start, count) = (size(bytes.len()), size(entries.len()));
    bytes.extend_from_slice(&directory);
    let end = [
        (0x0605_4b50, 4),
        (0, 2),
        (0, 2),
        (count, 2),
        (count, 2),
        (size(directory.len()), 4),
        (start, 4),
        (0, 2),
    ];
    put(&mut bytes, &end);
    bytes
}
