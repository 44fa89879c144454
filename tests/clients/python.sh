#!/usr/bin/env bash
# Checks, builds, installs and tests the Python client.
set -euo pipefail
cd "$(dirname "$0")/../.."

export PATH=$PATH:/usr/sbin
scripts/install.sh openssl:openssl nginx:nginx-light tinyproxy:tinyproxy-bin
tools=$(tests/clients/venv.sh tools tests/clients/requirements.txt)/bin
export RUFF_CACHE_DIR=$RUNYARD_CLIENTS/ruff MYPY_CACHE_DIR=$RUNYARD_CLIENTS/mypy
cd clients/python
"$tools/python" build_stubs.py
"$tools/python" make_sync.py --check
"$tools/ruff" check --quiet .
"$tools/ruff" format --quiet --check .
"$tools/mypy"
# Builds the wheel from the source distribution, so that the tests detect files missing from either of them.
rm -rf "$RUNYARD_CLIENTS/dist"
"$tools/python" -m build --no-isolation --outdir "$RUNYARD_CLIENTS/dist" . >"$RUNYARD_CLIENTS/build.log" 2>&1 ||
    { cat "$RUNYARD_CLIENTS/build.log"; exit 1; }
cd ../..

installed=$(tests/clients/venv.sh client tests/clients/python/requirements.txt "$(ls "$RUNYARD_CLIENTS"/dist/*.whl)")
# mypy must accept typed.py and report exactly the marked lines of typed_wrong.py.
mypy=("$tools/mypy" --strict --python-executable "$installed/bin/python")
"${mypy[@]}" tests/clients/python/typed.py
if "${mypy[@]}" tests/clients/python/typed_wrong.py >"$RUNYARD_CLIENTS/typed_wrong.log"; then
    echo "mypy accepted a wrong use" >&2
    exit 1
fi
diff <(grep -n '# wrong' tests/clients/python/typed_wrong.py | cut -d: -f1) \
    <(grep -o '^[^:]*:[0-9]*: error' "$RUNYARD_CLIENTS/typed_wrong.log" | cut -d: -f2 | sort -nu)
# Keeps Jupyter's files out of the user's home folder.
export JUPYTER_CONFIG_DIR=$RUNYARD_CLIENTS/jupyter JUPYTER_DATA_DIR=$RUNYARD_CLIENTS/jupyter IPYTHONDIR=$RUNYARD_CLIENTS/jupyter
RUNYARD_TOOLS_BIN=$tools GRPC_VERBOSITY=ERROR PYTHONPATH=tests/clients PYTHONDONTWRITEBYTECODE=1 "$installed/bin/python" -m unittest discover \
    --start-directory tests/clients/python --pattern '*_test.py' --verbose
