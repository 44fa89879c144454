//! Reads multipart/form-data and application/x-www-form-urlencoded. Form fields set request fields.

use axum_core::body::Body;
use http::request::Parts;

use super::{
    Draft,
    query::{decode, pairs},
    unknown::Place,
};
use crate::{Error, ErrorKind, Result, body, json::Cardinality};

/// Form field in which browsers send the charset (RFC 7578). It is ignored.
const CHARSET: &str = "_charset_";

impl Draft<'_> {
    /// Sets fields from a urlencoded form, which cannot contain files.
    ///
    /// # Errors
    /// 413 if the form exceeds `max_bytes`, 415 if the body is JSON or compressed, 400 if the form is invalid.
    pub async fn urlencoded(&mut self, parts: &Parts, content: Body, max_bytes: usize) -> Result<()> {
        body::check_encoding(&parts.headers)?;
        let bytes = body::collect(content, max_bytes).await?;
        let not_text = || Error::invalid("the form is not UTF-8");
        let form = str::from_utf8(&bytes).map_err(|_| not_text())?;
        // By default, `curl -d` declares a urlencoded form, even for JSON.
        if form.trim_start().starts_with('{') {
            let message = "the body is JSON; send it with Content-Type: application/json";
            return Err(Error::new(ErrorKind::UnsupportedMedia, message));
        }
        for (name, value) in pairs(form) {
            let (name, value) = decode(name).zip(decode(value)).ok_or_else(not_text)?;
            // Browsers send empty inputs of a form, so an empty value leaves the field unset.
            if !value.is_empty() {
                self.form_text(&name, &value)?;
            }
        }
        Ok(())
    }

    /// Sets a request field to the text of a form field.
    ///
    /// # Errors
    /// 400 if the request field does not exist, is already set, or does not accept the text.
    pub fn form_text(&mut self, name: &str, text: &str) -> Result<()> {
        if name == CHARSET {
            return Ok(());
        }
        let (path, _) = self.resolve(self.form_name(name), Place::Form)?;
        let method = self.method();
        self.codec
            .decode_text((method.input, &path), method.dialect, text, &mut self.wire)?;
        if self.rule.infers_mask {
            self.mask.get_or_insert_default().push(path.clone());
        }
        self.given.push(path);
        Ok(())
    }

    /// Checks the name of a form field before its text is read.
    pub fn check_form_name(&self, name: &str) -> Result<()> {
        if name == CHARSET || self.has_field(self.form_name(name)) {
            return Ok(());
        }
        Err(self.unknown(name, Place::Form))
    }

    /// Returns the request field that a form field sets. Many libraries write `files[]` or `files[0]` for an element
    /// of the list `files`.
    pub fn form_name<'n>(&self, name: &'n str) -> &'n str {
        let Some((list, index)) = name.strip_suffix(']').and_then(|name| name.split_once('[')) else {
            return name;
        };
        let is_index = index.bytes().all(|byte| byte.is_ascii_digit());
        let field = self.codec.field(self.method().input, list);
        match field {
            Some(field) if is_index && field.cardinality == Cardinality::List => list,
            _ => name,
        }
    }

    /// Appends the id of an uploaded file to the request field `field`.
    ///
    /// # Errors
    /// The id is not a valid value of the field, which is a bug in the upload store.
    pub fn form_file(&mut self, field: &str, id: &str) -> Result<()> {
        let method = self.method();
        Ok(self
            .codec
            .decode_text((method.input, field), method.dialect, id, &mut self.wire)?)
    }
}
