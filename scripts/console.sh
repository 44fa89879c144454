#!/usr/bin/env bash
# make console: builds the console (clients/web) into clients/web/dist. The next build of the program embeds the
# result.
#
# Does nothing if the existing build is newer than the console's sources.
set -euo pipefail
cd "$(dirname "$0")/.."

built=clients/web/dist/index.html
sources=(clients/web clients/typescript proto scripts/console.sh)
if [ -f "$built" ] && [ -z "$(find "${sources[@]}" \( -name node_modules -o -name dist -o -name .test -o -name generated \) -prune -o -type f -newer "$built" -print -quit)" ]; then
    exit 0
fi

# shellcheck source=scripts/node.sh
. scripts/node.sh

for folder in clients/typescript clients/web; do
    if ! (cd "$folder" && ../../scripts/progress.sh "npm ci in $folder" npm ci --no-audit --no-fund --loglevel=error &&
        ../../scripts/progress.sh "npm run build in $folder" npm run --silent build); then
        # The next call would take a partial build for a complete one.
        rm -rf clients/web/dist
        exit 1
    fi
done
