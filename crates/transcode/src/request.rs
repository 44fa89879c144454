//! Converts an HTTP request to a gRPC request.
//!
//! In the protobuf wire format, the last value of a singular field wins. The path's fields are therefore written
//! last, so that nothing can replace the values that determined the route. If a singular field is already set, a
//! query parameter or form field for it is refused, and an alias for it is ignored.

mod form;
mod query;
mod unknown;

use std::borrow::Cow;

use axum_core::body::Body;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, Request, Uri, Version, header, request::Parts,
    uri::PathAndQuery,
};
use http_body::Body as _;

use self::unknown::Place;
use crate::{
    Error, ErrorKind, Result, alias, body, frames,
    json::{Cardinality, Codec, FieldInfo, FieldKind, MessageId},
    route::{Alias, BodyRule, Method, Rule},
};

/// A request message that is being assembled.
pub struct Draft<'r> {
    codec: &'r Codec,
    rule: &'r Rule,
    captures: &'r [(&'r str, Cow<'r, str>)],
    wire: Vec<u8>,
    /// The fields that the query, form or JSON body set by name, as paths of proto names.
    given: Vec<Cow<'r, str>>,
    /// The inferred update mask: the keys of the JSON body or the fields of the form. `None` if no mask is inferred.
    mask: Option<Vec<Cow<'r, str>>>,
}

impl<'r> Draft<'r> {
    pub fn new(codec: &'r Codec, rule: &'r Rule, captures: &'r [(&'r str, Cow<'r, str>)]) -> Self {
        Self {
            codec,
            rule,
            captures,
            wire: frames::begin(),
            given: Vec::new(),
            mask: None,
        }
    }

    /// Sets fields from the body, as the rule declares.
    ///
    /// # Errors
    /// 413 if the body exceeds `max_bytes`, 415 if its media type or encoding is not accepted, 400 if it is invalid.
    pub async fn body(&mut self, parts: &Parts, content: Body, max_bytes: usize) -> Result<()> {
        if self.rule.body == BodyRule::None && (content.is_end_stream() || body::is_reading(&parts.method)) {
            return Ok(());
        }
        body::check_encoding(&parts.headers)?;
        let bytes = body::collect(content, max_bytes).await?;
        if bytes.is_empty() && !matches!(self.rule.body, BodyRule::Raw(_)) {
            self.mask = self.rule.infers_mask.then(Vec::new);
            return Ok(());
        }
        if !matches!(self.rule.body, BodyRule::Raw(_)) && !body::is_json(&parts.headers) {
            let message = match self.method().form_files {
                Some(_) => {
                    "Content-Type must be multipart/form-data, application/x-www-form-urlencoded or application/json"
                }
                None => "Content-Type must be application/json",
            };
            return Err(Error::new(ErrorKind::UnsupportedMedia, message));
        }
        match self.rule.body {
            BodyRule::None => match bytes.trim_ascii() {
                b"" | b"{}" | b"null" => Ok(()),
                _ => Err(Error::invalid("this method takes no body")),
            },
            BodyRule::Whole => self.whole(&bytes),
            BodyRule::Field(number) => self.field(number, &bytes),
            BodyRule::Raw(number) => {
                let content_type = parts.headers.get(header::CONTENT_TYPE);
                body::put_raw(
                    number,
                    content_type.map_or(&[], HeaderValue::as_bytes),
                    &bytes,
                    &mut self.wire,
                );
                Ok(())
            }
        }
    }

    /// Sets fields from the query, then from aliases, then from the path.
    ///
    /// # Errors
    /// 400 if a query parameter is unknown or sets a field again, or if a value is invalid.
    pub fn rest(&mut self, parts: &Parts) -> Result<()> {
        let renamed = match parts.uri.query() {
            Some(query) => self.query(query)?,
            None => Vec::new(),
        };
        self.aliases(&parts.headers, &renamed)?;
        self.update_mask();
        let method = self.method();
        for (field, value) in self.captures {
            self.codec
                .decode_text((method.input, field), method.dialect, value, &mut self.wire)?;
        }
        Ok(())
    }

    /// Returns the finished message as a gRPC frame.
    ///
    /// # Errors
    /// 413 if the message has 4 GiB or more.
    pub fn finish(self) -> Result<Bytes> {
        frames::finish(self.wire).ok_or_else(|| Error::new(ErrorKind::TooLarge, "the request is too large"))
    }

    fn method(&self) -> &'r Method {
        &self.rule.method
    }

    fn whole(&mut self, json: &[u8]) -> Result<()> {
        let method = self.method();
        if self.captures.is_empty() && method.aliases.is_empty() && !self.rule.infers_mask {
            self.codec.decode(method.input, method.dialect, json, &mut self.wire)?;
            return Ok(());
        }
        let keys = self
            .codec
            .decode_keys(method.input, method.dialect, json, &mut self.wire)?;
        if let Some(bound) = keys.iter().find(|key| self.is_bound(key)) {
            return Err(given_by_path(bound));
        }
        if self.rule.infers_mask {
            self.mask = Some(keys.iter().map(|key| Cow::Borrowed(*key)).collect());
        }
        self.given.extend(keys.into_iter().map(Cow::Borrowed));
        Ok(())
    }

    fn field(&mut self, number: u32, json: &[u8]) -> Result<()> {
        let method = self.method();
        let descriptor = method.descriptor.input().get_field(number);
        let inner = descriptor
            .filter(|field| !field.is_list() && !field.is_map())
            .and_then(|field| self.codec.message(field.kind().as_message()?.full_name()));
        match inner {
            Some(inner) if self.rule.infers_mask => {
                let mut wire = Vec::with_capacity(json.len());
                let keys = self.codec.decode_keys(inner, method.dialect, json, &mut wire)?;
                self.mask = Some(keys.into_iter().map(Cow::Borrowed).collect());
                body::put_bytes(number, &wire, &mut self.wire);
            }
            _ => self
                .codec
                .decode_field((method.input, number), method.dialect, json, &mut self.wire)?,
        }
        Ok(())
    }

    fn aliases(&mut self, headers: &HeaderMap, renamed: &[(&Alias, String)]) -> Result<()> {
        let method = self.method();
        for field in alias::fields(method) {
            if self.given.iter().any(|given| top(given) == Some(field)) || self.is_bound(field) {
                continue;
            }
            let text = alias::text(method, field, headers, renamed)?;
            if !text.is_empty() {
                self.codec
                    .decode_text((method.input, field), method.dialect, text, &mut self.wire)?;
            }
        }
        Ok(())
    }

    /// Writes the inferred update mask, unless the request contains one.
    fn update_mask(&mut self) {
        let (Some(keys), Some(number)) = (self.mask.take(), self.method().update_mask) else {
            return;
        };
        if self.given.iter().any(|given| top(given) == Some("update_mask")) {
            return;
        }
        let mut mask = Vec::new();
        for key in keys {
            body::put_bytes(1, key.as_bytes(), &mut mask);
        }
        body::put_bytes(number, &mask, &mut self.wire);
    }

    /// Returns the field that a name in the request refers to, and the field's path in proto names. Fails if the
    /// field is unknown or already set.
    fn resolve(&self, name: &str, place: Place) -> Result<(Cow<'r, str>, FieldInfo<'r>)> {
        let found = resolve(self.codec, self.method().input, name);
        let (path, field, first) = found.ok_or_else(|| self.unknown(name, place))?;
        if self.is_bound(&path) {
            return Err(given_by_path(&path));
        }
        match self.rule.body {
            BodyRule::Field(number) | BodyRule::Raw(Some(number)) if number == first => {
                return Err(Error::invalid_field(
                    path.clone().into_owned(),
                    format!("{path}: already set by the request body"),
                ));
            }
            _ => {}
        }
        if field.cardinality == Cardinality::Single && self.given.contains(&path) {
            return Err(given_twice(&path));
        }
        if let Some(other) = self.other_choice(&path) {
            return Err(Error::invalid_field(
                path.clone().into_owned(),
                format!("{path}: cannot be given together with {other}"),
            ));
        }
        Ok((path, field))
    }

    /// Returns the other member that is already set in the oneof of the field at `path`.
    fn other_choice(&self, path: &str) -> Option<&str> {
        let member = top(path)?;
        let choice = self
            .method()
            .choices
            .iter()
            .find(|choice| choice.iter().any(|name| **name == *member))?;
        let mut given = self.given.iter().filter_map(|given| top(given));
        given.find(|given| *given != member && choice.iter().any(|name| **name == **given))
    }

    fn is_bound(&self, path: &str) -> bool {
        self.captures.iter().any(|(field, _)| *field == path)
    }
}

pub fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path().parse().unwrap_or_else(|_| PathAndQuery::from_static("/"))
}

/// Creates a gRPC request with this body and the headers and extensions of the HTTP request.
pub fn wrap(path: PathAndQuery, parts: Parts, body: tonic::body::Body) -> Request<tonic::body::Body> {
    let mut request = Request::new(body);
    *request.method_mut() = HttpMethod::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from(path);
    *request.extensions_mut() = parts.extensions;
    let mut headers = parts.headers;
    for name in &NOT_CARRIED {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    *request.headers_mut() = headers;
    request
}

/// Headers that are not copied, because they describe the connection or body of the HTTP request.
static NOT_CARRIED: [HeaderName; 12] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TRAILER,
    header::EXPECT,
    header::HOST,
    header::ACCEPT_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
];

fn resolve<'c>(codec: &'c Codec, message: MessageId, name: &str) -> Option<(Cow<'c, str>, FieldInfo<'c>, u32)> {
    let Some((head, rest)) = name.split_once('.') else {
        let field = codec.field(message, name)?;
        return Some((Cow::Borrowed(field.name), field, field.number));
    };
    let outer = codec.field(message, head)?;
    let (Cardinality::Single, FieldKind::Message(inner) | FieldKind::TextMessage(inner)) =
        (outer.cardinality, outer.kind)
    else {
        return None;
    };
    let (path, field, _) = resolve(codec, inner, rest)?;
    Some((Cow::Owned(format!("{}.{path}", outer.name)), field, outer.number))
}

fn top(path: &str) -> Option<&str> {
    path.split('.').next()
}

fn given_twice(name: &str) -> Error {
    Error::invalid_field(name.to_owned(), format!("{name}: given more than once"))
}

fn given_by_path(name: &str) -> Error {
    Error::invalid_field(name.to_owned(), format!("{name}: already set by the path"))
}
