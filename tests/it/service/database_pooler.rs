//! Tests of PostgreSQL behind PgBouncer, a connection pooler. `make test` installs PgBouncer and sets
//! `RUNYARD_TEST_PROGRAMS`, which makes a missing PgBouncer a failure. `make test-databases` runs all tests of the
//! service behind a pooler.

use std::{
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::join_all;
use runyard::{config::Config, db::Db};
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectOptions, ConnectionTrait, Database as Connections, DatabaseConnection, DbBackend, Statement};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};
use url::Url;

use super::program::free_port;
use crate::test_server::{Database, TEST_TIMEOUT, TestServer, assert_no_gaps, databases, with_name};

/// Makes PgBouncer ignore two start-up parameters. By default, PgBouncer refuses clients that send these parameters.
const DROPPED: &str = "ignore_startup_parameters = extra_float_digits,options\n";

struct Bouncer {
    port: u16,
    server: String,
    _process: Child,
    _folder: TempDir,
}

fn postgres() -> Option<String> {
    databases().into_iter().find_map(|database| match database {
        Database::Postgres(url) => Some(url),
        Database::Sqlite => None,
    })
}

fn program() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
    let places = folders.map(|folder| Path::new(folder).join("pgbouncer"));
    let found = places.into_iter().find(|place| place.exists());
    if found.is_none() {
        assert!(
            std::env::var_os("RUNYARD_TEST_PROGRAMS").is_none(),
            "PgBouncer is missing: apt-get install pgbouncer"
        );
        // This writes directly to standard error, because the test harness captures other output.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED without PgBouncer: apt-get install pgbouncer"
        );
    }
    found
}

/// Returns the id of an unprivileged user, because PgBouncer refuses to run as root.
fn unprivileged() -> u32 {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let id = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(2)?.parse().ok()
    };
    id("postgres").or_else(|| id("nobody")).unwrap()
}

impl Bouncer {
    /// Starts PgBouncer. Returns `None` if the tests run without PostgreSQL or PgBouncer.
    async fn start(mode: &str, settings: &str) -> Option<Self> {
        let (server, program) = (postgres()?, program()?);
        let url = Url::parse(&server).unwrap();
        let folder = tempfile::Builder::new().prefix("runyard-pooler-").tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let port = free_port();
        let users = format!("\"{}\" \"{}\"\n", url.username(), url.password().unwrap_or_default());
        std::fs::write(path("users"), users).unwrap();
        // In transaction mode, all clients share one server connection per database. In session mode, each client
        // uses its own server connection.
        let size = if mode == "session" { 40 } else { 1 };
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\nlogfile = {}\npool_mode = {mode}\ndefault_pool_size = {size}\n{settings}",
            url.host_str().unwrap(),
            url.port().unwrap_or(5432),
            path("users").display(),
            path("log").display(),
        );
        std::fs::write(path("pgbouncer.ini"), text).unwrap();
        let mut command = Command::new(program);
        command.arg("--quiet").arg(path("pgbouncer.ini")).kill_on_drop(true);
        if rustix::process::geteuid().is_root() {
            let user = unprivileged();
            for place in [folder.path(), &path("users"), &path("pgbouncer.ini")] {
                chown(place, Some(user), None).unwrap();
            }
            command.uid(user);
        }
        let process = command.spawn().unwrap();
        let up = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let up = timeout(TEST_TIMEOUT, up).await;
        up.unwrap_or_else(|_| panic!("{}", std::fs::read_to_string(path("log")).unwrap_or_default()));
        Some(Self {
            port,
            server,
            _process: process,
            _folder: folder,
        })
    }

    fn url(&self, database: &str) -> String {
        let mut url = Url::parse(&with_name(&self.server, database)).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.into()
    }

    async fn server(&self) -> TestServer {
        let script = Script::function(|_| Turn::words(20));
        TestServer::open(&Database::Postgres(self.server.clone()), script, |config| {
            config.tiers[0].concurrent_runs = None;
            let direct = config.database_url.take().unwrap();
            let name = direct.expose_secret().rsplit_once('/').unwrap().1.to_owned();
            config.database_url = Some(SecretString::from(self.url(&name)));
        })
        .await
    }
}

fn config(url: &str) -> Config {
    let mut config = Config::parse("the test's configuration", "").unwrap();
    config.database_url = Some(SecretString::from(url));
    config
}

async fn refused(url: &str) -> String {
    Db::open(&config(url)).await.err().unwrap().message().to_owned()
}

fn value(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Postgres, sql)
}

/// Connects with a client that uses named prepared statements.
async fn naming_client(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1);
    Connections::connect(options).await.unwrap()
}

async fn work(server: &TestServer) {
    let callers = (0..6).map(|number| server.caller(&format!("caller-{number}")));
    join_all(callers.map(async |caller| {
        let run = caller.start("Hello.").await;
        assert_no_gaps(&caller.events(&run, 0).await, 1);
        let thread_id = run["thread_id"].as_str().unwrap();
        let messages = caller.get(&format!("/threads/{thread_id}/messages")).await.ok();
        assert!(messages.to_string().contains("Hello."), "{messages}");
    }))
    .await;
}

#[tokio::test]
async fn servers_work_behind_a_pooler_in_transaction_mode() {
    for settings in ["", DROPPED] {
        let Some(bouncer) = Bouncer::start("transaction", settings).await else {
            return;
        };
        let mut server = bouncer.server().await;
        work(&server).await;
        // The server's connection settings also apply to reads and transactions behind the pooler.
        let setting = "SELECT current_setting('lock_timeout') || ' ' || current_setting('plan_cache_mode')";
        let db = &server.app().db;
        let tx = db.begin("test").await.unwrap();
        let in_unit = tx.query_one_raw(value(setting)).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let in_read = db.read().query_one_raw(value(setting)).await.unwrap().unwrap();
        for row in [in_unit, in_read] {
            let settings: String = row.try_get_by_index(0).unwrap();
            assert_eq!(settings, "10s force_generic_plan");
        }
        // A second server shares the pooled connections with the first server.
        let second = Db::open(&server.config).await.unwrap();
        second.check().await.unwrap();
        work(&server).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn statements_that_other_clients_of_a_pooler_named_do_no_harm() {
    let Some(bouncer) = Bouncer::start("transaction", DROPPED).await else {
        return;
    };
    let mut server = bouncer.server().await;
    let url = server.config.database_url.clone().unwrap();
    // Control: two clients with named prepared statements collide, because they share a server connection.
    let one = naming_client(url.expose_secret()).await;
    one.query_one_raw(value("SELECT 1")).await.unwrap();
    let other = naming_client(url.expose_secret()).await;
    let collision = other.query_one_raw(value("SELECT 2")).await.unwrap_err();
    assert!(collision.to_string().contains("already exists"), "{collision}");
    work(&server).await;
    // The migrations also use named prepared statements, but do not collide with those of the two clients.
    Db::open(&server.config).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn servers_that_start_together_behind_a_pooler_all_succeed() {
    let Some(bouncer) = Bouncer::start("transaction", "").await else {
        return;
    };
    let name = format!("runyard_{}", uuid::Uuid::now_v7().simple());
    let outside = Connections::connect(&bouncer.server).await.unwrap();
    outside
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    outside.close().await.unwrap();
    let config = config(&bouncer.url(&name));
    for opened in join_all((0..4).map(|_| Db::open(&config))).await {
        opened.unwrap();
    }
}

#[tokio::test]
async fn a_pooler_in_session_mode_works_and_statement_mode_is_refused() {
    for settings in ["", DROPPED] {
        let Some(bouncer) = Bouncer::start("session", settings).await else {
            return;
        };
        let mut server = bouncer.server().await;
        work(&server).await;
        server.stop().await;
    }
    let bouncer = Bouncer::start("statement", "").await.unwrap();
    let message = refused(&bouncer.url("postgres")).await;
    assert!(message.contains("pool_mode = transaction"), "{message}");
}

#[tokio::test]
async fn a_failed_start_reports_the_error_of_the_pooler() {
    let Some(bouncer) = Bouncer::start("transaction", "").await else {
        return;
    };
    let mut url = Url::parse(&bouncer.url("postgres")).unwrap();
    url.set_password(Some("not-the-password")).unwrap();
    let message = refused(url.as_str()).await;
    assert!(
        message.contains("authentication failed") && message.contains("check the user and the password"),
        "{message}"
    );
    assert!(!message.contains("not-the-password"), "{message}");
    let message = refused(&bouncer.url("no_such_database")).await;
    assert!(
        message.contains("no_such_database") && message.contains("createdb"),
        "{message}"
    );
    // The URL parameter `pgbouncer=true` is valid with the pooler and also with a direct connection.
    for url in [bouncer.url("postgres"), bouncer.server.clone()] {
        Db::open(&config(&format!("{url}?pgbouncer=true"))).await.unwrap();
    }
}
