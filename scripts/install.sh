#!/usr/bin/env bash
# install.sh NEED...: installs missing Debian packages.
#
# A need is PACKAGE or PLACE:PACKAGE. PACKAGE must be installed. With PLACE, a command on the PATH or an absolute path,
# the package is installed only if the place does not exist, so software that you installed by other means is used as it
# is. Each need is checked separately, so it does not matter which of them a machine already has.
set -euo pipefail

# Maximum time to wait for another apt that holds the locks, in seconds.
LOCK_TIMEOUT=600

is_installed() {
    command -v dpkg-query >/dev/null 2>&1 &&
        [ "$(dpkg-query --show --showformat='${db:Status-Status}\n' "$1" 2>/dev/null | sort -u)" = installed ]
}
is_met() {
    local place=${1%:*} package=${1##*:}
    case $1 in
    /*:*) [ -e "$place" ] ;;
    *:*) command -v "$place" >/dev/null 2>&1 ;;
    *) is_installed "$package" ;;
    esac
}
# The packages of unmet needs, without duplicates.
missing() {
    local need
    for need in "$@"; do
        is_met "$need" || echo "${need##*:}"
    done | awk '!seen[$0]++'
}

mapfile -t packages < <(missing "$@")
[ ${#packages[@]} -gt 0 ] || exit 0

fail() {
    echo "missing: ${packages[*]}; $1. Install with: apt-get install ${packages[*]}" >&2
    exit 1
}
command -v apt-get >/dev/null 2>&1 || fail "this is not Debian or Ubuntu, so you have to install them yourself"
if [ "$(id -u)" = 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=(sudo)
else
    fail "installing them requires root"
fi

echo "Installing ${packages[*]} with apt-get"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    local until=$((SECONDS + LOCK_TIMEOUT))
    # Some of apt's locks do not support a timeout.
    while ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get --yes --quiet -o "DPkg::Lock::Timeout=$LOCK_TIMEOUT" \
        -o Acquire::Retries=3 "$@" >"$log" 2>&1; do
        if ! grep -q 'Could not get lock' "$log" || [ $SECONDS -gt $until ]; then
            return 1
        fi
        sleep 1
    done
}
install_packages() {
    apt install --no-install-recommends "${packages[@]}"
}
# The package lists may be outdated or missing.
if ! install_packages && ! { apt update && install_packages; }; then
    tail -n 20 "$log" >&2
    fail "apt-get failed, see above"
fi
mapfile -t packages < <(missing "$@")
[ ${#packages[@]} = 0 ] || fail "they are installed, but not where they are needed ($*)"
