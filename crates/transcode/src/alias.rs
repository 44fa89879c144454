//! Reads aliases. An alias is a header or a query parameter that sets a request field under another name.

use http::HeaderMap;

use super::route::{Alias, Method};
use crate::{Error, Result};

/// Returns the names of the request fields that have aliases, without duplicates.
pub fn fields(method: &Method) -> impl Iterator<Item = &str> {
    let aliases = &method.aliases;
    aliases.iter().enumerate().filter_map(|(position, alias)| {
        let is_repeated = aliases[..position].iter().any(|other| other.field == alias.field);
        (!is_repeated).then_some(&*alias.field)
    })
}

/// Returns the value of a field from its aliases, as text; empty if the request uses none of these aliases.
///
/// A header takes precedence over query parameters: when an EventSource reconnects, it sends the new value in the
/// header `Last-Event-ID`, but repeats the query of its first request. If several query parameters set the field, the
/// parameter that is last in the method's option `aliases` wins. A client that cannot send headers can append that
/// parameter to its first query to override the value.
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
