//! Finds the name that a misspelt name probably means.

/// Returns the candidate with the fewest changed letters, if these are at most a third of the name.
pub(super) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let most = (name.chars().count() / 3).max(1);
    let distances = candidates.into_iter().map(|known| (distance(name, known), known));
    let (found, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (found <= most).then_some(known)
}

/// Returns the Levenshtein distance: the number of inserted, removed and replaced letters.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_has_few_changed_letters() {
        let names = ["LISTEN", "LOG", "DATABASE_URL", "DATA_DIR"];
        for (name, found) in [
            ("LISTN", Some("LISTEN")),
            ("LOGS", Some("LOG")),
            ("DATABSE_URL", Some("DATABASE_URL")),
            ("DATADIR", Some("DATA_DIR")),
            ("SOMETHING", None),
            ("BIN", None),
        ] {
            assert_eq!(nearest(name, names), found, "{name}");
        }
        assert_eq!(nearest("LOG", []), None);
    }
}
