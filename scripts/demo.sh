#!/usr/bin/env bash
# make demo: builds Runyard, starts a server and shows the example run live.
#
# On a terminal, the server keeps running after the demo; otherwise it is stopped. Plan limits are off.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    echo
    echo "── $*$([ "$SECONDS" -lt 2 ] || echo ", after $SECONDS s")"
}

if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing: install it from https://rustup.rs and run this again" >&2
    exit 1
fi
scripts/install.sh cc:build-essential /usr/include/stdio.h:build-essential bwrap:bubblewrap curl:curl

step "1/3 The web console (the first time takes about a minute)"
if ! scripts/console.sh; then
    echo "The console could not be built, see above. The demo continues without it." >&2
fi
console=
if [ -f clients/web/dist/index.html ]; then
    console=yes
fi

crates=$(grep -c '^\[\[package\]\]' Cargo.lock)
step "2/3 The program (the first time, Rust compiles up to $crates crates: 5 to 10 minutes on two cores, less on more)"
scripts/progress.sh --terminal "cargo build" cargo build --locked --bin runyard
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
runyard=$target/debug/runyard

# Checks that other users can enter a folder and its parents. A server that runs as root executes tools as other
# users. Those users need access to their workspaces in the data folder.
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
    echo "Other users cannot enter $PWD, so the data folder is $data"
fi
mkdir -p "$data"

# The sandbox uses the programs of this root if it exists, and the host's programs otherwise.
rootfs=${RUNYARD_SANDBOX_ROOTFS:-$PWD/target/sandbox-rootfs}
if [ ! -f "$rootfs/usr/share/runyard-rootfs" ]; then
    rootfs=
    echo "The sandbox uses this computer's programs. To give it Python with pandas, Node.js and git, run: make sandbox-rootfs"
elif [ "$(id -u)" = 0 ] && ! reachable "$rootfs"; then
    echo "Other users cannot enter $rootfs, so the sandbox uses this computer's programs. To use the root, move it, for example" \
        "to /var/lib/runyard-rootfs, and set RUNYARD_SANDBOX_ROOTFS to its path."
    rootfs=
else
    echo "The sandbox uses the programs in $rootfs"
fi
pid_file=$data/demo.pid
log=$data/demo.log

# The server of an earlier demo locks the data folder, so stop that server. Another program may have the recorded
# process id by now, so check the command line first.
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

step "3/3 The demo: a server, and a run that analyzes a CSV file (a few seconds)"
# The server runs in a separate session, so that Ctrl-C during the run stops only the run.
RUNYARD_LIMITS=off RUNYARD_SANDBOX_ROOTFS=$rootfs setsid "$runyard" serve --listen "127.0.0.1:$port" --data-dir "$data" </dev/null >"$log" 2>&1 &
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
        echo "The server did not start. The end of its log ($log):" >&2
        tail -n 20 "$log" >&2
        exit 1
    fi
    sleep 0.1
done
echo "The server is up at $url (data in $data, log in $log)"
echo

token=$("$runyard" token --data-dir "$data")
export RUNYARD_TOKEN=$token
made=$data/demo-files
rm -rf "$made"
"$runyard" run "Analyze data.csv and create visualizations" --file examples/data.csv --server "$url" --download "$made"
if [ -z "$(ls -A "$made" 2>/dev/null)" ]; then
    echo "The run created no files; the server's log is $log" >&2
    exit 1
fi

echo
if [ -t 1 ] && [ -t 0 ]; then
    trap - EXIT
    echo "The server keeps running, with plans off and the data in $data."
    if [ -n "$console" ]; then
        printf 'The console, signed in:\n\n  %s\n\n' "$url/#token=$token"
    fi
    cat <<END
Try it:

  export RUNYARD_SERVER=$url RUNYARD_TOKEN=$token
  $runyard run "What is in this file?" --file examples/data.csv
  curl -H "Authorization: Bearer \$RUNYARD_TOKEN" $url/agent-runs

Stop the server with: kill $pid
END
else
    stop
    trap - EXIT
    echo "The demo is done; the server is stopped and its files are in $made"
fi
