#!/usr/bin/env bash
# The contract, used by clients that other languages' tools generate from the proto files, against the real program.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$target/clients
mkdir -p "$work"

scripts/install.sh python3 python3
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian ships venv as a package of its own; no program tells whether it is there.
    scripts/install.sh python3-venv-is-not-there python3-venv
fi
wanted=$(sha256sum tests/clients/requirements.txt | cut -c1-16)-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv=$work/venv-$wanted
if [ ! -f "$venv/ready" ]; then
    rm -rf "$work"/venv-*
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement tests/clients/requirements.txt
    touch "$venv/ready"
fi
rm -rf "$work/stubs"
mkdir "$work/stubs"
"$venv/bin/python" -m grpc_tools.protoc --proto_path=proto --python_out="$work/stubs" --grpc_python_out="$work/stubs" \
    proto/runyard/v1/*.proto
export RUNYARD_BIN=${RUNYARD_BIN:-$target/debug/runyard}
PYTHONPATH=$work/stubs:tests/clients PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m unittest discover --start-directory tests/clients --pattern '*_test.py' --verbose

# Other languages have scripts of their own.
tests/clients/typescript.sh
