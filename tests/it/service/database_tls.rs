//! Tests of PostgreSQL over TLS. The PostgreSQL server accepts only TLS, with the certificate in
//! `tests/it/client/tls`. The client key in `tests/it/service/tls` is used only in these tests. The private key of
//! its CA was deleted.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use runyard::{config::Config, db::Db};
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use secrecy::SecretString;
use tempfile::TempDir;
use url::Url;

use crate::test_server::{Database, TestServer, databases};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// CA certificate that signed the server's certificate.
const AUTHORITY: &str = "tests/it/client/tls/authority.pem";
/// CA certificate that signed the client's certificate.
const CLIENTS: &str = "tests/it/service/tls/clients.pem";

struct Cluster {
    folder: TempDir,
    url: String,
}

impl Cluster {
    /// Starts a server. Returns `None` if the tests run without PostgreSQL.
    fn start() -> Option<Self> {
        databases()
            .iter()
            .find(|database| matches!(database, Database::Postgres(_)))?;
        let folder = tempfile::Builder::new().prefix("runyard-tls-").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for file in [
            "tests/it/client/tls/server.pem",
            "tests/it/client/tls/server.key",
            CLIENTS,
        ] {
            let from = Path::new(ROOT).join(file);
            std::fs::copy(&from, folder.path().join(from.file_name().unwrap())).unwrap();
        }
        let data = folder.path().join("cluster");
        let mut start = script("start", &data);
        let started = start.arg(folder.path()).stdin(Stdio::null()).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let url = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        Some(Self { folder, url })
    }

    /// Returns the URL of the server with these query parameters. A parameter may be the path of a file, relative to
    /// the repository root.
    fn url(&self, host: &str, parameters: &str) -> String {
        let mut url = Url::parse(&self.url).unwrap();
        url.set_host(Some(host)).unwrap();
        for (key, value) in url::form_urlencoded::parse(parameters.as_bytes()) {
            let path = Path::new(ROOT).join(&*value);
            let value = if path.is_file() {
                path.display().to_string()
            } else {
                value.into()
            };
            url.query_pairs_mut().append_pair(&key, &value);
        }
        url.into()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = script("stop", &self.folder.path().join("cluster")).status();
        assert!(stopped.is_ok_and(|status| status.success()));
    }
}

fn script(verb: &str, data: &Path) -> Command {
    let mut command = Command::new(Path::new(ROOT).join("scripts/postgres.sh"));
    command.arg(verb).arg(data);
    command
}

async fn open(url: &str) -> Result<Db, String> {
    let mut config = Config::parse("the test's configuration", "").unwrap();
    config.database_url = Some(SecretString::from(url));
    Db::open(&config).await.map_err(|error| error.message().to_owned())
}

async fn uses_tls(db: &Db) -> bool {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = db.read().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_server_that_requires_tls_is_reached_and_its_certificate_is_checked() {
    let Some(cluster) = Cluster::start() else { return };
    let verify = |mode: &str, authority: &str| format!("sslmode={mode}&sslrootcert={authority}");
    for (host, parameters) in [
        ("127.0.0.1", String::new()),
        ("127.0.0.1", "sslmode=allow".to_owned()),
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", verify("require", AUTHORITY)),
        ("127.0.0.1", verify("verify-ca", AUTHORITY)),
        ("localhost", verify("verify-ca", AUTHORITY)),
        ("localhost", verify("verify-full", AUTHORITY)),
    ] {
        let db = open(&cluster.url(host, &parameters)).await;
        let db = db.unwrap_or_else(|error| panic!("{host} {parameters}: {error}"));
        assert!(uses_tls(&db).await, "{host} {parameters}");
    }
    for (host, parameters, words) in [
        (
            "127.0.0.1",
            "sslmode=disable".to_owned(),
            ["no encryption", "sslmode=require"],
        ),
        (
            "localhost",
            verify("require", CLIENTS),
            ["UnknownIssuer", "sslrootcert"],
        ),
        (
            "localhost",
            verify("verify-ca", CLIENTS),
            ["UnknownIssuer", "sslrootcert"],
        ),
        (
            "localhost",
            verify("verify-full", CLIENTS),
            ["UnknownIssuer", "sslrootcert"],
        ),
        (
            "localhost",
            "sslmode=verify-full".to_owned(),
            ["UnknownIssuer", "sslrootcert"],
        ),
        (
            "localhost",
            "sslrootcert=system".to_owned(),
            ["UnknownIssuer", "sslrootcert"],
        ),
        (
            "127.0.0.1",
            verify("verify-full", AUTHORITY),
            ["not valid for name", "verify-ca"],
        ),
    ] {
        let refused = open(&cluster.url(host, &parameters)).await.err();
        let message = refused.unwrap_or_else(|| panic!("{host} {parameters} should be refused"));
        for word in words {
            assert!(message.contains(word), "{host} {parameters}: {message}");
        }
    }
}

#[tokio::test]
async fn a_role_logs_in_with_a_client_certificate() {
    let Some(cluster) = Cluster::start() else { return };
    let owner = open(&cluster.url("localhost", "sslmode=require")).await.unwrap();
    let grant = "CREATE ROLE certified LOGIN SUPERUSER";
    owner.read().execute_unprepared(grant).await.unwrap();
    let certified = |parameters: &str| {
        let mut url = Url::parse(&cluster.url("localhost", parameters)).unwrap();
        url.set_username("certified").unwrap();
        url.set_password(None).unwrap();
        String::from(url)
    };
    let authority = format!("sslmode=verify-full&sslrootcert={AUTHORITY}");
    let with = format!("{authority}&sslcert=tests/it/service/tls/client.pem&sslkey=tests/it/service/tls/client.key");
    open(&certified(&with)).await.unwrap();
    let message = open(&certified(&authority)).await.err().unwrap();
    assert!(message.contains("client certificate"), "{message}");
}

#[tokio::test]
async fn a_run_works_over_tls() {
    let Some(cluster) = Cluster::start() else { return };
    let url = cluster.url("localhost", &format!("sslmode=verify-full&sslrootcert={AUTHORITY}"));
    let script = Script::function(|_| Turn::text("Yes."));
    let mut server = TestServer::open(&Database::Postgres(url), script, |_| {}).await;
    let caller = server.caller("ann");
    let run = caller.start("Hello.").await;
    assert_eq!(caller.ended(&run).await["status"], "completed");
    assert!(uses_tls(&server.app().db).await);
    server.stop().await;
}
