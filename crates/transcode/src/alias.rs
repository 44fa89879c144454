//! Reads aliases: headers and query parameters that set a request field under another name.

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

/// Returns the value that the request gives to a field through an alias; empty if the request uses no alias of the
/// field.
///
/// A header wins, because a reconnecting EventSource sends its new position in `Last-Event-ID` but repeats the query
/// of its first request. If the query contains several aliases of the field, the alias that the method declares last
/// wins, regardless of their order in the query. A client that cannot send headers can append the parameter of this
/// alias to its query.
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
