//! The text that a header or a query parameter gives a field under another name.
//!
//! Used by `request`.

use http::HeaderMap;

use super::route::{Alias, Method};
use crate::error::{Error, Result};

/// The fields of a method that have other names, each once.
pub fn fields(method: &Method) -> impl Iterator<Item = &str> {
    let aliases = &method.aliases;
    aliases.iter().enumerate().filter_map(|(position, alias)| {
        let is_repeated = aliases[..position].iter().any(|other| other.field == alias.field);
        (!is_repeated).then_some(&*alias.field)
    })
}

/// The text for one of them; empty when there is none.
///
/// The header comes first: an EventSource that reconnects repeats the query of its first request. Then comes the parameter
/// that is listed last: one that cannot send headers adds its own parameter to that query.
///
/// # Errors
/// 400 for a header that is not text.
pub fn text<'t>(
    method: &Method,
    field: &str,
    headers: &'t HeaderMap,
    parameters: &'t [(&Alias, String)],
) -> Result<&'t str> {
    let same = || method.aliases.iter().filter(|alias| *alias.field == *field);
    let header = same().find_map(|alias| headers.get(alias.header.as_ref()?));
    if let Some(value) = header {
        let not_text = |_| Error::invalid_field(field.to_owned(), format!("{field}: the header is not text"));
        return value.to_str().map_err(not_text);
    }
    let parameter = same()
        .rev()
        .find_map(|alias| parameters.iter().find(|(other, _)| std::ptr::eq(*other, alias)));
    Ok(parameter.map_or("", |(_, text)| text))
}
