#!/usr/bin/env bash
# make test-web: tests the console in Chromium against the real program. Screenshots go to target/web.
#
# RUNYARD_BIN names the program to test [default: the debug build].
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh python3:python3
# shellcheck source=scripts/node.sh
. scripts/node.sh
if [ -z "${RUNYARD_CHROMIUM:-}" ]; then
    scripts/install.sh chromium:chromium
    RUNYARD_CHROMIUM=$(command -v chromium)
    export RUNYARD_CHROMIUM
fi
if [ -z "${RUNYARD_BIN:-}" ]; then
    target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    RUNYARD_BIN=$target/debug/runyard
fi
export RUNYARD_BIN

# The tested program serves this build instead of the console that is embedded in the program.
scripts/console.sh
(cd clients/web && npm test --silent)
cd tests/web
wanted=$(sha256sum package-lock.json | cut -c1-16)
if [ "$(cat node_modules/.ready 2>/dev/null)" != "$wanted" ]; then
    ../../scripts/progress.sh "npm ci in tests/web" npm ci --no-audit --no-fund --loglevel=error
    echo "$wanted" >node_modules/.ready
fi
npm test --silent
