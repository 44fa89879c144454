//! Tests of the generated pages in docs/. A test fails if a page is out of date. `make docs` updates the pages.

use std::{fmt::Write, fs, path::Path};

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use runyard::{
    config::Config,
    contract::DESCRIPTORS,
    engine::CODES,
    error::Code,
    llm::Models,
    telemetry::names,
    wire::{fault::http_status, status::grpc_code},
};

const DEFAULTS: &str = include_str!("../../src/config/defaults.toml");

fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("RUNYARD_WRITE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let same = found.lines().zip(text.lines()).take_while(|(one, other)| one == other);
    let same = same.count();
    assert!(
        found == text,
        "docs/{name} is out of date; run `make docs`. First difference in line {}:\n  page: {:?}\n  code: {:?}",
        same + 1,
        found.lines().nth(same),
        text.lines().nth(same)
    );
}

#[test]
fn the_page_of_errors_is_up_to_date() {
    let mut page = String::from(
        "# Errors\n\n\
         Every error is a `google.rpc.Status` with an `ErrorInfo` whose `reason` is one of these codes and whose `domain` is\n\
         `runyard`. Over HTTP the body is `{\"detail\": …}` and the header `X-Error-Code` holds the code. `detail` is the message or,\n\
         with status 402, an object with `message`, `error_code` and the details. Codes are stable; messages are not.\n\n\
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
        "\n## Failed runs\n\nA failed run ends with a `status` event whose `error_code` is one of the codes above or one of these:\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for (code, meaning) in CODES {
        writeln!(page, "| `{code}` | {meaning} |").unwrap();
    }
    check("errors.md", &page);
}

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
fn the_page_of_the_configuration_is_up_to_date() {
    let page = format!(
        "# Configuration\n\n\
         Runyard runs without any configuration. Settings come from these sources, each overriding the ones before: the defaults\n\
         below, a TOML file (`--config FILE` or `RUNYARD_CONFIG`), environment variables, command-line options. The file overrides\n\
         the defaults key by key; a list replaces the whole default list.\n\n\
         | variable | key |\n|---|---|\n{}\n\
         `RUNYARD_OPENAI_BASE_URL`, `RUNYARD_OPENAI_API_KEY` and `RUNYARD_OPENAI_MODEL` create or change the provider named\n\
         `default`, which serves every model that names no provider. A provider in a configuration file:\n\n\
         ```toml\n[providers.default]\nkind = \"openai\"                        # or \"responses\", \"anthropic\", \"gemini\"\n\
         base_url = \"http://127.0.0.1:11434/v1/\" # the vendor's URL by default\n\
         api_key = \"…\"                          # not needed for a local server\n\
         model = \"…\"                            # for all public names, instead of each model's `upstream`\n```\n\n\
         [Models](models.md) has an example for each common provider. It lists all settings of providers and models, and what to\n\
         do when a run fails. `runyard models test NAME` tests a model.\n\n\
         Optional keys without a default: `database_url`, `secrets_key`, `auth.jwt_secret`, `auth.jwks_file`, `auth.jwks_url`,\n\
         `auth.issuer_url`, `auth.issuer`, `auth.audience`, `auth.metrics_token`, `client_id`, `audience`, `resource`,\n\
         `prompt` and `button` of `auth.sign_in`, `http.console_dir` (a folder to serve instead of the built-in\n\
         console), `http.rate_per_account`, `http.rate_per_address`, `sandbox.rootfs`, the table\n\
         `web.search`.\n\n\
         [Logs](logs.md) describes `log.access`. [Authentication](authentication.md) describes the settings of `auth`, and how to configure Runyard for your identity provider.\n\
         [Memory](agents/memory.md) describes the settings of `memory`, [Web](agents/web.md) the settings of `web`,\n\
         [Webhooks](webhooks.md) the settings of `webhooks`, [Schedules](schedules.md) those of `schedules`,\n\
         [Triggers](triggers.md) those of `triggers`, and [Secrets](secrets.md) those of `secrets`.\n\n\
         ## The database\n\n\
         Without `database_url`, Runyard uses SQLite in the data folder. `database_url` names a PostgreSQL server, version 15 or newer:\n\
         `postgres://user:password@host:5432/runyard`. It accepts the parameters of PostgreSQL's own clients, such as\n\
         `?sslmode=verify-full&sslrootcert=/etc/ssl/rds.pem`. The password can also be in a password file (`PGPASSFILE`).\n\n\
         | parameter | meaning |\n\
         |---|---|\n\
         | `sslmode` | `disable`, `prefer` (the default: TLS if the server offers it), `require` (TLS, with any certificate), `verify-ca` (TLS, with a certificate of a trusted authority), `verify-full` (as `verify-ca`, and the certificate must be for this host) |\n\
         | `sslrootcert` | file with the certificates of the trusted authorities (PEM). If it is set, `require` has the effect of `verify-ca`. The value `system` selects the public authorities and requires `verify-full`, which is then the default |\n\
         | `sslcert`, `sslkey` | files with a client certificate and its key (PEM) |\n\
         | `pgbouncer` | set `true` if errors say that a prepared statement already exists or does not exist: a connection pooler in transaction mode was not detected |\n\n\
         Use `verify-full` across networks. `verify-ca` and `verify-full` trust the public authorities in addition to `sslrootcert`, so\n\
         `verify-ca` does not stop an attacker who has a certificate of a public authority for another host.\n\n\
         Connection poolers such as PgBouncer work in session mode and in transaction mode, without further settings. Behind a\n\
         pooler, prepared statements are not reused, so connect directly if you can.\n\n\
         `database_connections` is the maximum number of connections from each server process to PostgreSQL. Requests and runs wait for\n\
         a free connection for up to ten seconds. The total of all server processes must stay below PostgreSQL's `max_connections`.\n\n\
         ## Limits on requests, streams and connections\n\n\
         `http.rate_per_account` and `http.rate_per_address` are rates such as `{{ per_second = 20, burst = 40 }}`, or `\"off\"`. By\n\
         default they are off on loopback. On other addresses, and whenever `http.trusted_proxies` is set, the default is 50\n\
         requests per second per account (burst 200) and 100 per address (burst 400). `auth.new_accounts_per_address` is a rate per\n\
         minute, or `\"off\"`.\n\n\
         `http.trusted_proxies` lists the addresses (`\"10.0.0.5\"`) and networks (`\"10.0.0.0/8\"`) of your reverse proxies.\n\
         `X-Forwarded-For` is trusted only from these; all limits per address then count the client instead of the proxy.\n\n\
         With `auth.self_registration = false` a valid token of an unknown subject is refused with `REGISTRATION_CLOSED`. An\n\
         administrator (role `super_admin`) creates accounts with `POST /admin/accounts` and `{{\"subject\": \"…\"}}`. Existing accounts\n\
         keep working, and an administrator's own account is always created.\n\n\
         `http.max_connections` limits the number of connections. At the limit, the server closes the connection that has been idle\n\
         longest without an accepted credential; `http.max_idle_per_address` limits such connections per address. A connection\n\
         without an accepted credential is closed after a minute. `http.max_streams` and `http.max_streams_per_account` limit open\n\
         streams; further ones are refused with `THROTTLED`. `http.max_unread_bytes` limits the memory of all responses that clients\n\
         have not read yet; beyond it, the server aborts responses of the account that holds the most.\n\n\
         ## MCP servers\n\n\
         Runs connect to the MCP servers of their agents. `mcp.allow_private_addresses = true` permits servers on private, loopback\n\
         and link-local addresses; set it only if every account may reach the network of the server. The timeouts of `mcp` apply to\n\
         each server: `connect_timeout_seconds` to starting a server, connecting to it and listing its tools,\n\
         `idle_timeout_seconds` to a tool call without progress, and `call_timeout_seconds` to a whole tool call. After an agent is\n\
         saved, the server connects to its HTTP servers and lists their tools, so that its first run starts sooner;\n\
         `list_tools_when_saved = false` switches this off.\n\n\
         `secrets_key` encrypts the header values of MCP servers and the signing secrets of webhooks in the database. Without it,\n\
         the server generates the file `secrets.key` in the data folder. Back up that file together with the database: without the\n\
         key, these values are lost.\n\n\
         ## The defaults\n\n```toml\n{DEFAULTS}```\n",
        variables()
    );
    check("configuration.md", &page);
}

#[test]
fn the_page_of_metrics_is_up_to_date() {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` returns the metrics of the server process in the Prometheus text format. It needs `auth.metrics_token` or the\n\
         token of a super admin as a bearer token:\n\n\
         ```yaml\n# prometheus.yml\nscrape_configs:\n  - job_name: runyard\n    authorization: { credentials_file: /etc/prometheus/runyard.token }\n    \
         static_configs: [{ targets: [\"127.0.0.1:8080\"] }]\n```\n\n\
         Every label has a bounded number of values; none names an account, a run or a caller. `model` is a name in the\n\
         configuration: an alias counts for its model, and a name that is not configured is `other`. `provider` is a provider in the\n\
         configuration, or `demo` for the built-in model. `tool` is one of Runyard's tools, or `mcp` for all tools of MCP servers.\n\n\
         A series appears with its first value. `runyard_runs_waiting` counts the runs of all servers that share the database;\n\
         all other metrics belong to the process. The buckets of durations end at half an hour.\n\n\
         `outcome` of `runyard_model_calls_total` is `ok`; `length` (the answer reached its limit); `declined` (the provider ended the\n\
         answer); `cancelled`; or an error: `credentials`, `refused`, `blocked`, `quota`, `unknown_model`, `too_long`, `unavailable`,\n\
         `broken`.\n\n\
         | name | type | unit | labels | meaning |\n|---|---|---|---|---|\n",
    );
    for metric in names::ALL {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            metric.unit,
            labels.join(", "),
            metric.meaning
        )
        .unwrap();
    }
    check("metrics.md", &page);
}

fn variables() -> String {
    runyard::config::environment::keys().fold(String::new(), |mut table, (variable, key)| {
        writeln!(table, "| `{variable}` | `{key}` |").unwrap();
        table
    })
}

#[test]
fn the_examples_in_the_page_of_models_are_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/models.md");
    let page = fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).collect();
    assert!(blocks.len() > 13);
    for block in blocks {
        let (block, _) = block.split_once("```").unwrap();
        let config = Config::parse("docs/models.md", block).unwrap_or_else(|error| panic!("{error}: {block}"));
        let models = Models::new(&config.engine());
        assert!(models.is_ok(), "{:?}: {block}", models.err());
    }
}

#[test]
fn the_page_of_events_is_up_to_date() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let event = pool.get_message_by_name("runyard.v1.RunEvent").unwrap();
    let mut page = format!(
        "# Events\n\n{}\n\n\
         A stream opened with a cursor (`after_sequence`, `Last-Event-ID`, `?last_id=` or `?lastEventId=`) returns exactly the\n\
         events after it. An event is sent only after it is stored durably. The last event of every run is a `status` with\n\
         `completed`, `failed` or `stopped`. Over SSE, `id` is the sequence, `event` the name below and `data` the event as JSON. Heartbeats are comments. A\n\
         failure during a stream is `event: fault`.\n\n",
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
