#!/usr/bin/env bash
# install.sh PROGRAM PACKAGE...: makes sure that a program is there, with Debian's packages when it is not.
set -euo pipefail

program=$1
shift
packages=$*
if command -v "$program" >/dev/null 2>&1; then
    exit 0
fi

fail() {
    echo "$program is missing and $1; install it with: apt-get install $packages" >&2
    exit 1
}
command -v apt-get >/dev/null 2>&1 || fail "this is not Debian or Ubuntu"

if [ "$(id -u)" = 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=(sudo)
else
    fail "installing it needs root"
fi

echo "$program is missing: installing $*"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists may be old or not there at all.
if ! "${install[@]}" >"$log" 2>&1; then
    if ! { "${as_root[@]}" apt-get update --quiet && "${install[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "installing $* failed; see above" >&2
        exit 1
    fi
fi
