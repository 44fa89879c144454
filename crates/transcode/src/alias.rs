//! Reads aliases: headers and query parameters that set a field under another name.
//!
//! Used by `request`.

use http::HeaderMap;

use super::route::{Alias, Method};
use crate::{Error, Result};

/// Returns the names of the request fields that have aliases. Each name occurs once.
pub fn fields(method: &Method) -> impl Iterator<Item = &str> {
    let aliases = &method.aliases;
    aliases.iter().enumerate().filter_map(|(position, alias)| {
        let is_repeated = aliases[..position].iter().any(|other| other.field == alias.field);
        (!is_repeated).then_some(&*alias.field)
    })
}

/// Returns the text that a request sends for a field with aliases; empty if the request sends no text.
///
/// A header takes precedence over query parameters, because an EventSource that reconnects sends the new value in a
/// header but repeats the query of its first request. If a request has several query parameters for the field, the
/// parameter that the options list last wins. A client that cannot send headers can therefore add this parameter to the
/// query that it repeats.
///
/// # Errors
/// 400 if the header value is not ASCII text.
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
