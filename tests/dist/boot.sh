#!/usr/bin/env bash
# Tests the Debian package under a real systemd: boot.sh PACKAGE FOLDER
#
# FOLDER is a root filesystem from tests/dist/root.sh, which the test modifies. runyard.service must run an agent,
# restart and stop under the restrictions of its systemd unit. Needs root and systemd-nspawn.
set -euo pipefail
package=$1
folder=$(realpath "$2")
cd "$(dirname "$0")/../.."

fail() {
    echo "$*" >&2
    exit 1
}

cp "$package" "$folder/root/runyard.deb"
cp examples/data.csv "$folder/root/data.csv"
rm -f "$folder/etc/resolv.conf"
cp /etc/resolv.conf "$folder/etc/resolv.conf"
# shellcheck disable=SC2016 # the inner shell expands it
DEBIAN_FRONTEND=noninteractive chroot "$folder" sh -c 'apt-get update --quiet && apt-get install --yes --quiet \
    --no-install-recommends systemd systemd-sysv dbus /root/runyard.deb' >"$folder/root/apt.log" 2>&1 || {
    tail -n 20 "$folder/root/apt.log" >&2
    fail "the package cannot be installed"
}

cat >"$folder/root/try" <<'END'
#!/bin/bash
# The rest of this file runs inside the booted filesystem. The last line of its log is the result.
exec >/root/try.log 2>&1
set -euo pipefail
trap 'journalctl --unit=runyard --no-pager --output=cat | tail -n 30; systemctl --force --force poweroff' EXIT
cd /root
systemctl enable --now runyard
for attempt in $(seq 100); do
    ! (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null || break
    sleep 0.1
done
show() { systemctl show --property="$1" --value runyard; }
status=/proc/$(show MainPID)/status
[ "$(stat --format=%U "$status")" = runyard ]
grep -qx 'CapBnd:[[:space:]]*0*' "$status"
grep -qx 'NoNewPrivs:[[:space:]]*1' "$status"
RUNYARD_TOKEN=$(setpriv --reuid=runyard --regid=runyard --init-groups runyard token --config /etc/runyard/runyard.toml)
export RUNYARD_TOKEN RUNYARD_SERVER=http://127.0.0.1:8080
mkdir made
timeout 60 runyard run "Analyze data.csv and create visualizations" --file data.csv --download made
[ -n "$(find made -name '*.svg')" ]
open=$(find /var/lib/runyard -perm /077 ! -path /var/lib/runyard ! -path '/var/lib/runyard/workspaces/*' ! -path '/var/lib/runyard/workspaces' ! -path '/var/lib/runyard/skills/*' ! -path '/var/lib/runyard/skills')
[ -z "$open" ] || { echo "open to others: $open"; false; }
before=$(show MainPID)
DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --reinstall /root/runyard.deb >/root/apt.log 2>&1
[ "$(show ActiveState)" = active ] && [ "$(show MainPID)" != "$before" ]
apt-get remove --yes --quiet runyard >/root/apt.log 2>&1
[ "$(show ActiveState)" = inactive ] && [ "$(show Result)" = success ]
echo "The service works."
END
chmod 755 "$folder/root/try"
cat >"$folder/etc/systemd/system/try.service" <<'END'
[Unit]
Description=Tests runyard.service, then powers the machine off
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/root/try
END
mkdir -p "$folder/etc/systemd/system/multi-user.target.wants"
ln -sf ../try.service "$folder/etc/systemd/system/multi-user.target.wants/try.service"

# By default, nspawn hides parts of /proc. The kernel then does not let a sandbox mount its own /proc.
SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout --kill-after=10 180 systemd-nspawn \
    --directory="$folder" --register=no --keep-unit --private-network --resolv-conf=off --timezone=off --console=pipe --boot \
    </dev/null >"$folder/root/boot.log" 2>&1 || {
    tail -n 20 "$folder/root/boot.log" >&2
    fail "the system does not boot"
}
if ! grep -qx 'The service works.' "$folder/root/try.log"; then
    cat "$folder/root/try.log" >&2
    fail "the service does not work under systemd"
fi
