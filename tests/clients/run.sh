#!/usr/bin/env bash
# Tests clients in languages other than Rust against a real server: run.sh [PART...]. The default is all parts.
# RUNYARD_BIN is the path of the server.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export RUNYARD_BIN=${RUNYARD_BIN:-$target/debug/runyard}
export RUNYARD_CLIENTS=$target/clients
mkdir -p "$RUNYARD_CLIENTS"

parts=("$@")
if [ ${#parts[@]} = 0 ]; then
    parts=(stubs python docs generated packages typescript openapi)
fi
for part in "${parts[@]}"; do
    echo "── clients: $part"
    started=$SECONDS
    tests/clients/"$part".sh
    echo "── clients: $part took $((SECONDS - started)) s"
done
