//! Finds the line and the key of a configuration error.

use std::{fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::advice;
use crate::error::{Error, Result};

/// One step of the path to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

/// An invalid value, and the reason why it is invalid.
#[derive(Debug)]
pub(super) struct Mistake<'a> {
    path: Vec<Step<'a>>,
    what: String,
}

impl<'a> Mistake<'a> {
    /// `list` is the key of an array of tables, such as `tiers`.
    pub(super) fn entry(list: &'static str, (index, key): (usize, &'static str), what: impl Into<String>) -> Self {
        Self {
            path: vec![Step::Key(list), Step::Item(index), Step::Key(key)],
            what: what.into(),
        }
    }

    /// `keys` is the path from the root of the configuration.
    pub(super) fn at(keys: impl IntoIterator<Item = &'a str>, what: impl Into<String>) -> Self {
        Self {
            path: keys.into_iter().map(Step::Key).collect(),
            what: what.into(),
        }
    }
}

pub(super) struct File<'t> {
    name: &'t str,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> File<'t> {
    /// Fails with INVALID_REQUEST. The message contains `name`, the line and the problem.
    pub(super) fn parse(name: &'t str, text: &'t str) -> Result<Self> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { name, text, root }),
            Err(error) => {
                let line = error.span().map_or(1, |span| line(text, span.start));
                let written = text.lines().nth(line - 1).unwrap_or_default();
                let what = advice::of_syntax(&error.message().replace('\n', ", "), written);
                Err(Error::invalid(format!("{name}, line {line}: {what}")))
            }
        }
    }

    pub(super) fn table(&self) -> &DeTable<'t> {
        self.root.get_ref()
    }

    /// Returns the error for an unknown key or a value of the wrong type.
    pub(super) fn misread(&self, error: &toml::de::Error) -> Error {
        let what = advice::of_type(&error.message().replace('\n', ", "));
        let Some(span) = error.span() else {
            return Error::invalid(format!("{}: {what}", self.name));
        };
        let mut path = Vec::new();
        descend(self.table(), &span, &mut path);
        self.refusal(line(self.text, span.start), &path, &what)
    }

    /// Returns the error for a failed validation. If the file does not set the value, the error names the line of the
    /// nearest enclosing value. If no enclosing value exists either, the error says that the default value is
    /// invalid.
    pub(super) fn mistaken(&self, mistake: &Mistake<'_>) -> Error {
        let found = (1..=mistake.path.len())
            .rev()
            .find_map(|length| Some((length, span_of(self.table(), &mistake.path[..length])?)));
        match found {
            Some((1, _)) if matches!(mistake.path.get(1), Some(Step::Item(_))) => self.unplaced(mistake),
            Some((_, span)) => self.refusal(line(self.text, span.start), &mistake.path, &mistake.what),
            None => self.unplaced(mistake),
        }
    }

    fn refusal(&self, line: usize, path: &[Step<'_>], what: &str) -> Error {
        Error::invalid(format!("{}, line {line}, {}: {what}", self.name, Path(path)))
    }

    fn unplaced(&self, mistake: &Mistake<'_>) -> Error {
        let Mistake { path, what } = mistake;
        Error::invalid(format!("{}, default value of {}: {what}", self.name, Path(path)))
    }
}

struct Path<'a>(&'a [Step<'a>]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Lines are numbered from 1; `at` is a byte offset.
fn line(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// Finds the value at `path` and returns its span. The span of a table, or of an entry in an array of tables, covers
/// only the header.
fn span_of(table: &DeTable<'_>, path: &[Step<'_>]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let Step::Key(key) = first else { return None };
    let mut value = table.get(*key)?;
    for step in rest {
        value = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(inner)) => inner.get(*key)?,
            (Step::Item(index), DeValue::Array(items)) => items.get(*index)?,
            _ => return None,
        };
    }
    Some(value.span())
}

/// Appends to `path` the steps to the value that contains the range `at`.
fn descend<'t>(table: &'t DeTable<'_>, at: &Range<usize>, path: &mut Vec<Step<'t>>) {
    for (key, value) in table {
        if covers(&key.span(), at) {
            path.push(Step::Key(key.get_ref()));
            return;
        }
        if holds(value, at) {
            path.push(Step::Key(key.get_ref()));
            return inside(value, at, path);
        }
    }
}

fn inside<'t>(value: &'t Spanned<DeValue<'_>>, at: &Range<usize>, path: &mut Vec<Step<'t>>) {
    match value.get_ref() {
        DeValue::Table(inner) => descend(inner, at, path),
        DeValue::Array(items) => {
            if let Some((index, item)) = items.iter().enumerate().find(|(_, item)| holds(item, at)) {
                path.push(Step::Item(index));
                inside(item, at, path);
            }
        }
        _ => {}
    }
}

/// The span of a table covers only its header, so the table's entries are checked too.
fn holds(value: &Spanned<DeValue<'_>>, at: &Range<usize>) -> bool {
    covers(&value.span(), at)
        || match value.get_ref() {
            DeValue::Table(inner) => inner
                .iter()
                .any(|(key, value)| covers(&key.span(), at) || holds(value, at)),
            DeValue::Array(items) => items.iter().any(|item| holds(item, at)),
            _ => false,
        }
}

/// Values from the environment have an empty span, which covers nothing.
fn covers(span: &Range<usize>, at: &Range<usize>) -> bool {
    span.start <= at.start && at.end <= span.end && !span.is_empty()
}
