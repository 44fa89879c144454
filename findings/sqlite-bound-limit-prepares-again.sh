#!/usr/bin/env bash
# With the SQLite that libsqlite3-sys 0.37 bundles (used by rusqlite 0.39 and sqlx 0.9), a cached statement with a bound `LIMIT ?` is
# recompiled at every execution. libsqlite3-sys builds SQLite with SQLITE_ENABLE_STAT4. The planner then reads the bound limit and
# marks the parameter as one that can change the plan, so each new binding expires the compiled statement. A statement cache does not
# help such statements, and ORMs write them for every "first row" query. A statement with a literal limit is compiled once.
# SQLITE_ENABLE_QPSG at build time (or SQLITE_DBCONFIG_ENABLE_QPSG per connection) avoids the recompilation.
#
# Observed for 1,000 executions of one prepared statement: `LIMIT ?2` is recompiled 1,000 times, `LIMIT 1` never.
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

dependencies <<'TOML'
rusqlite = { version = "=0.39.0", features = ["bundled"] }
libsqlite3-sys = "=0.37.0"
TOML
cat >src/main.rs <<'RUST'
use rusqlite::{params, Connection, StatementStatus};

fn main() -> rusqlite::Result<()> {
    let db = Connection::open_in_memory()?;
    db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); CREATE INDEX t_a ON t (a); INSERT INTO t (a) VALUES (1), (2), (3);")?;
    let mut bound = db.prepare("SELECT id FROM t WHERE a = ?1 LIMIT ?2")?;
    let mut written = db.prepare("SELECT id FROM t WHERE a = ?1 LIMIT 1")?;
    for _ in 0..1000 {
        let _: i64 = bound.query_row(params![2, 1], |row| row.get(0))?;
        let _: i64 = written.query_row(params![2], |row| row.get(0))?;
    }
    println!(
        "bound limit: {}, written limit: {}",
        bound.get_status(StatementStatus::RePrepare),
        written.get_status(StatementStatus::RePrepare)
    );
    Ok(())
}
RUST
seen=$(LIBSQLITE3_FLAGS='' run)
echo "recompilations in 1,000 executions: $seen"
expect "$seen" 'bound limit: 1000, written limit: 0'
