#!/usr/bin/env bash
# Tests generated gRPC stubs, HTTP without a client library, and the command line.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=$(tests/clients/venv.sh tools tests/clients/requirements.txt)
rm -rf "$RUNYARD_CLIENTS/stubs"
mkdir "$RUNYARD_CLIENTS/stubs"
"$venv/bin/python" -m grpc_tools.protoc --proto_path=proto --python_out="$RUNYARD_CLIENTS/stubs" \
    --grpc_python_out="$RUNYARD_CLIENTS/stubs" proto/runyard/v1/*.proto
PYTHONPATH=$RUNYARD_CLIENTS/stubs:tests/clients PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m unittest discover --start-directory tests/clients --pattern '*_test.py' --verbose
