#!/usr/bin/env bash
# sandbox-rootfs.sh [FOLDER]: builds a root file system for the sandbox (sandbox.rootfs) from Debian packages.
#
# The root contains Python with pandas and matplotlib, Node.js, git and common tools. FOLDER is target/sandbox-rootfs by
# default, where make demo finds it. The root is built in a temporary folder beside FOLDER and then renamed, so FOLDER is
# complete or missing. If FOLDER already contains a root with the same packages, the script does nothing; remove FOLDER
# to build it again, for example for security updates. Set PACKAGES to add packages, and MIRROR to use another mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

SUITE=bookworm
packages=(
    bash coreutils findutils grep sed gawk diffutils patch file less procps bc
    python3 python3-venv python3-pip python3-pandas python3-matplotlib python3-openpyxl python3-requests python3-yaml
    nodejs npm git curl ca-certificates jq sqlite3 unzip zip xz-utils ripgrep make
    fontconfig fonts-dejavu-core
)
read -ra more <<<"${PACKAGES:-}"
packages+=("${more[@]}")

folder=$(realpath -m "${1:-target/sandbox-rootfs}")
# Describes the content; a root with another description is built again.
wanted="$SUITE ${packages[*]}"
record=$folder/usr/share/runyard-rootfs
if [ -f "$record" ] && [ "$(cat "$record")" = "$wanted" ]; then
    echo "$folder is complete"
    exit 0
fi
if [ -e "$folder" ] && [ ! -f "$record" ] && [ -n "$(ls -A "$folder")" ]; then
    echo "$folder exists and was not built by this script; choose another folder or remove it" >&2
    exit 1
fi

scripts/install.sh mmdebstrap:mmdebstrap
mkdir -p "$(dirname "$folder")"
building=$(mktemp -d "$folder.XXXXXX")
cleanup() {
    rm -rf "$building"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# As root, mmdebstrap creates files of all owners. Other users get a root whose files belong to them.
if [ "$(id -u)" = 0 ]; then
    mode=root
else
    mode=unshare
    scripts/install.sh newuidmap:uidmap
fi
# A container may forbid mounts. Then the packages are installed without /proc and /sys, which these packages do not need.
skip=()
if [ "$mode" = root ] && ! unshare --mount true 2>/dev/null; then
    skip=(--skip=chroot/mount)
fi
# Without a mirror, mmdebstrap uses Debian's own, with its security updates.
read -ra mirror <<<"${MIRROR:-}"
packages_list=$(IFS=,; echo "${packages[*]}")
echo "Building $folder: ${#packages[@]} packages and their dependencies, 1.6 GB; this takes three minutes or more"
scripts/progress.sh mmdebstrap mmdebstrap --mode="$mode" --variant=minbase --format=directory "${skip[@]}" \
    --include="$packages_list" \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$SUITE" "$building" "${mirror[@]}"

# The sandbox mounts /usr and settings of /etc only, as an unprivileged user.
chmod 755 "$building"
printf '%s' "$wanted" >"$building/usr/share/runyard-rootfs"
old=$folder.old
rm -rf "$old"
if [ -e "$folder" ]; then
    mv "$folder" "$old"
fi
mv -T "$building" "$folder"
trap - EXIT
rm -rf "$old"
echo "Built $folder ($(du -sh "$folder" | cut -f1))"
