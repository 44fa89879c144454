//! Reads fields that a request fills under another name, through a header or a query parameter.
//!
//! Used by `request`.

use http::HeaderMap;

use super::route::{Alias, Method};
use crate::error::{Error, Result};

/// The fields of a method that have aliases, each once.
pub fn fields(method: &Method) -> impl Iterator<Item = &str> {
    let aliases = &method.aliases;
    aliases.iter().enumerate().filter_map(|(position, alias)| {
        let is_repeated = aliases[..position].iter().any(|other| other.field == alias.field);
        (!is_repeated).then_some(&*alias.field)
    })
}

/// The text given for an aliased field; empty when the request gives none.
///
/// A header takes precedence, because an EventSource that reconnects repeats the query of its first request. Among
/// query parameters, the one listed last in the contract wins: a client that cannot send headers adds its own parameter
/// to that query.
///
/// # Errors
/// 400 for a header value that is not ASCII text.
pub fn text<'t>(
    method: &Method,
    field: &str,
    headers: &'t HeaderMap,
    parameters: &'t [(&Alias, String)],
) -> Result<&'t str> {
    let same = || method.aliases.iter().filter(|alias| *alias.field == *field);
    let header = same().find_map(|alias| headers.get(alias.header.as_ref()?));
    if let Some(value) = header {
        let not_text =
            |_| Error::invalid_field(field.to_owned(), format!("{field}: the header value is not ASCII text"));
        return value.to_str().map_err(not_text);
    }
    let parameter = same()
        .rev()
        .find_map(|alias| parameters.iter().find(|(other, _)| std::ptr::eq(*other, alias)));
    Ok(parameter.map_or("", |(_, text)| text))
}
