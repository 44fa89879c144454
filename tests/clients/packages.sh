#!/usr/bin/env bash
# Generates the Go module and the Java artifact, and runs an agent with each. Prints which language is skipped, because
# its compiler or its libraries are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

scripts/clients.sh go
scripts/clients.sh java
PYTHONPATH=tests/clients PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover --start-directory tests/clients/packages \
    --pattern '*_test.py' --verbose
