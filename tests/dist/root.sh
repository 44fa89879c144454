#!/usr/bin/env bash
# Creates a minimal Debian root filesystem: root.sh FOLDER
#
# FOLDER gets the Debian release of this machine. The package test needs its own filesystem, because the packages of
# this machine may change during the test. The result is cached in XDG_CACHE_HOME for a week. Needs root.
set -euo pipefail
folder=$1
cd "$(dirname "$0")/../.."

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/runyard
archive=$cache/$suite-$(dpkg --print-architecture).tar
mkdir -p "$cache" "$folder"
if [ -z "$(find "$archive" -mtime -7 2>/dev/null)" ]; then
    scripts/install.sh mmdebstrap:mmdebstrap
    work=$(mktemp -d "${TMPDIR:-/tmp}/runyard-root.XXXXXX")
    trap 'rm -rf "$work" "$archive.$$"' EXIT
    export work suite draft=$archive.$$
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount --propagation private bash -euc 'mount -t tmpfs -o mode=755 tmpfs "$work"
        TMPDIR=$work mmdebstrap --mode=root --format=tar --variant=minbase --dpkgopt=force-unsafe-io \
            "$suite" "$draft"' >"$cache/log" 2>&1 || {
        tail -n 20 "$cache/log" >&2
        echo "mmdebstrap failed; see above" >&2
        exit 1
    }
    mv "$archive.$$" "$archive"
fi
tar --extract --numeric-owner --file "$archive" --directory "$folder"
