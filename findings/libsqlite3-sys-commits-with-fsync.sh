#!/usr/bin/env bash
# The SQLite that libsqlite3-sys 0.37.0 bundles (for rusqlite 0.39.0 and sqlx 0.9) commits with fsync. SQLite uses fdatasync only if it
# is compiled with HAVE_FDATASYNC. Its configure script sets this on Linux, so the SQLite of Debian uses fdatasync; the build script of
# libsqlite3-sys does not. fsync also writes the times of the file, which on a file system with a journal is one more write per commit.
# LIBSQLITE3_FLAGS=-DHAVE_FDATASYNC at build time changes it.
#
# Observed for ten commits in WAL mode with synchronous=FULL: fsync from the bundled SQLite, fdatasync with the flag, and fdatasync from
# Debian's SQLite (3.40.1, through Python). Needs strace.
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

dependencies <<'TOML'
rusqlite = { version = "=0.39.0", features = ["bundled"] }
libsqlite3-sys = "=0.37.0"
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let db = rusqlite::Connection::open("bundled.db").expect("the file can be created");
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS t (n)").expect("WAL mode");
    for n in 0..10 {
        db.execute("INSERT INTO t VALUES (?)", [n]).expect("a commit");
    }
}
RUST
cat >debian.py <<'PYTHON'
import sqlite3

db = sqlite3.connect("debian.db", isolation_level=None)
db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n)")
for n in range(10):
    db.execute("INSERT INTO t VALUES (?)", [n])
PYTHON

# Prints which call wrote the commits to the disk: the one that was made at least ten times.
synced() {
    strace --follow-forks --output=trace --trace=fsync,fdatasync "$@"
    for call in fsync fdatasync; do
        [ "$(grep -c " $call(" trace)" -lt 10 ] || printf '%s' "$call"
    done
}

cargo build --quiet
bundled=$(synced target/debug/shows)
LIBSQLITE3_FLAGS=-DHAVE_FDATASYNC cargo build --quiet
rm -f bundled.db*
flagged=$(synced target/debug/shows)
seen="bundled: $bundled; with the flag: $flagged; Debian: $(synced python3 debian.py)"
echo "$seen"
expect "$seen" 'bundled: fsync; with the flag: fdatasync; Debian: fdatasync'
