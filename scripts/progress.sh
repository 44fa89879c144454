#!/usr/bin/env bash
# progress.sh [--terminal] LABEL COMMAND...: runs a command, and prints a line with the elapsed time every 15 seconds until it ends.
#
# Scripts use it for steps that print nothing for a long time. The exit status is the status of the command. With
# --terminal, the command shows its own progress on a terminal, so the lines are only printed elsewhere.
# RUNYARD_PROGRESS_SECONDS changes the interval.
set -euo pipefail

if [ "$1" = --terminal ]; then
    shift
    if [ -t 2 ]; then
        shift
        exec "$@"
    fi
fi
label=$1
shift
every=${RUNYARD_PROGRESS_SECONDS:-15}
whole=$$

# A pipe that stays empty: `read` with a timeout waits without a child process, which would outlive this script.
exec {empty}<> <(:)
beat() {
    # Without a parent, for example after SIGKILL, the loop ends.
    while ! read -rt "$every" -u "$empty" && kill -0 "$whole" 2>/dev/null; do
        echo "   … $label: $SECONDS s" >&2
    done
}
beat &
beating=$!
stop() {
    kill "$beating" 2>/dev/null || true
    wait "$beating" 2>/dev/null || true
}
trap stop EXIT
code=0
"$@" || code=$?
exit "$code"
