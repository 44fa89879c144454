#!/usr/bin/env bash
# make console: builds clients/web into clients/web/dist, which the next build of the program takes inside.
#
# Nothing is done when what is there is newer than everything that it is made of.
set -euo pipefail
cd "$(dirname "$0")/.."

built=clients/web/dist/index.html
sources=(clients/web clients/typescript proto scripts/console.sh)
if [ -f "$built" ] && [ -z "$(find "${sources[@]}" \( -name node_modules -o -name dist -o -name .test -o -name generated \) -prune -o -type f -newer "$built" -print -quit)" ]; then
    exit 0
fi

scripts/install.sh node nodejs
scripts/install.sh npm npm
if ! node -e 'const [major, minor] = process.versions.node.split("."); process.exit(+major > 20 || (+major === 20 && +minor >= 19) ? 0 : 1)'; then
    echo "The console wants Node 20.19 or newer; $(command -v node) is $(node --version)" >&2
    exit 1
fi

for folder in clients/typescript clients/web; do
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build)
done
