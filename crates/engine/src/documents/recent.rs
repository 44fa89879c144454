//! The documents that a run has read last, so that reading a long document page by page parses it once.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
};

use blake3::{Hash, Hasher};
use runyard_sandbox::Sandbox;
use tokio::task::spawn_blocking;

use super::{Document, Found, Unread, find, read};

/// Maximum number of documents.
const MAX_DOCUMENTS: usize = 8;
/// Maximum size in bytes of the texts of all documents. A document can have half of this.
const MAX_BYTES: usize = 2 * runyard_documents::MAX_TEXT_BYTES;

/// Documents by path and content. A file that has changed is parsed again.
#[derive(Default)]
pub struct RecentDocuments {
    /// The document that was used last is the last one.
    entries: Mutex<VecDeque<Entry>>,
}

struct Entry {
    path: String,
    size: u64,
    hash: Hash,
    document: Arc<Document>,
}

impl RecentDocuments {
    /// Returns the document at `path`. Parses it unless the same content was parsed before.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub async fn read(&self, sandbox: &dyn Sandbox, path: &str, mut found: Found) -> Result<Arc<Document>, Unread> {
        if self.has(path, found.size) {
            let content = found.file.content;
            let hashed = spawn_blocking(move || hash(content)).await;
            if let Ok(Ok(hash)) = hashed
                && let Some(document) = self.take(path, hash)
            {
                return Ok(document);
            }
            let again = find(sandbox, path).await.ok().flatten();
            found = again.ok_or_else(|| Unread::of_server("the file cannot be opened again".to_owned()))?;
        }
        let hasher = Arc::<Mutex<Hasher>>::default();
        let size = found.size;
        found.file.content = Box::new(Hashing {
            content: found.file.content,
            hasher: Arc::clone(&hasher),
        });
        let document = Arc::new(read(sandbox, path, found).await?);
        let hash = hasher.lock().unwrap_or_else(PoisonError::into_inner).finalize();
        self.keep(Entry {
            path: path.to_owned(),
            size,
            hash,
            document: Arc::clone(&document),
        });
        Ok(document)
    }

    fn has(&self, path: &str, size: u64) -> bool {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().any(|entry| entry.path == path && entry.size == size)
    }

    fn take(&self, path: &str, hash: Hash) -> Option<Arc<Document>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let at = entries
            .iter()
            .position(|entry| entry.path == path && entry.hash == hash)?;
        let entry = entries.remove(at)?;
        let document = Arc::clone(&entry.document);
        entries.push_back(entry);
        Some(document)
    }

    fn keep(&self, entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|other| other.path != entry.path);
        entries.push_back(entry);
        while entries.len() > MAX_DOCUMENTS
            || entries.iter().map(|entry| bytes(&entry.document)).sum::<usize>() > MAX_BYTES
        {
            entries.pop_front();
        }
    }
}

fn bytes(document: &Document) -> usize {
    document
        .parts
        .iter()
        .map(|part| part.text.len() + part.name.len())
        .sum()
}

fn hash(content: impl Read) -> io::Result<Hash> {
    let mut hasher = Hasher::new();
    hasher.update_reader(content)?;
    Ok(hasher.finalize())
}

/// Hashes what is read through it.
struct Hashing {
    content: Box<dyn Read + Send>,
    hasher: Arc<Mutex<Hasher>>,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        let mut hasher = self.hasher.lock().unwrap_or_else(PoisonError::into_inner);
        hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn entry(path: &str, content: &str, bytes: usize) -> Entry {
        let document = serde_json::json!({
            "kind": "pdf", "title": null, "unit": "page", "total_parts": 1,
            "parts": [{"name": "", "text": "a".repeat(bytes)}], "notes": [], "truncated": false, "has_failed_parts": false
        });
        Entry {
            path: path.to_owned(),
            size: content.len() as u64,
            hash: blake3::hash(content.as_bytes()),
            document: Arc::new(serde_json::from_value(document).unwrap()),
        }
    }

    #[test]
    fn the_documents_used_last_are_kept_within_the_limits() {
        let recent = RecentDocuments::default();
        let find = |path: &str, content: &str| recent.take(path, blake3::hash(content.as_bytes())).is_some();
        for number in 0..=MAX_DOCUMENTS {
            recent.keep(entry(&number.to_string(), "x", 1));
            assert!(find("1", "x") || number == 0);
        }
        assert!(!find("0", "x") && find("1", "x") && find("2", "x"));
        // A changed file replaces its earlier content.
        recent.keep(entry("1", "y", 1));
        assert!(!find("1", "x") && find("1", "y"));
        recent.keep(entry("large", "x", MAX_BYTES - 1));
        recent.keep(entry("next", "x", 1));
        assert!(find("large", "x") && find("next", "x") && !find("2", "x"));
        recent.keep(entry("more", "x", 1));
        assert!(!find("large", "x") || !find("next", "x"));
    }

    #[test]
    fn content_has_the_same_hash_in_both_ways() {
        let hasher = Arc::<Mutex<Hasher>>::default();
        let content = vec![7; 200_000];
        let mut hashing = Hashing {
            content: Box::new(io::Cursor::new(content.clone())),
            hasher: Arc::clone(&hasher),
        };
        io::copy(&mut hashing, &mut io::sink()).unwrap();
        assert_eq!(hasher.lock().unwrap().finalize(), hash(&content[..]).unwrap());
    }
}
