#!/usr/bin/env bash
# install.sh NEED...: installs missing Debian packages.
#
# A NEED is PACKAGE or PLACE:PACKAGE. PLACE is a command on the PATH or an absolute path. PLACE:PACKAGE installs the
# package only if PLACE does not exist. PACKAGE installs the package unless it is installed.
set -euo pipefail

# Maximum time in seconds to wait while another process holds apt's locks.
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

# apt-get prints nothing here until it ends, so progress.sh runs this script again and prints the elapsed time.
if [ -z "${RUNYARD_INSTALLING:-}" ]; then
    RUNYARD_INSTALLING=1 exec "${BASH_SOURCE[0]%/*}/progress.sh" "apt-get install" "${BASH_SOURCE[0]}" "$@"
fi
echo "Installing ${packages[*]} with apt-get"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    local until=$((SECONDS + LOCK_TIMEOUT))
    # apt does not apply the lock timeout to all of its locks, so repeat the command until it gets them.
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
# The package lists may be outdated or missing. If the installation fails, update the lists and install again.
if ! install_packages && ! { apt update && install_packages; }; then
    tail -n 20 "$log" >&2
    fail "apt-get failed, see above"
fi
mapfile -t packages < <(missing "$@")
[ ${#packages[@]} = 0 ] || fail "they are installed, but not where they are needed ($*)"
