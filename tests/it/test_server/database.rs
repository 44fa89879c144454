//! The databases that tests run on: SQLite, and PostgreSQL when one is configured.

use uuid::Uuid;

/// A kind of database to run tests on.
#[derive(Clone, Debug)]
pub enum Database {
    Sqlite,
    Postgres(String),
}

pub fn databases() -> Vec<Database> {
    let mut databases = vec![Database::Sqlite];
    if let Ok(url) = std::env::var("RUNYARD_TEST_POSTGRES_URL") {
        databases.push(Database::Postgres(url));
    }
    databases
}

impl Database {
    /// Creates a database for one test. Returns `None` for SQLite, because the server creates that database in the data
    /// folder.
    pub async fn make(&self) -> Option<Made> {
        let Self::Postgres(server) = self else { return None };
        let name = format!("runyard_{}", Uuid::now_v7().simple());
        query(server, &format!("CREATE DATABASE {name}")).await;
        let (base, _) = server.rsplit_once('/').unwrap();
        Some(Made {
            url: format!("{base}/{name}"),
            server: server.clone(),
            name,
        })
    }
}

/// A PostgreSQL database that belongs to one test.
pub struct Made {
    pub url: String,
    server: String,
    name: String,
}

impl Made {
    pub async fn drop(self) {
        query(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn query(url: &str, sql: &str) {
    use sea_orm::ConnectionTrait;
    let db = sea_orm::Database::connect(url).await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}
