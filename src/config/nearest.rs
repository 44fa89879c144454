//! Finds the name that a misspelt name probably means.

/// Returns the candidate with the fewest changed letters, if these are at most a third of the name.
pub(super) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let most = (name.chars().count() / 3).max(1);
    let distances = candidates
        .into_iter()
        .map(|known| (strsim::levenshtein(name, known), known));
    let (found, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (found <= most).then_some(known)
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
