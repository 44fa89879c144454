#!/usr/bin/env bash
# make test: runs the lints, the tests on SQLite and PostgreSQL, the clients in other languages, and the console in
# Chromium. The script leaves only build output, and screenshots in target/web.
#
# RUNYARD_TEST_POSTGRES_URL names a PostgreSQL server to use instead of a temporary server. The tests create their own
# databases on it.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS

# The tests run git, npm, javac, pip and chromium in the sandbox, and use PgBouncer as the connection pooler. With
# RUNYARD_TEST_PROGRAMS, a test whose program is missing fails instead of being skipped.
scripts/install.sh cc:build-essential /usr/include/stdio.h:build-essential bwrap:bubblewrap git:git npm:npm \
    javac:default-jdk-headless pip3:python3-pip chromium:chromium /usr/sbin/pgbouncer:pgbouncer
export RUNYARD_TEST_PROGRAMS=1

cluster=
cleanup() {
    local code=$?
    if [ -n "$cluster" ]; then
        scripts/postgres.sh stop "$cluster"
    fi
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

scripts/lint.sh

if [ -z "${RUNYARD_TEST_POSTGRES_URL:-}" ]; then
    if ! scripts/postgres.sh version >/dev/null 2>&1; then
        scripts/install.sh postgresql
    fi
    cluster=$(mktemp -du "${TMPDIR:-/tmp}/runyard-postgres.XXXXXX")
    RUNYARD_TEST_POSTGRES_URL=$(scripts/postgres.sh start "$cluster")
    export RUNYARD_TEST_POSTGRES_URL
    postgres="$(scripts/postgres.sh version | sed 's/^postgres (PostgreSQL) /PostgreSQL /'), a temporary cluster"
else
    postgres="PostgreSQL at RUNYARD_TEST_POSTGRES_URL"
fi

echo "── scripts"
scripts/install.sh python3:python3
PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover --start-directory tests/scripts --pattern '*_test.py'

echo "── tests on two databases: SQLite (built in) and $postgres"
cargo test --locked --workspace --no-fail-fast

echo "── clients in other languages"
cargo build --locked --bin runyard
tests/clients/run.sh

echo "── the console in Chromium"
scripts/web.sh

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
echo "── operations"
RUNYARD_BIN=$target/debug/runyard tests/operations/run.sh

echo "── release packages"
RUNYARD_BIN=$target/debug/runyard tests/dist/run.sh

echo
echo "All tests passed on SQLite and on $postgres, in $((SECONDS - started)) s."
