#!/usr/bin/env bash
# Generates clients from /openapi.json with @hey-api/openapi-ts and openapi-python-client, and runs an agent with them.
set -euo pipefail
cd "$(dirname "$0")/../.."

# shellcheck source=scripts/node.sh
. scripts/node.sh
venv=$(tests/clients/venv.sh openapi tests/clients/openapi/requirements.txt)
node=$RUNYARD_CLIENTS/openapi-node
mkdir -p "$node"
wanted=$(sha256sum tests/clients/openapi/package-lock.json | cut -c1-16)
cp tests/clients/openapi/package*.json "$node"
if [ "$(cat "$node/node_modules/.ready" 2>/dev/null)" != "$wanted" ]; then
    # The packages include their programs, so npm needs no install scripts.
    (cd "$node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    echo "$wanted" >"$node/node_modules/.ready"
fi
RUNYARD_OPENAPI_NODE=$node PYTHONPATH=tests/clients PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m unittest discover \
    --start-directory tests/clients/openapi --pattern '*_test.py' --verbose
