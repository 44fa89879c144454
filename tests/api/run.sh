#!/usr/bin/env bash
# Tests a real server with schemathesis, which sends valid and invalid requests according to /openapi.json. The test
# fails if a response has a 5xx status or violates the document. It takes up to three minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$target/api
mkdir -p "$work"

scripts/install.sh python3:python3
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian ships venv in a separate package.
    scripts/install.sh python3-venv
fi
wanted=$(sha256sum tests/api/requirements.txt | cut -c1-16)-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv=$work/venv-$wanted
if [ ! -f "$venv/ready" ]; then
    rm -rf "$work"/venv-*
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement tests/api/requirements.txt
    touch "$venv/ready"
fi
RUNYARD_BIN=${RUNYARD_BIN:-$target/debug/runyard} PYTHONPATH=tests/clients PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" tests/api/against_the_document.py "$venv/bin/schemathesis"
