//! The pages of docs/ that are written from the code: a page that differs fails, `make docs` writes it anew.

use std::{fmt::Write, fs, path::Path};

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use runyard::{
    contract::DESCRIPTORS,
    engine::CODES,
    error::Code,
    wire::{http::fault::http_status, status::grpc_code},
};

const DEFAULTS: &str = include_str!("../../src/config/defaults.toml");

fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("RUNYARD_WRITE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/{name} is not what the code says; `make docs` writes it anew"
    );
}

#[test]
fn errors() {
    let mut page = String::from(
        "# Errors\n\n\
         Every refusal is a `google.rpc.Status` with an `ErrorInfo` whose `reason` is one of these codes and whose `domain` is\n\
         `runyard`. Over HTTP the body is `{\"detail\": …}` and the code is in the header `X-Error-Code`; `detail` is a sentence,\n\
         or for a refusal by the plan an object with `message`, `error_code` and the facts. Codes are stable; sentences are not.\n\n\
         | code | gRPC | HTTP | meaning |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let grpc = format!("{:?}", grpc_code(code.kind()));
        let http = http_status(code.kind()).as_u16();
        writeln!(
            page,
            "| `{}` | {} | {http} | {} |",
            code.as_str(),
            screaming(&grpc),
            code.describe().trim()
        )
        .unwrap();
    }
    page.push_str(
        "\n## Failed runs\n\nA run that fails ends with a `status` event whose `error_code` is one of the above or of these:\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for (code, meaning) in CODES {
        writeln!(page, "| `{code}` | {meaning} |").unwrap();
    }
    check("errors.md", &page);
}

/// `InvalidArgument` as gRPC spells it.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[test]
fn configuration() {
    let page = format!(
        "# Configuration\n\n\
         Runyard runs without any. What is set goes in this order, later before earlier: the defaults below, a TOML file\n\
         (`--config FILE` or `RUNYARD_CONFIG`) laid over them key by key (lists as a whole), environment variables, options.\n\n\
         | variable | key |\n|---|---|\n{}\n\
         `RUNYARD_OPENAI_BASE_URL`, `RUNYARD_OPENAI_API_KEY` and `RUNYARD_OPENAI_MODEL` make or change the provider named\n\
         `default`, which serves every model that names no provider. A provider in a file:\n\n\
         ```toml\n[providers.default]\nkind = \"openai\"                        # or \"anthropic\", \"gemini\"\n\
         base_url = \"http://127.0.0.1:11434/v1/\" # the vendor's own when left out\n\
         api_key = \"…\"                          # none for a local server\n\
         model = \"…\"                            # answers for every public name, instead of the model's `upstream`\n```\n\n\
         Keys without a default, which may be left out: `database_url`, `auth.jwt_secret`, `auth.jwks_file`, `auth.jwks_url`,\n\
         `auth.issuer`, `auth.audience`, `auth.metrics_token`, `http.console_dir` (a folder to serve instead of the console in\n\
         the program), `http.rate_per_account`, `http.rate_per_address`, `sandbox.rootfs`.\n\n\
         ## Limits of requests, streams and connections\n\n\
         `http.rate_per_account` and `http.rate_per_address` are rates like `{{ per_second = 20, burst = 40 }}`, or `\"off\"`. Left\n\
         out, they are off on loopback. Otherwise, and whenever `http.trusted_proxies` is set, an account has 50 requests per\n\
         second (200 at once) and an address 100 (400 at once). `auth.new_accounts_per_address` is a rate per minute, or `\"off\"`.\n\n\
         `http.trusted_proxies` lists the addresses (`\"10.0.0.5\"`) and networks (`\"10.0.0.0/8\"`) of your reverse proxies. Only\n\
         from there `X-Forwarded-For` is believed; all limits per address then count the client and not the proxy.\n\n\
         With `auth.self_registration = false` a valid token of an unknown subject is refused with `REGISTRATION_CLOSED`. An\n\
         administrator (role `super_admin`) makes accounts with `POST /admin/accounts` and `{{\"subject\": \"…\"}}`. Accounts that\n\
         exist work on, and an administrator's own account is always made.\n\n\
         `http.max_connections` bounds all connections. When they run out, the one that has been idle longest without an\n\
         accepted credential is closed; `http.max_idle_per_address` bounds these for each address. A connection without an\n\
         accepted credential is closed after a minute. `http.max_streams` and `http.max_streams_per_account` bound open streams;\n\
         one more is refused with `THROTTLED`. `http.max_unread_bytes` bounds what all answers hold for readers that do not read\n\
         them; beyond it, answers of the account that holds most are broken off.\n\n\
         ## The defaults\n\n```toml\n{DEFAULTS}```\n",
        variables()
    );
    check("configuration.md", &page);
}

fn variables() -> String {
    runyard::config::environment::keys().fold(String::new(), |mut table, (variable, key)| {
        writeln!(table, "| `{variable}` | `{key}` |").unwrap();
        table
    })
}

#[test]
fn events() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let event = pool.get_message_by_name("runyard.v1.RunEvent").unwrap();
    let mut page = format!(
        "# Events\n\n{}\n\n\
         A stream opened with a cursor (`after_sequence`, `Last-Event-ID`, `?last_id=` or `?lastEventId=`) gives exactly the\n\
         events after it. An event is sent only after it is durable. The last event of every run is a `status` that is not\n\
         `running`. Over SSE `id` is the sequence, `event` the name below and `data` the event as JSON; heartbeats are comments; a\n\
         failure in the middle of a stream is `event: fault`.\n\n",
        comment(event.parent_file().file_descriptor_proto(), event.path())
    );
    fields(
        &mut page,
        event.fields().filter(|field| field.containing_oneof().is_none()),
    );
    for field in event.fields().filter(|field| field.containing_oneof().is_some()) {
        let Kind::Message(message) = field.kind() else {
            panic!("{} is not a message", field.name())
        };
        write!(page, "\n## {}\n\n{}\n\n", field.name(), field_comment(&field)).unwrap();
        fields(&mut page, message.fields());
    }
    for name in ["RunStatus", "NoticeKind"] {
        let kind = pool.get_enum_by_name(&format!("runyard.v1.{name}")).unwrap();
        write!(page, "\n## {name}\n\n").unwrap();
        values(&mut page, &kind);
    }
    check("events.md", &page);
}

fn fields(page: &mut String, fields: impl Iterator<Item = FieldDescriptor>) {
    page.push_str("| field | type | meaning |\n|---|---|---|\n");
    for field in fields {
        let optional = if field.field_descriptor_proto().proto3_optional() {
            ", may be absent"
        } else {
            ""
        };
        writeln!(
            page,
            "| `{}` | {}{optional} | {} |",
            field.name(),
            type_of(&field),
            field_comment(&field)
        )
        .unwrap();
    }
}

fn values(page: &mut String, kind: &EnumDescriptor) {
    page.push_str("| JSON | protobuf | meaning |\n|---|---|---|\n");
    let file = kind.parent_file();
    let prefix = screaming(kind.name()) + "_";
    for (index, value) in kind.values().enumerate().filter(|(_, value)| value.number() != 0) {
        let mut path = kind.path().to_vec();
        path.extend([2, i32::try_from(index).unwrap()]);
        let short = value.name().strip_prefix(&prefix).unwrap().to_lowercase();
        let meaning = comment(file.file_descriptor_proto(), &path);
        writeln!(page, "| `{short}` | `{}` | {meaning} |", value.name()).unwrap();
    }
}

fn type_of(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => "time".into(),
        Kind::Message(message) if message.full_name() == "google.protobuf.Struct" => "object".into(),
        Kind::Message(message) => message.name().to_owned(),
        Kind::Enum(kind) => kind.name().to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn field_comment(field: &FieldDescriptor) -> String {
    let parent: &MessageDescriptor = field.parent_message();
    comment(parent.parent_file().file_descriptor_proto(), field.path())
}

/// The comment in the proto file, on one line.
fn comment(file: &prost_types::FileDescriptorProto, path: &[i32]) -> String {
    let info = file.source_code_info.as_ref().unwrap();
    let location = info.location.iter().find(|location| location.path == path);
    let text = location
        .and_then(|location| location.leading_comments.clone())
        .unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!text.is_empty(), "{} has no comment at {path:?}", file.name());
    text
}
