#!/usr/bin/env bash
# A temporary PostgreSQL cluster for tests, on loopback, with a password.
#
#   postgres.sh start FOLDER [CERTIFICATES]   creates a cluster in FOLDER (which must not exist), starts it and prints its URL
#   postgres.sh stop FOLDER                   stops the cluster and removes FOLDER
#   postgres.sh version                       prints the version of the server that start would use
#
# With CERTIFICATES, the cluster accepts only TLS. CERTIFICATES is a folder with server.pem, server.key, and
# clients.pem, the CA certificate for the client certificates of the role `certified`.
#
# RUNYARD_POSTGRES_BIN is the folder of the server's programs [default: the newest installed version]. PostgreSQL
# refuses to run as root. If root runs this script, the server runs as the user postgres or, without that user, as an
# unprivileged user.
set -euo pipefail

find_bin() {
    local folder
    for folder in ${RUNYARD_POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr) ${PATH//:/ }}; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ] && [ -x "$folder/postgres" ]; then
            echo "$folder"
            return 0
        fi
    done
    return 1
}

unprivileged() {
    id -un postgres 2>/dev/null || echo nobody
}

as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        runuser -u "$(unprivileged)" -- "$@"
    else
        "$@"
    fi
}

is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# PostgreSQL reads its TLS key only if no other user can read the key file.
require_tls() {
    local folder=$1 certificates=$2
    as_postgres install -m 600 /dev/stdin "$folder/data/server.key" <"$certificates/server.key"
    as_postgres install -m 600 /dev/stdin "$folder/data/server.crt" <"$certificates/server.pem"
    as_postgres install -m 600 /dev/stdin "$folder/data/clients.crt" <"$certificates/clients.pem"
    as_postgres tee "$folder/data/pg_hba.conf" >/dev/null <<'END'
hostssl all certified all cert
hostssl all all       all scram-sha-256
END
}

start() {
    local folder=$1 certificates=${2:-} bin password port tls=
    bin=$(find_bin)
    mkdir -m 700 "$folder"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s' "$password" >"$folder/password"
    if [ "$(id -u)" = 0 ]; then
        chown -R "$(unprivileged)" "$folder"
    fi
    # The cluster runs without fsync. Tests that simulate a crash do not use this cluster.
    as_postgres "$bin/initdb" --pgdata "$folder/data" --username runyard --pwfile "$folder/password" \
        --auth scram-sha-256 --encoding UTF8 --locale C --no-sync >"$folder/initdb.log" 2>&1 || {
        cat "$folder/initdb.log" >&2
        return 1
    }
    if [ -n "$certificates" ]; then
        require_tls "$folder" "$certificates"
        tls="-c ssl=on -c ssl_ca_file=clients.crt"
    fi
    for _ in $(seq 20); do
        port=$((20000 + RANDOM % 12000))
        is_free "$port" || continue
        # The working folder must be accessible to the user of the server, so change to /.
        if (cd / && as_postgres "$bin/pg_ctl" start --wait --silent --pgdata "$folder/data" --log "$folder/data/log" \
            --options "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$folder -c fsync=off \
                -c max_connections=500 -c shared_buffers=128MB $tls") </dev/null >/dev/null 2>&1; then
            echo "postgres://runyard:$password@127.0.0.1:$port/postgres"
            return 0
        fi
    done
    tail -n 20 "$folder/data/log" >&2 || true
    echo "PostgreSQL did not start; see above" >&2
    return 1
}

stop() {
    local folder=$1 bin
    bin=$(find_bin)
    if [ -f "$folder/data/postmaster.pid" ]; then
        (cd / && as_postgres "$bin/pg_ctl" stop --wait --silent --mode immediate --pgdata "$folder/data") >/dev/null 2>&1 || true
    fi
    rm -rf "$folder"
}

case "${1:-}" in
start) start "$2" "${3:-}" ;;
stop) stop "$2" ;;
version) "$(find_bin)/postgres" --version ;;
*)
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
