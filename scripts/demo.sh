#!/usr/bin/env bash
# make demo: a server on embedded defaults does the example run, live.
#
# On a terminal the server stays up afterwards; otherwise it is stopped. Everything it keeps is in one data folder.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh cc build-essential
scripts/install.sh bwrap bubblewrap
scripts/install.sh curl curl

# The console is worth having, but not worth failing for: the program runs without it.
if ! scripts/console.sh; then
    echo "The console cannot be built here, see above; the demo goes on without it" >&2
fi
console=
if [ -f clients/web/dist/index.html ]; then
    console=yes
fi

echo "Building (the first time takes a few minutes)"
cargo build --locked --quiet --bin runyard
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
runyard=$target/debug/runyard

# Tools run as other users when the server is root; they must be able to reach their own folders below the data folder.
reachable() {
    local folder=$1
    while [ "$folder" != / ]; do
        [ ! -e "$folder" ] || [ -n "$(find "$folder" -maxdepth 0 -perm -o=x)" ] || return 1
        folder=$(dirname "$folder")
    done
}
data=$(realpath -m "${RUNYARD_DATA_DIR:-data}")
if [ "$(id -u)" = 0 ] && [ -z "${RUNYARD_DATA_DIR:-}" ] && ! reachable "$(dirname "$data")"; then
    data=/var/lib/runyard
    echo "The sandbox's users cannot enter $PWD; the data folder is $data"
fi
mkdir -p "$data"
pid_file=$data/demo.pid
log=$data/demo.log

# A server that an earlier demo left up holds the data folder: it is stopped, if it is really that one.
if [ -f "$pid_file" ]; then
    earlier=$(cat "$pid_file")
    if [[ $earlier =~ ^[0-9]+$ ]] && [ "$(tr '\0' ' ' <"/proc/$earlier/cmdline" 2>/dev/null | grep -c -- "serve .*--data-dir $data ")" = 1 ]; then
        kill "$earlier"
        timeout 60 tail --pid="$earlier" -f /dev/null
    fi
    rm -f "$pid_file"
fi

is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
for port in $(seq 8080 8099); do
    is_free "$port" && break
done
url=http://127.0.0.1:$port

# A session of its own: Ctrl-C during the run is for the run.
setsid "$runyard" serve --listen "127.0.0.1:$port" --data-dir "$data" </dev/null >"$log" 2>&1 &
pid=$!
echo "$pid" >"$pid_file"
stop() {
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    rm -f "$pid_file"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for attempt in $(seq 100); do
    if curl --silent --fail --max-time 2 "$url/readyz" >/dev/null; then
        break
    fi
    if ! kill -0 "$pid" 2>/dev/null || [ "$attempt" = 100 ]; then
        echo "The server does not start. Its last words ($log):" >&2
        tail -n 20 "$log" >&2
        exit 1
    fi
    sleep 0.1
done
echo "The server is up at $url (data in $data, log in $log)"
echo

# An account of its own for each demo, so that no plan's limit is ever reached.
token=$("$runyard" token --data-dir "$data" --sub "$(cat /proc/sys/kernel/random/uuid)")
export RUNYARD_TOKEN=$token
made=$data/demo-files
rm -rf "$made"
"$runyard" run "Analyze data.csv and create visualizations" --file examples/data.csv --server "$url" --download "$made"
if [ -z "$(ls -A "$made" 2>/dev/null)" ]; then
    echo "The run made no files; the server's log is $log" >&2
    exit 1
fi

echo
if [ -t 1 ] && [ -t 0 ]; then
    trap - EXIT
    echo "The server stays up."
    if [ -n "$console" ]; then
        printf 'The console, signed in:\n\n  %s\n\n' "$url/#token=$token"
    fi
    cat <<END
Try it:

  export RUNYARD_SERVER=$url RUNYARD_TOKEN=$token
  $runyard run "What is in this file?" --file examples/data.csv
  curl -H "Authorization: Bearer \$RUNYARD_TOKEN" $url/agent-runs

Stop it with: kill $pid
END
else
    stop
    trap - EXIT
    echo "The demo is done; the server is stopped and its files are in $made"
fi
