#!/usr/bin/env bash
# Runs the code snippets in docs/. Builds the Python wheel and the gRPC stubs if they are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

scripts/install.sh curl:curl
if ! ls "$RUNYARD_CLIENTS"/client-*/ready "$RUNYARD_CLIENTS"/tools-*/ready >/dev/null 2>&1; then
    tests/clients/python.sh
fi
tools=$(tests/clients/venv.sh tools tests/clients/requirements.txt)/bin
rm -rf "$RUNYARD_CLIENTS/stubs"
mkdir "$RUNYARD_CLIENTS/stubs"
"$tools/python" -m grpc_tools.protoc -I proto --python_out="$RUNYARD_CLIENTS/stubs" --grpc_python_out="$RUNYARD_CLIENTS/stubs" \
    proto/runyard/v1/*.proto
client=$(dirname "$(ls "$RUNYARD_CLIENTS"/client-*/ready)")/bin
RUNYARD_TOOLS_BIN=$tools RUNYARD_CLIENT_BIN=$client RUNYARD_STUBS=$RUNYARD_CLIENTS/stubs PYTHONPATH=tests/clients \
    PYTHONDONTWRITEBYTECODE=1 "$tools/python" -m unittest discover --start-directory tests/clients/docs --pattern '*_test.py' --verbose
