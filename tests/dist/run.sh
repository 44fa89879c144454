#!/usr/bin/env bash
# Tests the tarball and the Debian package of `make dist`. RUNYARD_BIN is the program to package. Without RUNYARD_BIN,
# the test builds a release. As root, the test also installs the package into a fresh Debian, which needs a network.
# For a release build, or with FULL=1, the test also boots this Debian.
set -euo pipefail
cd "$(dirname "$0")/../.."

dist=$PWD/target/dist
work=$(mktemp -d "${TMPDIR:-/tmp}/runyard-dist.XXXXXX")
chmod 755 "$work"
pid=
cleanup() {
    local code=$?
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "$*" >&2
    exit 1
}

scripts/install.sh ssh-keygen:openssh-client
for key in release other; do
    ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$work/$key"
done
RUNYARD_SIGNING_KEY=$work/release scripts/dist.sh

echo "── checksums and signature"
(cd "$dist" && sha256sum --check --quiet SHA256SUMS)
for file in "$dist"/*; do
    case $file in
    */SHA256SUMS | */SHA256SUMS.sig) ;;
    *) grep -qF "  ${file##*/}" "$dist/SHA256SUMS" || fail "SHA256SUMS does not list ${file##*/}" ;;
    esac
done
echo "release@runyard namespaces=\"runyard-release\" $(cat "$work/release.pub")" >"$work/signers"
echo "release@runyard namespaces=\"runyard-release\" $(cat "$work/other.pub")" >"$work/other-signers"
# The command of docs/install.md, with the file of the trusted keys as its argument.
is_signed() {
    ssh-keygen -Y verify -f "$1" -I release@runyard -n runyard-release -s "$dist/SHA256SUMS.sig" >/dev/null 2>&1
}
is_signed "$work/signers" <"$dist/SHA256SUMS" || fail "the signature of SHA256SUMS is not valid"
! is_signed "$work/other-signers" <"$dist/SHA256SUMS" || fail "the signature is valid for another key"
! sed '1s/^./x/' "$dist/SHA256SUMS" | is_signed "$work/signers" || fail "the signature is valid for other checksums"

echo "── bill of materials"
export RUNYARD_CLIENTS=$PWD/target/clients
mkdir -p "$RUNYARD_CLIENTS"
if venv=$(tests/clients/venv.sh dist tests/dist/requirements.txt); then
    mkdir "$work/bill"
    tar --extract --gzip --file "$dist"/runyard-*.tar.gz --directory "$work/bill" --strip-components=1
    "$venv/bin/python" tests/dist/sbom.py "$dist"/runyard-*.cdx.json "$work/bill/runyard" "$work/bill/THIRD-PARTY"
else
    echo "── SKIPPED: the bill of materials is not checked, because cyclonedx-python-lib cannot be installed"
fi

echo "── tarball"
tarball=$(echo "$dist"/runyard-*.tar.gz)
tar --extract --gzip --file "$tarball" --directory "$work"
unpacked=$(echo "$work"/runyard-*)
for file in runyard LICENSE THIRD-PARTY README.md CHANGELOG.md runyard.toml runyard.service man/runyard.1 man/runyard-run.1 \
    completions/runyard completions/_runyard completions/runyard.fish examples/nginx/runyard.conf; do
    [ -s "$unpacked/$file" ] || fail "$file is not in the tarball"
done
for inside in "tokio 1" "libsqlite3-sys 0" "std 1" "Copyright (c) Tokio Contributors" "The Go Authors"; do
    grep -qF "$inside" "$unpacked/THIRD-PARTY" || fail "THIRD-PARTY does not list $inside"
done
if [ -f clients/web/dist/index.html ]; then
    grep -qF "Lucide Icons and Contributors" "$unpacked/THIRD-PARTY" || fail "THIRD-PARTY does not list the console's dependencies"
fi
! grep -nF -e "$HOME" -e "$PWD" "$unpacked/THIRD-PARTY" || fail "THIRD-PARTY contains paths of this machine"
others=$(tar --list --gzip --numeric-owner --verbose --file "$tarball" | awk '$2 != "0/0"')
[ -z "$others" ] || fail "files with another owner than root: $others"
"$unpacked/runyard" --version

echo "── package"
package=$(echo "$dist"/runyard_*.deb)
root=$work/root
dpkg-deb --extract "$package" "$root"
dpkg-deb --control "$package" "$work/control"
for file in usr/bin/runyard usr/lib/systemd/system/runyard.service etc/runyard/runyard.toml usr/share/man/man1/runyard.1.gz \
    usr/share/bash-completion/completions/runyard usr/share/doc/runyard/copyright \
    usr/share/doc/runyard/THIRD-PARTY.gz usr/share/doc/runyard/runyard.cdx.json.gz \
    usr/share/doc/runyard/examples/haproxy/haproxy.cfg; do
    [ -s "$root/$file" ] || fail "$file is not in the package"
done
[ "$(cat "$work/control/conffiles")" = /etc/runyard/runyard.toml ] || fail "the configuration is not a conffile; an upgrade would overwrite it"
grep -q '^Depends: .*bubblewrap.*libc6 (>= 2\.' "$work/control/control" || fail "the package lacks dependencies"
for script in postinst prerm postrm; do
    sh -n "$work/control/$script"
    [ -x "$work/control/$script" ] || fail "$script is not executable"
done
# With any of these settings, the sandbox does not work, and every command of an agent fails.
! grep -nE '^(RestrictSUIDSGID|RestrictNamespaces|ProtectKernelTunables|ProtectKernelLogs|ProtectProc|ProcSubset|ProtectHostname)=' \
    "$root/usr/lib/systemd/system/runyard.service" || fail "the unit has settings that break the sandbox"
if command -v systemd-analyze >/dev/null 2>&1; then
    sed "s|/usr/bin/runyard|$root/usr/bin/runyard|" "$root/usr/lib/systemd/system/runyard.service" >"$work/runyard.service"
    systemd-analyze verify --man=no "$work/runyard.service"
fi

if [ "$(id -u)" != 0 ]; then
    echo "── SKIPPED: installing the package needs root"
else
    echo "── package in a fresh Debian"
    scripts/install.sh unshare:util-linux
    if tests/dist/install.sh can-mount; then
        tests/dist/root.sh "$work/system"
        tests/dist/install.sh "$package" "$work/system"
        if [ -z "${RUNYARD_BIN:-}" ] || [ -n "${FULL:-}" ]; then
            echo "── service under systemd"
            scripts/install.sh systemd-nspawn:systemd-container
            tests/dist/boot.sh "$package" "$work/system"
        fi
        rm -rf "$work/system"
    else
        echo "── SKIPPED: installing the package; this machine does not allow overlay mounts"
    fi
fi

echo "── program as an unprivileged user"
scripts/install.sh bwrap:bubblewrap curl:curl
# Runs the program as the systemd unit does: as a separate user, without capabilities.
as_service=(env)
if [ "$(id -u)" = 0 ]; then
    as_service=(setpriv --reuid=64123 --regid=64123 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all)
fi
install -d -m 755 "$work/data"
[ "$(id -u)" != 0 ] || chown 64123:64123 "$work/data"
port=
for candidate in $(seq 18080 18180); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; then
        port=$candidate
        break
    fi
done
url=http://127.0.0.1:$port
cat >"$work/runyard" <<END
#!/bin/sh
cd "$work" && exec env --ignore-environment PATH="$PATH" RUNYARD_DATA_DIR="$work/data" RUNYARD_LISTEN=127.0.0.1:$port \
    RUNYARD_SERVER=$url RUNYARD_TOKEN="\$TOKEN" ${as_service[*]} "$root/usr/bin/runyard" "\$@" --config "$root/etc/runyard/runyard.toml"
END
chmod 755 "$work/runyard"
"$work/runyard" serve >"$work/log" 2>&1 &
pid=$!
for attempt in $(seq 150); do
    ! curl --silent --fail --max-time 2 "$url/readyz" >/dev/null || break
    if ! kill -0 "$pid" 2>/dev/null || [ "$attempt" = 150 ]; then
        cat "$work/log" >&2
        fail "the server does not start"
    fi
    sleep 0.1
done
TOKEN=$("$work/runyard" token)
export TOKEN
cp examples/data.csv "$work/data.csv"
install -d -m 777 "$work/made"
"$work/runyard" run "Analyze data.csv and create visualizations" --file data.csv --download "$work/made" >"$work/run.log" 2>&1 || {
    cat "$work/run.log" "$work/log" >&2
    fail "the run failed"
}
[ -n "$(find "$work/made" -name '*.svg')" ] || fail "the run made no chart: $(cat "$work/run.log")"
# The page is stored in a variable: in a pipe, grep may exit early, and curl would then fail.
page=$(curl --silent --fail --max-time 5 "$url/")
grep -qi '<!doctype html>' <<<"$page" || fail "/ does not serve a page"
if [ -f clients/web/dist/index.html ] && [ -z "${RUNYARD_BIN:-}" ]; then
    script=$(grep -o -m 1 '/assets/[^"]*\.js' <<<"$page")
    curl --silent --fail --max-time 5 --output /dev/null "$url$script" || fail "the program does not contain the console"
fi
grep -o -m 3 'sandbox: .*' "$work/log"
echo "The release passed: $(basename "$tarball"), $(basename "$package")"
