//! Reads the options `google.api.http` and `transcode/v1/options.proto` from the descriptors.
//!
//! The Rust types are handwritten, so the crate needs no build script. They contain only the fields that the
//! transcoder reads.

use std::borrow::Cow;

use bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Value};

use crate::{Error, Result};

/// The default package of the options: that of `transcode/v1/options.proto`.
pub(crate) const PACKAGE: &str = "transcode.v1";

/// The number of `JSON_DIALECT_PLAIN` in `transcode/v1/options.proto`.
pub(crate) const PLAIN: i32 = 1;

/// The proto package that declares the options `http_service`, `http` and `omit_unset`.
#[derive(Clone, Debug)]
pub(crate) struct Package(Cow<'static, str>);

impl Package {
    pub(crate) fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    pub(crate) fn of_service(&self, pool: &DescriptorPool, options: &DynamicMessage) -> Result<HttpService> {
        Ok(read(pool, &format!("{}.http_service", self.0), options)?.unwrap_or_default())
    }

    pub(crate) fn of_method(&self, pool: &DescriptorPool, options: &DynamicMessage) -> Result<HttpMethod> {
        Ok(read(pool, &format!("{}.http", self.0), options)?.unwrap_or_default())
    }

    /// Returns the field option that omits the key of an unset field, if the pool declares it.
    pub(crate) fn omit_unset(&self, pool: &DescriptorPool) -> Option<ExtensionDescriptor> {
        pool.get_extension_by_name(&format!("{}.omit_unset", self.0))
    }
}

pub(crate) fn is_true(option: Option<&ExtensionDescriptor>, field: &FieldDescriptor) -> bool {
    option.is_some_and(|option| *field.options().get_extension(option) == Value::Bool(true))
}

pub(crate) fn http_rule(pool: &DescriptorPool, options: &DynamicMessage) -> Result<Option<HttpRule>> {
    read(pool, "google.api.http", options)
}

fn read<M: prost::Message + Default>(pool: &DescriptorPool, name: &str, options: &DynamicMessage) -> Result<Option<M>> {
    let Some(extension) = pool.get_extension_by_name(name) else {
        return Ok(None);
    };
    if !options.has_extension(&extension) {
        return Ok(None);
    }
    let value = options.get_extension(&extension);
    let message = value.as_message().map(DynamicMessage::transcode_to::<M>).transpose();
    message.map_err(|error| Error::internal(format!("the option {name} cannot be read"), error))
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HttpService {
    #[prost(string, tag = "1")]
    pub(crate) prefix: String,
    #[prost(int32, tag = "2")]
    pub(crate) json: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HttpMethod {
    #[prost(message, repeated, tag = "1")]
    pub(crate) aliases: Vec<HttpAlias>,
    #[prost(string, tag = "2")]
    pub(crate) event_id: String,
    #[prost(string, tag = "3")]
    pub(crate) multipart_files: String,
    #[prost(string, tag = "4")]
    pub(crate) keep_bytes: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HttpAlias {
    #[prost(string, tag = "1")]
    pub(crate) field: String,
    #[prost(string, tag = "2")]
    pub(crate) header: String,
    #[prost(string, tag = "3")]
    pub(crate) query: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pub(crate) pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    pub(crate) body: String,
    #[prost(string, tag = "12")]
    pub(crate) response_body: String,
    #[prost(message, repeated, tag = "11")]
    pub(crate) additional_bindings: Vec<HttpRule>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(CustomPattern),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CustomPattern {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(string, tag = "2")]
    pub(crate) path: String,
}

/// `google.api.HttpBody` without `extensions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HttpBody {
    #[prost(string, tag = "1")]
    pub(crate) content_type: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) data: Bytes,
}
