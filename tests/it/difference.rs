//! Comparisons of long lists. A failure prints only the entries that differ.

use std::fmt::Debug;

#[track_caller]
pub fn assert_same_list<T: Debug + PartialEq<U>, U: Debug>(found: &[T], expected: &[U], what: &str) {
    let same = found.iter().zip(expected).take_while(|(one, other)| one == other);
    let same = same.count();
    assert!(
        same == found.len() && same == expected.len(),
        "{what}: {}first difference at position {same}: found {:?}, expected {:?}",
        difference(found, expected).unwrap_or_default(),
        found.get(same),
        expected.get(same)
    );
}

/// Panics unless both lists contain each entry equally often, in any order.
#[track_caller]
pub fn assert_same_set<T: Debug + PartialEq<U>, U: Debug>(found: &[T], expected: &[U], what: &str) {
    if let Some(difference) = difference(found, expected) {
        panic!("{what}: {difference}");
    }
}

fn difference<T: Debug + PartialEq<U>, U: Debug>(found: &[T], expected: &[U]) -> Option<String> {
    let mut missing: Vec<&U> = expected.iter().collect();
    let mut extra = Vec::new();
    for entry in found {
        match missing.iter().position(|other| entry == *other) {
            Some(at) => drop(missing.remove(at)),
            None => extra.push(entry),
        }
    }
    let differs = !extra.is_empty() || !missing.is_empty();
    differs.then(|| format!("missing: {missing:#?}\nnot expected: {extra:#?}\n"))
}

#[test]
fn a_failure_prints_only_the_entries_that_differ() {
    let message = |check: fn()| {
        *std::panic::catch_unwind(check)
            .unwrap_err()
            .downcast::<String>()
            .unwrap()
    };
    let set = message(|| assert_same_set(&["a", "b", "b", "c"], &["c", "d", "a", "b"], "letters"));
    assert!(
        set.starts_with("letters: ") && set.contains("\"b\"") && set.contains("\"d\""),
        "{set}"
    );
    assert!(!set.contains("\"a\"") && !set.contains("\"c\""), "{set}");
    let list = message(|| assert_same_list(&["a", "b", "c"], &["a", "c", "b"], "order"));
    assert!(list.contains("position 1") && !list.contains("\"a\""), "{list}");
    message(|| assert_same_list(&["a"], &["a", "b"], "a shorter list"));
    assert_same_set(&["a", "b"], &["b", "a"], "another order");
    assert_same_list(&["a", "b"], &["a".to_owned(), "b".to_owned()], "other types");
}
