#!/usr/bin/env bash
# Tests the code from buf.gen.yaml. Java is compiled and run; Go is only generated.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/clients/generate.sh
RUNYARD_GENERATED=$PWD/target/generated PYTHONPATH=tests/clients PYTHONDONTWRITEBYTECODE=1 \
    python3 -m unittest discover --start-directory tests/clients/generated --pattern '*_test.py' --verbose
