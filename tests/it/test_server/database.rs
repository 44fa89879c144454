//! The databases on which tests run: SQLite, unless `RUNYARD_TEST_ONLY_POSTGRES` is set, and PostgreSQL if one is
//! configured.
//!
//! If `RUNYARD_TEST_POOLER_URL` is set, servers connect to PostgreSQL through that connection pooler. Only the tests
//! themselves connect directly.

use url::Url;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub enum Database {
    Sqlite,
    Postgres(String),
}

pub fn databases() -> Vec<Database> {
    let mut databases = Vec::new();
    if std::env::var_os("RUNYARD_TEST_ONLY_POSTGRES").is_none() {
        databases.push(Database::Sqlite);
    }
    if let Ok(url) = std::env::var("RUNYARD_TEST_POSTGRES_URL") {
        databases.push(Database::Postgres(url));
    }
    databases
}

impl Database {
    /// Creates a database for one test. Returns `None` for SQLite, because the server creates that database itself.
    pub async fn make(&self) -> Option<Made> {
        let Self::Postgres(server) = self else { return None };
        let name = format!("runyard_{}", Uuid::now_v7().simple());
        query(server, &format!("CREATE DATABASE {name}")).await;
        let direct = with_name(server, &name);
        let is_pooled = std::env::var("RUNYARD_TEST_POSTGRES_URL").is_ok_and(|url| url == *server);
        let url = match std::env::var("RUNYARD_TEST_POOLER_URL") {
            Ok(pooler) if is_pooled => with_name(&pooler, &name),
            _ => direct.clone(),
        };
        Some(Made {
            url,
            direct,
            server: server.clone(),
            name,
        })
    }
}

pub struct Made {
    /// Database URL for the server under test. It contains the pooler's address if a pooler is configured.
    pub url: String,
    /// Database URL without the pooler, for the test's own queries.
    pub direct: String,
    server: String,
    name: String,
}

impl Made {
    pub async fn drop(self) {
        query(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

pub fn with_name(url: &str, name: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    url.set_path(name);
    url.into()
}

async fn query(url: &str, sql: &str) {
    use sea_orm::ConnectionTrait;
    let db = sea_orm::Database::connect(url).await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}
