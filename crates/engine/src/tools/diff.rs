//! Creates a small unified diff. The changes must be sorted by position and must not overlap.

use std::fmt::Write as _;

/// Number of unchanged lines before and after a change.
const CONTEXT_LINES: usize = 3;
const MAX_HUNKS: usize = 5;
/// Maximum number of removed lines that the diff shows per change. The same maximum applies to added lines.
const MAX_SIDE_LINES: usize = 40;
/// Maximum bytes per line.
const MAX_LINE_BYTES: usize = 400;

pub(super) struct Change<'a> {
    /// Byte offset of the replaced text in the old text.
    pub(super) start: usize,
    /// Bytes of the replaced text.
    pub(super) old_bytes: usize,
    pub(super) new: &'a str,
}

/// Returns the diff of the first [`MAX_HUNKS`] changes. If there are more changes, the last line of the diff states
/// their number.
pub(super) fn unified(old: &str, changes: &[Change<'_>]) -> String {
    let mut text = String::new();
    let mut shift: isize = 0;
    for change in changes.iter().take(MAX_HUNKS) {
        hunk(&mut text, old, change, &mut shift);
    }
    if changes.len() > MAX_HUNKS {
        let _ = writeln!(text, "[… {} more changes]", changes.len() - MAX_HUNKS);
    }
    text
}

fn hunk(text: &mut String, old: &str, change: &Change<'_>, shift: &mut isize) {
    let end = change.start + change.old_bytes;
    let from = old[..change.start].rfind('\n').map_or(0, |place| place + 1);
    // The next line is unchanged if the replaced text and the new text both end with a line feed, or if whole lines
    // are deleted. A deletion that starts inside a line joins this line with the next one.
    let ends_line =
        end > from && old.as_bytes()[end - 1] == b'\n' && (change.new.is_empty() || change.new.ends_with('\n'));
    let ends_line = ends_line && (change.start == from || !change.new.is_empty());
    let to = if ends_line {
        end
    } else {
        old[end..].find('\n').map_or(old.len(), |place| end + place + 1)
    };
    let removed = &old[from..to];
    let added = format!("{}{}{}", &old[from..change.start], change.new, &old[end..to]);
    let before: Vec<&str> = last_lines(&old[..from]);
    let after: Vec<&str> = old[to..].lines().take(CONTEXT_LINES).collect();
    let line = old[..from].matches('\n').count() + 1 - before.len();
    let around = before.len() + after.len();
    let (minus, plus) = (removed.lines().count(), added.lines().count());
    let new_line = line.saturating_add_signed(*shift);
    let _ = writeln!(text, "@@ -{line},{} +{new_line},{} @@", minus + around, plus + around);
    side(text, ' ', before.into_iter());
    side(text, '-', removed.lines());
    side(text, '+', added.lines());
    side(text, ' ', after.into_iter());
    *shift += plus.cast_signed() - minus.cast_signed();
}

fn last_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().rev().take(CONTEXT_LINES).collect();
    lines.reverse();
    lines
}

fn side<'a>(text: &mut String, sign: char, lines: impl Iterator<Item = &'a str>) {
    let mut left_out = 0;
    for (index, line) in lines.enumerate() {
        if index < MAX_SIDE_LINES {
            let line = &line[..line.floor_char_boundary(MAX_LINE_BYTES)];
            let _ = writeln!(text, "{sign}{line}");
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let _ = writeln!(text, "{sign}[… {left_out} more lines]");
    }
}
