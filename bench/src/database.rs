//! Measures how many transactions per second PostgreSQL commits without a Runyard server. Each transaction inserts
//! the rows of a started run.

use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::Result;

const CLIENTS: u32 = 16;
const DURATION: Duration = Duration::from_secs(4);
const TABLES: &str = "
    CREATE TABLE projects (id uuid PRIMARY KEY, account_id uuid);
    CREATE TABLE threads (id uuid PRIMARY KEY, project_id uuid);
    CREATE TABLE runs (id uuid PRIMARY KEY, thread_id uuid, status integer);
    CREATE TABLE messages (id uuid PRIMARY KEY, thread_id uuid, text text);
    CREATE TABLE run_events (run_id uuid, sequence bigint, event bytea, PRIMARY KEY (run_id, sequence));
";
/// The statements of a transaction. `$1` is the id of the new rows.
const INSERTS: [&str; 5] = [
    "INSERT INTO projects VALUES ($1, $1)",
    "INSERT INTO threads VALUES ($1, $1)",
    "INSERT INTO messages VALUES ($1, $1, 'Say something.')",
    "INSERT INTO runs VALUES ($1, $1, 1)",
    "INSERT INTO run_events VALUES ($1, 1, '\\x0a2430313233343536373839616263646566')",
];

pub(crate) struct Rows(DatabaseConnection);

impl Rows {
    pub(crate) async fn create(url: &str) -> Result<Self> {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(CLIENTS)
            .min_connections(CLIENTS)
            .sqlx_logging(false);
        let db = Database::connect(options).await?;
        db.execute_unprepared(TABLES).await?;
        Ok(Self(db))
    }

    pub(crate) async fn measure(&self) -> Result<f64> {
        let (mut tasks, began) = (JoinSet::new(), Instant::now());
        for _ in 0..CLIENTS {
            let db = self.0.clone();
            tasks.spawn(async move {
                let mut commits = 0_u64;
                while began.elapsed() < DURATION {
                    insert(&db).await?;
                    commits += 1;
                }
                Ok::<_, crate::Fault>(commits)
            });
        }
        let mut commits = 0;
        while let Some(done) = tasks.join_next().await {
            commits += done??;
        }
        Ok(commits as f64 / began.elapsed().as_secs_f64())
    }
}

async fn insert(db: &DatabaseConnection) -> Result<()> {
    let id = Uuid::now_v7();
    let tx = db.begin().await?;
    for text in INSERTS {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, text, [id.into()]);
        tx.execute_raw(statement).await?;
    }
    Ok(tx.commit().await?)
}
