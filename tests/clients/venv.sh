#!/usr/bin/env bash
# venv.sh NAME REQUIREMENTS [WHEEL]: prints the path of a virtual environment with the packages of the file
# REQUIREMENTS and the package WHEEL. Creates a new environment if the requirements, the Python version or
# pyproject.toml have changed. Reinstalls the wheel on every call.
set -euo pipefail

name=$1
requirements=$2
wheel=${3:-}

scripts/install.sh python3:python3 >&2
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian ships venv in a separate package.
    scripts/install.sh python3-venv >&2
fi
needed=$(cat "$requirements"; if [ -n "$wheel" ]; then cat clients/python/pyproject.toml; fi)
wanted=$(sha256sum <<<"$needed" | cut -c1-16)-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv=$RUNYARD_CLIENTS/$name-$wanted
pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check)
if [ ! -f "$venv/ready" ]; then
    rm -rf "$RUNYARD_CLIENTS/$name"-*
    python3 -m venv "$venv"
    # In a new environment, pip also installs the dependencies of the wheel.
    "${pip[@]}" install --requirement "$requirements" ${wheel:+"$wheel"} >&2
    touch "$venv/ready"
elif [ -n "$wheel" ]; then
    "${pip[@]}" install --no-deps --force-reinstall "$wheel" >&2
fi
echo "$venv"
