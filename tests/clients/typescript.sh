#!/usr/bin/env bash
# Builds the TypeScript client, and tests its source folder and its npm package against a real server.
set -euo pipefail
cd "$(dirname "$0")/../.."

scripts/install.sh python3:python3
# shellcheck source=scripts/node.sh
. scripts/node.sh
if [ -z "${RUNYARD_BIN:-}" ]; then
    target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    RUNYARD_BIN=$target/debug/runyard
fi
export RUNYARD_BIN

cd clients/typescript
# Runs npm ci only after a change of the lock file.
wanted=$(sha256sum package-lock.json | cut -c1-16)
if [ "$(cat node_modules/.ready 2>/dev/null)" != "$wanted" ]; then
    npm ci --no-audit --no-fund --loglevel=error
    echo "$wanted" >node_modules/.ready
fi
npm run --silent build
node --test --test-reporter=spec tests/
