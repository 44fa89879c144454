#!/usr/bin/env bash
# console.sh: builds the web console and the API reference into clients/web/dist, unless that is newer than all it is made from.
#
# Called by make console, make demo and the tests. cargo puts what it finds there into the program; without it the program
# builds just the same.
set -euo pipefail
cd "$(dirname "$0")/.."

dist=clients/web/dist
# What the console is made from: its own sources, the client that it talks through, and the contract of both.
sources=(clients/web clients/typescript proto scripts/console.sh)
if [ -f "$dist/index.html" ] && [ -f "$dist/docs.html" ] && [ -z "$(find "${sources[@]}" \
    \( -name node_modules -o -name dist -o -name .test -o -name generated \) -prune -o -type f -newer "$dist/index.html" -print -quit)" ]; then
    exit 0
fi

scripts/install.sh node nodejs
scripts/install.sh npm npm
version=$(node --version)
major=${version#v}
major=${major%%.*}
if [ "$major" -lt 20 ]; then
    echo "The console is built with Node 20 or newer, and this is $version" >&2
    exit 1
fi

# What a lock file names is installed once, and again when the lock file changes.
install() {
    if [ ! -f "$1/node_modules/.package-lock.json" ] || [ "$1/package-lock.json" -nt "$1/node_modules/.package-lock.json" ]; then
        (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
        touch "$1/node_modules/.package-lock.json"
    fi
}
echo "Building the console"
install clients/typescript
(cd clients/typescript && npm run --silent build)
install clients/web
(cd clients/web && npm run --silent build)
