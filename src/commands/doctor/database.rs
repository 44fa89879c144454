//! Database checks of `runyard doctor`: the schema, the clock and the data folder.

use super::{Check, Verdict};
use crate::{
    clock::Clock,
    config::Config,
    db::{Inspected, Schema},
    installation::{self, Belongs},
};

/// Maximum difference between the clocks of this host and the database, in milliseconds. A larger difference makes
/// leases and tokens expire at the wrong time.
const MAX_DIFFERENCE: u64 = 2_000;

pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let database = match Inspected::open(config).await {
        Ok(Some(database)) => database,
        Ok(None) => return vec![Check::ok("schema", "the first start creates the database")],
        Err(error) => return vec![Check::bad("database", error.message())],
    };
    let mut checks = vec![schema(&database.schema().await)];
    if config.database_url.is_some() {
        checks.insert(0, Check::ok("database", "PostgreSQL answers"));
        checks.extend(clock(&database).await);
        checks.push(folder(config, &database).await);
    }
    checks
}

fn schema(schema: &Schema) -> Check {
    match schema {
        Schema::New => Check::ok("schema", "the first start creates the tables"),
        Schema::Current => Check::ok("schema", "up to date"),
        Schema::Behind(missing) => Check::warn(
            "schema",
            format!(
                "{missing} migration{} pending: make a backup; the next start migrates the database",
                if *missing == 1 { " is" } else { "s are" }
            ),
        ),
        Schema::Newer(migration) => Check::bad(
            "schema",
            format!(
                "a newer version of runyard has changed this database (migration {migration}): start that version or a later one, \
                 or restore a backup"
            ),
        ),
    }
}

async fn clock(database: &Inspected) -> Option<Check> {
    let database_time = database.time().await.ok().flatten()?;
    let apart = Clock::default()
        .now()
        .signed_duration_since(database_time)
        .num_milliseconds();
    let message = format!(
        "the clocks of this machine and of the database differ by {} ms",
        apart.unsigned_abs()
    );
    Some(if apart.unsigned_abs() > MAX_DIFFERENCE {
        Check::warn("clock", format!("{message}: run an NTP client on both hosts"))
    } else {
        Check::ok("clock", message)
    })
}

async fn folder(config: &Config, database: &Inspected) -> Check {
    let (verdict, message) = match installation::compare(config, database).await {
        Belongs::ToNone => (
            Verdict::Ok,
            "the database has no data folder yet; the first start will use this one".to_owned(),
        ),
        Belongs::ToThis => (Verdict::Ok, "the database belongs to this data folder".to_owned()),
        Belongs::ToOther(other) => (
            Verdict::Bad,
            format!(
                "the database belongs to another data folder ({other}): use that folder, or stop all servers and run \
                 `runyard migrate --adopt-data-dir`"
            ),
        ),
    };
    Check {
        name: "data folder",
        verdict,
        message,
    }
}
