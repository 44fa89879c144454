//! The names of enum values in each dialect.
//!
//! The plain dialect writes values in lower case and without the prefix of their type. A value 0 whose name ends in
//! `UNSPECIFIED` becomes null.

use std::collections::HashMap;

use prost_reflect::EnumDescriptor;

use super::Dialect;

const MAX_NAMES: usize = 12;

#[derive(Debug)]
pub(super) struct Enum {
    /// True for `google.protobuf.NullValue`, whose only value is null in JSON.
    pub is_null: bool,
    values: HashMap<i32, EnumValue>,
    full_names: HashMap<Box<str>, i32>,
    short_names: HashMap<Box<str>, i32>,
}

#[derive(Debug)]
struct EnumValue {
    canonical: Box<str>,
    short: Option<Box<str>>,
}

/// The JSON form of an enum number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling<'e> {
    Name(&'e str),
    Null,
    /// The enum has no value with this number.
    Number,
}

impl Enum {
    pub fn compile(descriptor: &EnumDescriptor) -> Self {
        let mut table = Self {
            is_null: descriptor.full_name() == "google.protobuf.NullValue",
            values: HashMap::new(),
            full_names: HashMap::new(),
            short_names: HashMap::new(),
        };
        for value in descriptor.values() {
            let short: Box<str> = short_enum_name(descriptor.name(), value.name()).into();
            let unspecified = value.number() == 0 && value.name().ends_with("UNSPECIFIED");
            table.full_names.insert(value.name().into(), value.number());
            table.short_names.entry(short.clone()).or_insert(value.number());
            // If several names have the same number, the first is printed.
            table.values.entry(value.number()).or_insert_with(|| EnumValue {
                canonical: value.name().into(),
                short: (!unspecified).then_some(short),
            });
        }
        table
    }

    pub fn spelling(&self, number: i32, dialect: Dialect) -> Spelling<'_> {
        match self.values.get(&number) {
            None => Spelling::Number,
            Some(_) if self.is_null => Spelling::Null,
            Some(value) => match dialect {
                Dialect::Canonical => Spelling::Name(&value.canonical),
                Dialect::Plain => value.short.as_deref().map_or(Spelling::Null, Spelling::Name),
            },
        }
    }

    pub fn number(&self, name: &str, dialect: Dialect) -> Option<i32> {
        let full = self.full_names.get(name);
        match dialect {
            Dialect::Canonical => full.copied(),
            Dialect::Plain => full.or_else(|| self.short_names.get(name)).copied(),
        }
    }

    /// Lists up to [`MAX_NAMES`] names for an error text.
    pub fn names(&self, dialect: Dialect) -> String {
        let mut numbers: Vec<i32> = self.values.keys().copied().collect();
        numbers.sort_unstable();
        let names = numbers
            .iter()
            .filter_map(|number| match self.spelling(*number, dialect) {
                Spelling::Name(name) => Some(name),
                Spelling::Null | Spelling::Number => None,
            });
        names
            .take(MAX_NAMES)
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Returns the plain dialect's name of a value: `RUN_STATUS_RUNNING` of `RunStatus` becomes `running`.
pub fn short_enum_name(type_name: &str, value_name: &str) -> String {
    let rest = value_name
        .strip_prefix(&screaming(type_name))
        .filter(|rest| !rest.is_empty());
    rest.unwrap_or(value_name).to_ascii_lowercase()
}

/// Returns the prefix of an enum's value names: `RunStatus` becomes `RUN_STATUS_`.
fn screaming(name: &str) -> String {
    let mut prefix = String::with_capacity(name.len() + 4);
    let mut previous = '_';
    for character in name.chars() {
        if character.is_ascii_uppercase() && (previous.is_ascii_lowercase() || previous.is_ascii_digit()) {
            prefix.push('_');
        }
        prefix.push(character.to_ascii_uppercase());
        previous = character;
    }
    prefix.push('_');
    prefix
}
