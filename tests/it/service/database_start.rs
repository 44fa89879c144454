//! Tests of the database at the start of a server: concurrent starts, an older program version, and the errors of
//! failed connections.

use runyard::{
    config::Config,
    db::Db,
    error::{Code, Error},
};
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, Database as Connections};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::test_server::{Database, TEST_TIMEOUT, TestServer, databases, on_every_database};

fn echo() -> Script {
    Script::function(|_| Turn::text("Yes."))
}

fn postgres() -> Option<String> {
    databases().into_iter().find_map(|database| match database {
        Database::Postgres(url) => Some(url),
        Database::Sqlite => None,
    })
}

fn config(url: &str, folder: &std::path::Path) -> Config {
    let mut config = Config::parse("the test's configuration", "").unwrap();
    folder.clone_into(&mut config.data_dir);
    config.database_url = Some(SecretString::from(url));
    config
}

async fn execute(url: &str, sql: &str) {
    let outside = Connections::connect(url).await.unwrap();
    outside.execute_unprepared(sql).await.unwrap();
    outside.close().await.unwrap();
}

#[tokio::test]
async fn servers_that_start_together_on_a_fresh_database_all_succeed() {
    let Some(url) = postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = format!("runyard_{}", uuid::Uuid::now_v7().simple());
    execute(&url, &format!("CREATE DATABASE {name}")).await;
    let (base, _) = url.rsplit_once('/').unwrap();
    let config = config(&format!("{base}/{name}"), folder.path());
    let opened = futures::future::join_all((0..4).map(|_| Db::open(&config))).await;
    for opened in opened {
        opened.unwrap();
    }
    execute(&url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    on_every_database(
        |_| echo(),
        async |server| {
            server.stop().await;
            drop(Db::open(&server.config).await.unwrap());
            let outside = server.outside().await;
            let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)";
            outside.execute_unprepared(newer).await.unwrap();
            let refused = Db::open(&server.config).await.err().unwrap();
            assert!(refused.message().contains("newer version"), "{refused}");
            assert!(refused.message().contains("m9999_future"), "{refused}");
            outside
                .execute_unprepared("DELETE FROM seaql_migrations WHERE version = 'm9999_future'")
                .await
                .unwrap();
            outside.close().await.unwrap();
            drop(Db::open(&server.config).await.unwrap());
        },
    )
    .await;
}

#[tokio::test]
async fn a_failed_start_reports_the_error_of_the_database() {
    let Some(url) = postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    let open = async |url: &str| {
        let refused = Db::open(&config(url, folder.path())).await.err().unwrap();
        assert_eq!(refused.code(), Code::Unavailable);
        refused.message().to_owned()
    };
    let (user, rest) = url.split_once("://").unwrap().1.split_once('@').unwrap();
    let (name, password) = user.split_once(':').unwrap();
    let message = open(&format!("postgres://{name}:not-the-password@{rest}")).await;
    assert!(message.contains("password authentication failed"), "{message}");
    assert!(
        message.contains("RUNYARD_DATABASE_URL") && !message.contains("not-the-password"),
        "{message}"
    );
    let (base, _) = url.rsplit_once('/').unwrap();
    let message = open(&format!("{base}/no_such_database")).await;
    assert!(
        message.contains("no_such_database") && message.contains("createdb"),
        "{message}"
    );
    assert!(!message.contains(password), "{message}");
    let message = open("postgres://u:p@127.0.0.1:1/x").await;
    assert!(
        message.contains("127.0.0.1:1") && message.contains("refused"),
        "{message}"
    );
    let message = open(&format!("{url}?sslmode=require")).await;
    assert!(
        message.contains("does not offer it") && message.contains("sslmode=disable"),
        "{message}"
    );
    Db::open(&config(&format!("{url}?sslmode=prefer"), folder.path()))
        .await
        .unwrap();
    Db::open(&config(&url, folder.path())).await.unwrap();
}

#[tokio::test]
async fn a_refused_migration_is_explained() {
    let Some(url) = postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = format!("runyard_{}", uuid::Uuid::now_v7().simple());
    execute(&url, &format!("CREATE DATABASE {name}")).await;
    let role = format!("CREATE ROLE {name} LOGIN PASSWORD 'p'");
    execute(&url, &role).await;
    let address = url.rsplit_once('@').unwrap().1.rsplit_once('/').unwrap().0;
    let theirs = format!("postgres://{name}:p@{address}/{name}");
    let open = async |url: &str| Db::open(&config(url, folder.path())).await.err();
    let refused = open(&theirs).await.unwrap();
    assert!(refused.message().contains("GRANT CREATE"), "{refused}");
    let read_only = format!("{theirs}?options=-c%20default_transaction_read_only=on");
    let refused = open(&read_only).await.unwrap();
    assert!(refused.message().contains("primary server"), "{refused}");
    let own = crate::test_server::with_name(&url, &name);
    execute(&own, &format!("GRANT CREATE ON SCHEMA public TO {name}")).await;
    assert!(open(&theirs).await.is_none());
    execute(&url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    execute(&url, &format!("DROP ROLE {name}")).await;
}

/// Encodes a message of the PostgreSQL protocol: its kind, its length and its content.
fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap().to_be_bytes();
    [[kind].as_slice(), &length, content].concat()
}

/// Reads the length and the content of a client's message. If the message has a kind byte, the caller must read this
/// byte first.
async fn read_message(client: &mut TcpStream) -> Vec<u8> {
    let length = client.read_u32().await.unwrap();
    let mut content = vec![0; usize::try_from(length).unwrap() - 4];
    client.read_exact(&mut content).await.unwrap();
    content
}

/// Acts as a PostgreSQL server of an old version, for one client.
async fn old_server(listener: TcpListener) {
    let (mut client, _) = listener.accept().await.unwrap();
    // The client requests TLS. After the server has declined TLS, the client sends its start-up message.
    read_message(&mut client).await;
    client.write_all(b"N").await.unwrap();
    read_message(&mut client).await;
    let ready = message(b'Z', b"I");
    let hello = [message(b'R', &[0; 4]), message(b'K', &[0; 8]), ready.clone()].concat();
    client.write_all(&hello).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'Q');
    read_message(&mut client).await;
    let mut columns = vec![0, 3];
    let mut row = vec![0, 3];
    for (name, value) in [
        ("number", "140011"),
        ("version", "14.11"),
        ("plan_cache_mode", "force_generic_plan"),
    ] {
        // The column has the type text and belongs to no table.
        columns.extend([name.as_bytes(), &[0; 7], &25_u32.to_be_bytes(), &[255; 6], &[0; 2]].concat());
        row.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        row.extend(value.as_bytes());
    }
    let answer = [
        message(b'T', &columns),
        message(b'D', &row),
        message(b'C', b"SELECT 1\0"),
        ready,
    ];
    client.write_all(&answer.concat()).await.unwrap();
    drop(client.read_u8().await);
}

#[tokio::test]
async fn a_server_before_version_15_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://u:p@{}/d", listener.local_addr().unwrap());
    let server = tokio::spawn(old_server(listener));
    let refused = Db::open(&config(&url, folder.path())).await.err().unwrap();
    for word in ["14.11", "PostgreSQL 15 or newer"] {
        assert!(refused.message().contains(word), "{refused}");
    }
    server.await.unwrap();
}

async fn ready(server: &TestServer) -> u16 {
    let request = server.http.get(server.url("/readyz")).send().await.unwrap();
    request.status().as_u16()
}

#[tokio::test]
async fn a_read_only_database_is_unavailable_until_it_accepts_writes() {
    let Some(url) = postgres() else { return };
    let mut server = TestServer::open(&Database::Postgres(url.clone()), echo(), |_| {}).await;
    let caller = server.caller("ann");
    let run = caller.start("Hello.").await;
    caller.ended(&run).await;
    assert_eq!(ready(&server).await, 200);
    let own = server.config.database_url.clone().unwrap();
    let name = own.expose_secret().rsplit_once('/').unwrap().1.to_owned();
    let switch = async |to: &str| {
        // The statement runs in another database of the same PostgreSQL server, because that database stays writable.
        let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = {to}");
        execute(&url, &set).await;
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        execute(&url, &end).await;
    };
    switch("on").await;
    let start = async || {
        caller
            .post("/agent/start", json!({"prompt": "Hello.", "mode": "chat"}))
            .await
    };
    start().await.refused(503, "UNAVAILABLE");
    assert_eq!(ready(&server).await, 503);
    switch("off").await;
    let again = async {
        while ready(&server).await != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, again).await.unwrap();
    start().await.ok();
    server.stop().await;
}

#[tokio::test]
async fn postgresql_errors_map_to_retryable_codes() {
    let Some(url) = postgres() else { return };
    let outside = Connections::connect(url).await.unwrap();
    for (state, code) in [
        // These errors end when the database server recovers: a full disk, too many connections, a terminated
        // session, a read-only standby.
        ("53100", Code::Unavailable),
        ("53300", Code::Unavailable),
        ("57P01", Code::Unavailable),
        ("57P03", Code::Unavailable),
        ("08006", Code::Unavailable),
        ("58030", Code::Unavailable),
        ("25006", Code::Unavailable),
        // After a serialization failure or a deadlock, the transaction can be retried immediately.
        ("40001", Code::Contended),
        ("40P01", Code::Contended),
        // Control: a division by zero and a missing table are internal errors.
        ("22012", Code::Internal),
        ("42P01", Code::Internal),
    ] {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$");
        let error = outside.execute_unprepared(&raise).await.unwrap_err();
        assert_eq!(Error::from(error).code(), code, "{state}");
    }
    outside.close().await.unwrap();
}
