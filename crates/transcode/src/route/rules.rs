//! Reads and checks rules: the `google.api.http` annotations and options of every method.
//!
//! If a rule is invalid, for example because it names an unknown field, the error names the rule's method.

use std::sync::Arc;

use http::{HeaderName, Method as HttpMethod, uri::PathAndQuery};
use prost_reflect::{DescriptorPool, MethodDescriptor};

use super::{template::Template, tree::Verb};
use crate::{
    Error, Result,
    json::{Cardinality, Codec, Dialect, FieldInfo, FieldKind, MessageId},
    options::{self, HttpAlias, HttpRule, HttpService, Pattern},
};

const HTTP_BODY: &str = "google.api.HttpBody";

/// A gRPC method that the transcoder can call.
#[derive(Debug)]
pub struct Method {
    /// The method in the descriptor pool.
    pub descriptor: MethodDescriptor,
    /// The gRPC path, such as `/greeter.v1.Greeter/SayHello`.
    pub path: PathAndQuery,
    /// The type of the request message.
    pub input: MessageId,
    /// The type of the response message.
    pub output: MessageId,
    /// The JSON dialect of the service.
    pub dialect: Dialect,
    /// True if the response is a stream.
    pub streams: bool,
    /// True if the response contains raw bytes instead of JSON.
    pub answers_raw: bool,
    /// The aliases of request fields: headers and query parameters that also set them.
    pub aliases: Vec<Alias>,
    /// The number of the response field that becomes the id of a streamed event.
    pub event_id: Option<u32>,
    /// The request field that receives the upload ids of a form's files; `None` if the method accepts no files.
    pub form_files: Option<Box<str>>,
    /// The field whose query parameter may be invalid UTF-8. Invalid bytes stay percent-encoded.
    pub keep_bytes: Option<Box<str>>,
    /// The number of the request field `update_mask`, if it exists.
    pub update_mask: Option<u32>,
    /// For each oneof of the request, the names of its members.
    pub choices: Vec<Vec<Box<str>>>,
    /// The path prefix of the service, such as `/v1`, or empty. Paths are served with and without the prefix.
    pub prefix: String,
}

/// An alias of a request field: a header or query parameter that also sets the field.
#[derive(Debug)]
pub struct Alias {
    /// The name of the request field.
    pub field: Box<str>,
    /// The header, if any.
    pub header: Option<HeaderName>,
    /// The query parameter, if any.
    pub query: Option<Box<str>>,
}

/// The part of the request message that the HTTP body sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// The request has no body.
    None,
    /// The body sets all fields that the path does not set.
    Whole,
    /// The body sets the field with this number.
    Field(u32),
    /// The body's raw bytes become the `HttpBody` field with this number. Without a number, the request message is
    /// the `HttpBody`.
    Raw(Option<u32>),
}

/// One HTTP binding of a method.
#[derive(Debug)]
pub struct Rule {
    /// The gRPC method to call.
    pub method: Arc<Method>,
    /// The HTTP methods to which the rule applies.
    pub verb: Verb,
    /// The path template as in the annotation, without the prefix of the service.
    pub path: String,
    /// The parsed form of `path`.
    pub template: Template,
    /// The part of the request message that the body sets.
    pub body: BodyRule,
    /// The number of the response field that becomes the HTTP body; `None` for the whole message.
    pub response_body: Option<u32>,
    /// True if the keys of the body become the update mask, unless the request contains a mask.
    pub infers_mask: bool,
}

/// Reads the rules of all methods of all services.
///
/// # Errors
/// `Invalid`. The message names the method and the defect.
pub fn read(pool: &DescriptorPool, codec: &Codec) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for service in pool.services() {
        let options = codec.package.of_service(pool, &service.options())?;
        for descriptor in service.methods() {
            let name = descriptor.full_name().to_owned();
            let Some(first) = options::http_rule(pool, &descriptor.options())? else {
                continue;
            };
            let refused = |what: String| Error::invalid(format!("{name}: {what}"));
            let method = Arc::new(method(pool, codec, descriptor, &options).map_err(refused)?);
            let (more, first) = split(first);
            for bound in std::iter::once(first).chain(more) {
                if !bound.additional_bindings.is_empty() {
                    return Err(refused("additional_bindings must not nest".to_owned()));
                }
                rules.push(rule(codec, &method, &bound).map_err(refused)?);
            }
        }
    }
    Ok(rules)
}

fn split(mut rule: HttpRule) -> (Vec<HttpRule>, HttpRule) {
    (std::mem::take(&mut rule.additional_bindings), rule)
}

fn method(
    pool: &DescriptorPool,
    codec: &Codec,
    descriptor: MethodDescriptor,
    service: &HttpService,
) -> Result<Method, String> {
    if descriptor.is_client_streaming() {
        return Err("a method that takes a stream cannot be bound to HTTP".to_owned());
    }
    let options = codec.package.of_method(pool, &descriptor.options());
    let options = options.map_err(|error| error.to_string())?;
    let path = format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name());
    let known = |name: &str| {
        codec
            .message(name)
            .ok_or_else(|| format!("{name} is not in the descriptor set"))
    };
    let input = known(descriptor.input().full_name())?;
    let output = known(descriptor.output().full_name())?;
    let aliases = options.aliases.iter().map(|alias| check_alias(codec, input, alias));
    let event_id = Some(options.event_id).filter(|name| !name.is_empty());
    let form_files = Some(options.multipart_files).filter(|name| !name.is_empty());
    if let Some(name) = &form_files {
        match codec.field(input, name) {
            Some(FieldInfo {
                cardinality: Cardinality::List,
                kind: FieldKind::String,
                ..
            }) => {}
            _ => {
                return Err(format!(
                    "multipart_files: {name} is not a repeated string field of the request"
                ));
            }
        }
    }
    let keep_bytes = Some(options.keep_bytes).filter(|name| !name.is_empty());
    if let Some(name) = &keep_bytes
        && codec
            .field(input, name)
            .is_none_or(|field| field.kind != FieldKind::String)
    {
        return Err(format!("keep_bytes: {name} is not a string field of the request"));
    }
    let update_mask = match codec.field(input, "update_mask") {
        Some(FieldInfo {
            cardinality: Cardinality::Single,
            kind: FieldKind::FieldMask,
            number,
            ..
        }) => Some(number),
        _ => None,
    };
    let oneofs = descriptor.input();
    let oneofs = oneofs.oneofs().filter(|oneof| !oneof.is_synthetic());
    let choices = oneofs.map(|oneof| oneof.fields().map(|field| field.name().into()).collect());
    Ok(Method {
        choices: choices.collect(),
        path: path.parse().map_err(|error| format!("{path}: {error}"))?,
        input,
        output,
        dialect: match service.json {
            options::PLAIN => Dialect::Plain,
            _ => Dialect::Canonical,
        },
        streams: descriptor.is_server_streaming(),
        answers_raw: descriptor.output().full_name() == HTTP_BODY,
        aliases: aliases.collect::<Result<_, _>>()?,
        event_id: event_id.map(|name| check_event_id(codec, output, &name)).transpose()?,
        form_files: form_files.map(Into::into),
        keep_bytes: keep_bytes.map(Into::into),
        update_mask,
        prefix: service.prefix.clone(),
        descriptor,
    })
}

fn check_alias(codec: &Codec, input: MessageId, alias: &HttpAlias) -> Result<Alias, String> {
    let field = &alias.field;
    if codec.field(input, field).is_none() {
        return Err(format!("an alias binds {field}, but the request has no such field"));
    }
    let header = match alias.header.as_str() {
        "" => None,
        name => Some(
            name.parse()
                .map_err(|_| format!("the alias of {field}: {name:?} is not a header name"))?,
        ),
    };
    let query = Some(&*alias.query).filter(|name| !name.is_empty());
    Ok(Alias {
        field: field.as_str().into(),
        header,
        query: query.map(Into::into),
    })
}

fn check_event_id(codec: &Codec, output: MessageId, name: &str) -> Result<u32, String> {
    match codec.field(output, name) {
        Some(FieldInfo {
            cardinality: Cardinality::Single,
            kind: FieldKind::Number | FieldKind::String,
            number,
            ..
        }) => Ok(number),
        _ => Err(format!(
            "event_id: {name} is not a number or string field of the response"
        )),
    }
}

fn rule(codec: &Codec, method: &Arc<Method>, bound: &HttpRule) -> Result<Rule, String> {
    let (verb, path) = match bound.pattern.as_ref().ok_or("the rule has no path")? {
        Pattern::Get(path) => (Verb::Only(HttpMethod::GET), path),
        Pattern::Put(path) => (Verb::Only(HttpMethod::PUT), path),
        Pattern::Post(path) => (Verb::Only(HttpMethod::POST), path),
        Pattern::Delete(path) => (Verb::Only(HttpMethod::DELETE), path),
        Pattern::Patch(path) => (Verb::Only(HttpMethod::PATCH), path),
        Pattern::Custom(custom) if custom.kind == "*" => (Verb::Any, &custom.path),
        Pattern::Custom(custom) => match HttpMethod::from_bytes(custom.kind.as_bytes()) {
            Ok(method) => (Verb::Only(method), &custom.path),
            Err(_) => return Err(format!("{:?} is not an HTTP method", custom.kind)),
        },
    };
    let template = Template::parse(path).map_err(|error| format!("the path {path}: {error}"))?;
    let body = body_rule(codec, method, &bound.body)?;
    for capture in &template.captures {
        check_capture(codec, method.input, &capture.field)?;
        let top = capture.field.split('.').next().unwrap_or_default();
        let in_body = match body {
            BodyRule::Field(number) | BodyRule::Raw(Some(number)) => codec
                .field(method.input, top)
                .is_some_and(|field| field.number == number),
            BodyRule::None | BodyRule::Whole | BodyRule::Raw(None) => false,
        };
        if in_body && *capture.field == *top {
            return Err(format!("the path and the body both bind {}", capture.field));
        }
    }
    let response_body = match bound.response_body.as_str() {
        "" => None,
        name => {
            let field = codec.field(method.output, name);
            Some(
                field
                    .ok_or_else(|| format!("response_body: the response has no field {name}"))?
                    .number,
            )
        }
    };
    let changes = matches!(&verb, Verb::Only(verb) if *verb == HttpMethod::PUT || *verb == HttpMethod::PATCH);
    Ok(Rule {
        infers_mask: changes && method.update_mask.is_some() && matches!(body, BodyRule::Whole | BodyRule::Field(_)),
        method: Arc::clone(method),
        verb,
        path: path.clone(),
        template,
        body,
        response_body,
    })
}

fn body_rule(codec: &Codec, method: &Method, body: &str) -> Result<BodyRule, String> {
    match body {
        "" => Ok(BodyRule::None),
        "*" if method.descriptor.input().full_name() == HTTP_BODY => Ok(BodyRule::Raw(None)),
        "*" => Ok(BodyRule::Whole),
        name => {
            let field = codec.field(method.input, name);
            let number = field
                .ok_or_else(|| format!("body: the request has no field {name}"))?
                .number;
            let descriptor = method.descriptor.input().get_field(number);
            let raw = descriptor.is_some_and(|field| {
                !field.is_list()
                    && field
                        .kind()
                        .as_message()
                        .is_some_and(|message| message.full_name() == HTTP_BODY)
            });
            Ok(if raw {
                BodyRule::Raw(Some(number))
            } else {
                BodyRule::Field(number)
            })
        }
    }
}

fn check_capture(codec: &Codec, input: MessageId, path: &str) -> Result<(), String> {
    match codec.field_at(input, path) {
        None => Err(format!("the path binds {path}, but the request has no such field")),
        Some(field) if field.cardinality != Cardinality::Single => {
            Err(format!("the path cannot bind {path}, because it is repeated"))
        }
        Some(FieldInfo {
            kind: FieldKind::Message(_),
            ..
        }) => Err(format!("the path cannot bind {path}, because it is a message")),
        Some(_) => Ok(()),
    }
}
