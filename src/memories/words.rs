//! Splits texts into words for full-text search. Memories and queries are split in the same way, so both databases
//! find the same memories.
//!
//! On SQLite, each word in the index begins with a mark of its account: `blue` is stored as `1f0c2a9eblue`. A search
//! therefore reads only the index entries of one account.

use std::collections::HashSet;

use sea_orm::DbBackend;
use uuid::Uuid;

/// Maximum length of a word in characters; longer words are truncated.
const MAX_LENGTH: usize = 64;
/// Maximum number of different words of a query.
const MAX_QUERY: usize = 32;
/// Minimum length, in characters, of a query word that also matches longer words with this prefix.
const MIN_PREFIX: usize = 4;

/// The words of a memory, as the text of an FTS5 row or as a `tsvector`.
pub(super) fn indexed(backend: DbBackend, account_id: Uuid, text: &str) -> String {
    let words = split(text);
    let stored: Vec<String> = if backend == DbBackend::Postgres {
        words
            .zip(1..)
            .map(|(word, position)| format!("{word}:{position}"))
            .collect()
    } else {
        let mark = mark(account_id);
        words.map(|word| format!("{mark}{word}")).collect()
    };
    stored.join(" ")
}

/// A search expression for FTS5 or a `tsquery`. It matches memories with one or more words of the text. `None` if the
/// text has no words.
pub(super) fn query(backend: DbBackend, account_id: Uuid, text: &str) -> Option<String> {
    let mut known = HashSet::new();
    let words: Vec<String> = split(text)
        .filter(|word| known.insert(word.clone()))
        .take(MAX_QUERY)
        .collect();
    if words.is_empty() {
        return None;
    }
    let parts: Vec<(String, &str)> = words
        .into_iter()
        .map(|word| {
            let is_prefix = word.chars().count() >= MIN_PREFIX;
            (word, if is_prefix { "*" } else { "" })
        })
        .collect();
    if backend == DbBackend::Postgres {
        let part = |(word, star): &(String, &str)| match *star {
            "" => word.clone(),
            star => format!("{word}:{star}"),
        };
        return Some(parts.iter().map(part).collect::<Vec<_>>().join(" | "));
    }
    let mark = mark(account_id);
    let part = |(word, star): &(String, &str)| format!("\"{mark}{word}\"{star}");
    Some(parts.iter().map(part).collect::<Vec<_>>().join(" OR "))
}

/// Returns 32 bits of an account's id as hexadecimal digits. Two accounts may have the same mark, so the query also
/// compares the account's id.
fn mark(account_id: Uuid) -> String {
    // The first two of these bits are the variant of the UUID. The other bits are random.
    format!("{:08x}", account_id.as_u64_pair().1 >> 32)
}

/// Returns lower-case words of letters and digits. In scripts without spaces between words, each character is a word.
fn split(text: &str) -> impl Iterator<Item = String> {
    let mut words = Vec::new();
    for part in text.split(|letter: char| !letter.is_alphanumeric()) {
        let mut word = String::new();
        for letter in part.chars() {
            if is_word(letter) {
                words.push(std::mem::take(&mut word));
                words.push(letter.to_string());
            } else {
                word.extend(letter.to_lowercase());
            }
        }
        words.push(word);
    }
    words.into_iter().filter(|word| !word.is_empty()).map(|word| {
        // The lower case of a letter may contain a combining mark, which is not alphanumeric.
        let letters = word.chars().filter(|letter| letter.is_alphanumeric());
        letters.take(MAX_LENGTH).collect()
    })
}

/// Scripts without spaces between words: Thai, Lao, Khmer, Japanese and Chinese.
fn is_word(letter: char) -> bool {
    matches!(
        letter,
        '\u{0E00}'..='\u{0EFF}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8a0b_0c0d_0000_0000);

    #[test]
    fn a_text_is_split_into_words_in_lower_case() {
        let words = |text: &str| split(text).collect::<Vec<_>>();
        assert_eq!(
            words("It's BLUE-green, 42 times!"),
            ["it", "s", "blue", "green", "42", "times"]
        );
        assert_eq!(words("ÉCLAIR İstanbul"), ["éclair", "istanbul"]);
        assert_eq!(words("我喜欢blue"), ["我", "喜", "欢", "blue"]);
        assert_eq!(words(" '\"\\:*|&()!<-> "), [""; 0]);
        assert_eq!(words(&"x".repeat(100)), ["x".repeat(64)]);
    }

    #[test]
    fn an_index_entry_on_sqlite_has_the_mark_of_its_account() {
        assert_eq!(
            indexed(DbBackend::Sqlite, ACCOUNT, "Blue sky"),
            "8a0b0c0dblue 8a0b0c0dsky"
        );
        assert_eq!(indexed(DbBackend::Postgres, ACCOUNT, "Blue sky"), "blue:1 sky:2");
    }

    #[test]
    fn a_query_matches_any_word_and_longer_words_that_begin_with_a_long_word() {
        let query = |backend, text| query(backend, ACCOUNT, text).unwrap_or_default();
        assert_eq!(
            query(DbBackend::Sqlite, "a blue a"),
            "\"8a0b0c0da\" OR \"8a0b0c0dblue\"*"
        );
        assert_eq!(query(DbBackend::Postgres, "a blue a"), "a | blue:*");
        assert_eq!(query(DbBackend::Postgres, "\" OR *"), "or");
        assert_eq!(query(DbBackend::Sqlite, "?!"), "");
        let long = (0..100).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
        assert_eq!(query(DbBackend::Postgres, &long).split(" | ").count(), MAX_QUERY);
    }
}
