//! Decides which chart to draw of a table, and creates the script that draws it.

use serde_json::json;

use super::sample::{Column, Kind, Sample};

const PYTHON: &str = include_str!("analyze.py");
const SHELL: &str = include_str!("analyze.sh");

/// Names of columns that identify a row rather than measure it.
const NO_MEASURES: &[&str] = &[
    "id",
    "key",
    "zip",
    "postcode",
    "plz",
    "phone",
    "lat",
    "latitude",
    "lon",
    "lng",
    "longitude",
    "year",
    "index",
    "no",
];

/// Names of columns that are worth drawing, best first.
const MEASURES: &[&str] = &[
    "revenue", "sales", "turnover", "profit", "amount", "total", "income", "spend", "cost", "price", "value", "units",
    "quantity", "qty", "count", "visits", "score",
];

/// Names of columns for which a sum is meaningless.
const AVERAGED: &[&str] = &[
    "price",
    "rate",
    "ratio",
    "percent",
    "pct",
    "avg",
    "average",
    "mean",
    "temp",
    "temperature",
    "score",
    "rating",
    "age",
    "height",
    "weight",
    "speed",
    "humidity",
    "pressure",
    "latency",
    "duration",
    "length",
    "width",
];

const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mon", "tue", "wed", "thu",
    "fri", "sat", "sun",
];

/// Language of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Shell,
}

impl Language {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Python => "output/analyze.py",
            Self::Shell => "output/analyze.sh",
        }
    }

    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Python => "python3 output/analyze.py",
            Self::Shell => "sh output/analyze.sh",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Shell => "shell and awk",
        }
    }
}

/// Chart to draw of a table. Columns are numbered from 1; 0 means none.
#[derive(Debug)]
pub(super) struct Analysis<'a> {
    file: &'a str,
    sample: &'a Sample,
    group: usize,
    value: usize,
    shape: &'static str,
    how: &'static str,
    order: &'static str,
    pub(super) title: String,
    axis: String,
    across: String,
}

impl<'a> Analysis<'a> {
    /// Creates a plan from the columns and the user's message: columns named in the message come first.
    pub(super) fn of(file: &'a str, sample: &'a Sample, task: &str) -> Self {
        let task = task.to_lowercase();
        let value = best(sample, |column| measure(column, &task));
        let group = best(sample, |column| category(column, &task));
        let column = |number: usize| number.checked_sub(1).and_then(|at| sample.columns.get(at));
        let name = |number: usize| column(number).map_or("rows", |column| column.name.as_str());
        let is_averaged = column(value).is_some_and(|column| words(&column.name).any(|word| AVERAGED.contains(&word)));
        let (shape, how) = match (column(group), value) {
            (None, 0) => ("none", "count"),
            (None, _) => ("histogram", "count"),
            (Some(by), _) => {
                let how = if value == 0 {
                    "count"
                } else if is_averaged {
                    "mean"
                } else {
                    "sum"
                };
                (if by.kind == Kind::Date { "line" } else { "bars" }, how)
            }
        };
        let is_calendar = column(group).is_some_and(|by| by.values.iter().all(|value| is_month(value)));
        let axis = match (shape, how) {
            ("histogram", _) | (_, "count") => "number of rows".to_owned(),
            (_, how) => format!("{how} of {}", name(value)),
        };
        let title = match (shape, how) {
            ("histogram", _) => format!("Distribution of {}", name(value)),
            (_, "count") => format!("Rows by {}", name(group)),
            (_, "mean") => format!("Average {} by {}", name(value), name(group)),
            _ => format!("{} by {}", capital(name(value)), name(group)),
        };
        let across = if shape == "histogram" { name(value) } else { name(group) }.to_owned();
        let order = if is_calendar { "seen" } else { "value" };
        Self {
            file,
            sample,
            group,
            value,
            shape,
            how,
            order,
            title,
            axis,
            across,
        }
    }

    /// Describes the chart in a phrase.
    pub(super) fn describe(&self) -> String {
        match self.shape {
            "none" => "a summary of the columns".to_owned(),
            "line" => format!("a line chart, “{}”", self.title),
            _ => format!("a bar chart, “{}”", self.title),
        }
    }

    /// Describes the table in a phrase.
    pub(super) fn describe_table(&self) -> String {
        let columns: Vec<String> = self
            .sample
            .columns
            .iter()
            .take(12)
            .map(|column| format!("{} ({})", column.name, column.kind.as_str()))
            .collect();
        let more = self.sample.columns.len().saturating_sub(12);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let separator = match self.sample.delimiter {
            '\t' => "tabs",
            ';' => "semicolons",
            '|' => "bars",
            _ => "commas",
        };
        format!(
            "{} columns separated by {separator}: {}{more}",
            self.sample.columns.len(),
            columns.join(", ")
        )
    }

    /// Returns whether the chart shows averages instead of sums.
    pub(super) fn is_mean(&self) -> bool {
        self.how == "mean"
    }

    /// Returns the finished script.
    pub(super) fn script(&self, language: Language) -> String {
        match language {
            Language::Python => PYTHON.replacen("__PLAN__", &self.python(), 1),
            Language::Shell => SHELL.replacen("__PLAN__", &self.shell(), 1),
        }
    }

    fn subtitle(&self) -> String {
        format!("{}, from {}", self.axis, self.file)
    }

    /// Returns the plan as a Python literal: JSON without true, false and null is valid Python.
    fn python(&self) -> String {
        let columns: Vec<_> = self
            .sample
            .columns
            .iter()
            .map(|column| json!([column.name, column.kind.as_str()]))
            .collect();
        let plan = json!({
            "file": self.file, "delimiter": self.sample.delimiter, "header": i32::from(self.sample.has_header),
            "decimal": self.sample.decimal, "columns": columns, "group": self.group, "value": self.value,
            "shape": self.shape, "how": self.how, "order": self.order, "title": self.title,
            "subtitle": self.subtitle(), "axis": self.axis, "across": self.across,
        });
        serde_json::to_string_pretty(&plan).unwrap_or_default()
    }

    /// Returns the plan as shell variables.
    fn shell(&self) -> String {
        let join = |text: fn(&Column) -> &str| -> String {
            self.sample.columns.iter().map(text).collect::<Vec<_>>().join("\n")
        };
        [
            ("FILE", self.file.to_owned()),
            ("DELIMITER", self.sample.delimiter.to_string()),
            ("HEADER", i32::from(self.sample.has_header).to_string()),
            ("DECIMAL", self.sample.decimal.to_string()),
            ("NAMES", join(|column| &column.name)),
            ("KINDS", join(|column| column.kind.as_str())),
            ("GROUP", self.group.to_string()),
            ("VALUE", self.value.to_string()),
            ("SHAPE", self.shape.to_owned()),
            ("HOW", self.how.to_owned()),
            ("ORDER", self.order.to_owned()),
            ("TITLE", self.title.clone()),
            ("SUBTITLE", self.subtitle()),
            ("AXIS", self.axis.clone()),
            ("ACROSS", self.across.clone()),
        ]
        .map(|(name, value)| format!("export PLAN_{name}={}", quoted(&value)))
        .join("\n")
    }
}

/// Quotes a text for the shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// Returns the number of the column with the highest score, from 1; 0 if no column has a score.
fn best(sample: &Sample, score: impl Fn(&Column) -> Option<usize>) -> usize {
    let scores = sample
        .columns
        .iter()
        .enumerate()
        .filter_map(|(at, column)| Some((score(column)?, at + 1)));
    // The first column wins a tie: tables usually have the most important columns first.
    scores
        .fold((0, 0), |best, next| if next.0 > best.0 { next } else { best })
        .1
}

fn measure(column: &Column, task: &str) -> Option<usize> {
    if column.kind != Kind::Number {
        return None;
    }
    if is_named(column, task) {
        return Some(1000);
    }
    if words(&column.name).any(|word| NO_MEASURES.contains(&word)) {
        return None;
    }
    let known = MEASURES
        .iter()
        .position(|known| words(&column.name).any(|word| word == *known));
    Some(1 + known.map_or(0, |position| 100 - position))
}

fn category(column: &Column, task: &str) -> Option<usize> {
    let bonus = if is_named(column, task) { 1000 } else { 0 };
    let is_id = words(&column.name).any(|word| word == "id" || word == "uuid");
    match column.kind {
        Kind::Number => words(&column.name).any(|word| word == "year").then_some(50 + bonus),
        Kind::Date if column.distinct >= 3 => Some(300 + bonus),
        Kind::Date => Some(20 + bonus),
        Kind::Text if column.values.is_empty() => None,
        Kind::Text if is_id => Some(1 + bonus),
        // A column with repeated values holds categories; one without names the rows.
        Kind::Text if column.distinct * 10 <= column.values.len() * 7 => Some(200 + bonus),
        Kind::Text => Some(10 + bonus),
    }
}

fn is_named(column: &Column, task: &str) -> bool {
    let name = column.name.to_lowercase();
    name.chars().count() >= 3
        && words_of(task).any(|word| word == name || word.strip_suffix('s') == Some(name.as_str()))
}

fn words(name: &str) -> impl Iterator<Item = &'static str> {
    let lower = name.to_lowercase();
    let found: Vec<&'static str> = NO_MEASURES
        .iter()
        .chain(MEASURES)
        .chain(AVERAGED)
        .chain(&["uuid"])
        .filter(|known| words_of(&lower).any(|word| word == **known))
        .copied()
        .collect();
    found.into_iter()
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric())
}

fn is_month(value: &str) -> bool {
    let lower = value.to_lowercase();
    lower.len() <= 9 && MONTHS.iter().any(|month| lower.starts_with(month))
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}
