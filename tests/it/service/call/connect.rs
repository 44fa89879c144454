//! Calls any method over the Connect protocol.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::{Buf, Bytes};
use prost::Message;
use prost_reflect::MethodDescriptor;
use prost_types::Any;
use runyard_contract::rpc;
use runyard_transcode::{connect::Format, json::Dialect};
use serde_json::Value;
use tonic::{Code, Status};

use super::{CONTRACT, Reply, encoded, framed, path_of, refused, shown};
use crate::test_server::Caller;

/// Flag of the end-of-stream envelope.
const END: u8 = 2;

pub async fn call(caller: &Caller, method: &MethodDescriptor, request: &Value, format: Format) -> Reply {
    let message = match format {
        Format::Proto => encoded(method, request).to_vec(),
        Format::Json => to_canonical(method, &encoded(method, request)),
    };
    if method.is_server_streaming() {
        stream(caller, method, &framed(&message), format).await
    } else {
        unary(caller, method, message, format).await
    }
}

/// Converts a binary request to canonical JSON, which Connect uses.
fn to_canonical(method: &MethodDescriptor, wire: &[u8]) -> Vec<u8> {
    let id = CONTRACT.codec.message(method.input().full_name()).unwrap();
    let mut json = Vec::new();
    CONTRACT.codec.encode(id, Dialect::Canonical, wire, &mut json).unwrap();
    json
}

fn to_wire(method: &MethodDescriptor, message: &Bytes, format: Format) -> Bytes {
    let id = CONTRACT.codec.message(method.output().full_name()).unwrap();
    match format {
        Format::Proto => message.clone(),
        Format::Json => {
            let mut wire = Vec::new();
            CONTRACT
                .codec
                .decode(id, Dialect::Canonical, message, &mut wire)
                .unwrap();
            wire.into()
        }
    }
}

async fn unary(caller: &Caller, method: &MethodDescriptor, message: Vec<u8>, format: Format) -> Reply {
    let kind = match format {
        Format::Proto => "application/proto",
        Format::Json => "application/json",
    };
    let request = caller.request("POST", &path_of(method)).header("content-type", kind);
    let response = request.body(message).send().await.unwrap();
    let http = response.status();
    let code = response.headers().get("x-error-code").cloned();
    let body = response.bytes().await.unwrap();
    if http == 200 {
        return Reply::Good(shown(method, &[to_wire(method, &body, format)]));
    }
    let reply = refused(&status(&serde_json::from_slice(&body).unwrap()));
    assert_eq!(code.unwrap(), reply.code(), "the header contains the code");
    reply
}

async fn stream(caller: &Caller, method: &MethodDescriptor, body: &[u8], format: Format) -> Reply {
    let kind = match format {
        Format::Proto => "application/connect+proto",
        Format::Json => "application/connect+json",
    };
    let request = caller.request("POST", &path_of(method)).header("content-type", kind);
    let response = request.body(body.to_vec()).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &kind.parse().unwrap())
    );
    let mut rest = response.bytes().await.unwrap();
    let mut messages = Vec::new();
    loop {
        let (flags, length) = (rest.get_u8(), rest.get_u32() as usize);
        let message = rest.split_to(length);
        if flags != END {
            messages.push(to_wire(method, &message, format));
            continue;
        }
        assert!(rest.is_empty());
        let end: Value = serde_json::from_slice(&message).unwrap();
        return match end.get("error") {
            Some(error) => refused(&status(error)),
            None => Reply::Good(shown(method, &messages)),
        };
    }
}

pub fn status(error: &Value) -> Status {
    let name = error["code"].as_str().unwrap();
    let code = (1..=16)
        .map(Code::from)
        .find(|code| {
            let known = format!("{code:?}").to_lowercase();
            name.replace('_', "") == known.replace("cancelled", "canceled")
        })
        .unwrap_or_else(|| panic!("{name} is not a code"));
    let details = error["details"].as_array().cloned().unwrap_or_default();
    let details = details.iter().map(|detail| {
        assert!(detail["debug"].is_object(), "{detail} is printed");
        Any {
            type_url: format!("type.googleapis.com/{}", detail["type"].as_str().unwrap()),
            value: STANDARD_NO_PAD.decode(detail["value"].as_str().unwrap()).unwrap(),
        }
    });
    let message = error["message"].as_str().unwrap();
    let details = rpc::Status {
        code: code as i32,
        message: message.to_owned(),
        details: details.collect(),
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}
