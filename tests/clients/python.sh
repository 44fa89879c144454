#!/usr/bin/env bash
# The Python client: its source is checked, its wheel is built as it is released, installed, and used.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$(tests/clients/venv.sh tools tests/clients/requirements.txt)/bin
export RUFF_CACHE_DIR=$RUNYARD_CLIENTS/ruff MYPY_CACHE_DIR=$RUNYARD_CLIENTS/mypy
cd clients/python
"$tools/python" build_stubs.py
"$tools/python" make_sync.py --check
"$tools/ruff" check --quiet .
"$tools/ruff" format --quiet --check .
"$tools/mypy"
# A source distribution first, then the wheel from it, so that both are whole.
rm -rf "$RUNYARD_CLIENTS/dist"
"$tools/python" -m build --no-isolation --outdir "$RUNYARD_CLIENTS/dist" . >"$RUNYARD_CLIENTS/build.log" 2>&1 ||
    { cat "$RUNYARD_CLIENTS/build.log"; exit 1; }
cd ../..

installed=$(tests/clients/venv.sh client tests/clients/python/requirements.txt "$(ls "$RUNYARD_CLIENTS"/dist/*.whl)")
# Jupyter keeps its files where the tests are, not in the home folder.
export JUPYTER_CONFIG_DIR=$RUNYARD_CLIENTS/jupyter JUPYTER_DATA_DIR=$RUNYARD_CLIENTS/jupyter IPYTHONDIR=$RUNYARD_CLIENTS/jupyter
PYTHONPATH=tests/clients PYTHONDONTWRITEBYTECODE=1 "$installed/bin/python" -m unittest discover \
    --start-directory tests/clients/python --pattern '*_test.py' --verbose
