//! Reads aliases: headers and query parameters that fill a field under another name.
//!
//! Used by `request`.

use http::HeaderMap;

use super::route::{Alias, Method};
use crate::{Error, Result};

/// The names of the fields of a method that have aliases. Each name occurs once.
pub fn fields(method: &Method) -> impl Iterator<Item = &str> {
    let aliases = &method.aliases;
    aliases.iter().enumerate().filter_map(|(position, alias)| {
        let is_repeated = aliases[..position].iter().any(|other| other.field == alias.field);
        (!is_repeated).then_some(&*alias.field)
    })
}

/// The text that a request gives for a field with aliases; empty if the request gives no text.
///
/// A header takes precedence over query parameters, because an EventSource that reconnects sends the new value in a
/// header but repeats the query of its first request. If there are several query parameters, the parameter that the
/// options list last wins. Thus, a client that cannot send headers can add its own parameter to the query that it
/// repeats.
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
