#!/usr/bin/env bash
# Tests the installed Debian package: install.sh PACKAGE FOLDER
#
# Installs, runs, upgrades, removes and purges the package. FOLDER is a root filesystem, which stays unchanged: it is
# the lower layer of an overlay, and the upper layer is in memory. A fake systemctl records the calls of the package.
# Needs root.
#
# install.sh can-mount: succeeds if root can mount an overlay, which some containers forbid.
set -euo pipefail

fail() {
    echo "$*" >&2
    exit 1
}

if [ "$1" = can-mount ]; then
    work=$(mktemp -d "${TMPDIR:-/tmp}/runyard-install.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount --propagation private bash -euc 'mount -t tmpfs tmpfs "$0"; mkdir "$0"/{upper,work,root}
        mount -t overlay overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"' "$work"
    exit
fi

# ── outside: mounts the root filesystem and enters it ──
if [ "$1" != inside ]; then
    package=$(realpath "$1")
    below=$(realpath "$2")
    cd "$(dirname "$0")/../.."
    work=$(mktemp -d "${TMPDIR:-/tmp}/runyard-install.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    port=
    for candidate in $(seq 18280 18380); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; then
            port=$candidate
            break
        fi
    done
    export work package below port
    # shellcheck disable=SC2016 # the variables are exported
    timeout --kill-after=10 600 unshare --mount --pid --fork --kill-child --propagation private bash -euo pipefail -c '
        mount -t tmpfs -o mode=755 tmpfs "$work"
        mkdir "$work"/{upper,work,root}
        root=$work/root
        mount -t overlay overlay -o "lowerdir=$below,upperdir=$work/upper,workdir=$work/work" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs -o mode=755 tmpfs "$root/run"
        mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
        mkdir "$root/run/upper"
        mount --bind "$work/upper" "$root/run/upper"
        cp "$package" "$root/tmp/first.deb"
        cp tests/dist/install.sh examples/data.csv "$root/tmp"
        rm -f "$root/etc/resolv.conf"
        cp /etc/resolv.conf "$root/etc/resolv.conf"
        cd "$root"
        pivot_root . mnt
        umount --lazy /mnt
        cd /tmp
        exec env --ignore-environment PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive PORT="$port" bash /tmp/install.sh inside </dev/null
    '
    exit
fi

# ── inside: tests the package ──
config=/etc/runyard/runyard.toml
data=/var/lib/runyard
cp /etc/passwd /etc/group /etc/shadow /run

mkdir -p /run/systemd/system
cat >/usr/local/sbin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/run/asked
END
chmod 755 /usr/local/sbin/systemctl
asked() {
    local want
    want=$(printf '%s\n' "$@")
    [ "$(cat /run/asked)" = "$want" ] || fail "systemctl was called with: $(cat /run/asked), expected: $want"
    rm /run/asked
}

install_package() {
    apt-get install --yes --quiet --no-install-recommends -o APT::Sandbox::User=root -o Acquire::Retries=3 \
        -o Dpkg::Use-Pty=0 -o "DPkg::Path=$PATH" "$@" >/run/apt.log 2>&1 || {
        cat /run/apt.log >&2
        fail "apt-get install $* failed"
    }
}
shown() {
    stat --format='%U:%G %a' "$1"
}
# Runs a program as the systemd unit does: as the unit's user, without capabilities.
as_service() {
    setpriv --reuid=runyard --regid=runyard --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
        env --ignore-environment PATH=/usr/local/bin:/usr/bin:/bin RUNYARD_SERVER="http://127.0.0.1:$PORT" "$@"
}
pid=
start_service() {
    (
        cd "$data"
        umask 027
        # shellcheck disable=SC2046 # the command is split into words
        exec setpriv --reuid=runyard --regid=runyard --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
            env --ignore-environment PATH=/usr/local/bin:/usr/bin:/bin \
            $(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/runyard.service)
    ) >/run/log 2>&1 &
    pid=$!
    for attempt in $(seq 150); do
        ! (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null || return 0
        if ! kill -0 "$pid" 2>/dev/null || [ "$attempt" = 150 ]; then
            cat /run/log >&2
            fail "the service does not start"
        fi
        sleep 0.1
    done
}
stop_service() {
    kill "$pid"
    wait "$pid" || fail "the service exited with an error: $(cat /run/log)"
    pid=
}
run_an_agent() {
    rm -rf /tmp/made
    install -d -m 777 /tmp/made
    as_service RUNYARD_TOKEN="$token" runyard run "Analyze data.csv and create visualizations" --file /tmp/data.csv \
        --download /tmp/made >/run/run.log 2>&1 || {
        cat /run/run.log /run/log >&2
        fail "the run failed"
    }
    [ -n "$(find /tmp/made -name '*.svg')" ] || fail "the run made no chart: $(cat /run/run.log)"
}

echo "install"
! command -v runyard >/dev/null || fail "runyard is already installed: $(command -v runyard)"
# The fresh system has no package lists.
apt-get update --quiet -o APT::Sandbox::User=root -o Acquire::Retries=3 >/run/apt.log 2>&1 || fail "$(cat /run/apt.log)"
install_package /tmp/first.deb
asked daemon-reload
grep -q 'Start Runyard with: systemctl enable --now runyard' /run/apt.log || fail "the output does not name the start command: $(cat /run/apt.log)"
differing=$(dpkg --verify runyard)
[ -z "$differing" ] || fail "installed files differ from the package: $differing"
[ "$(getent passwd runyard | cut -d: -f6,7)" = "$data:/usr/sbin/nologin" ] || fail "unexpected user: $(getent passwd runyard)"
[ "$(shown "$data")" = "runyard:runyard 700" ] || fail "$data: $(shown "$data")"
[ "$(shown "$config")" = "root:runyard 640" ] || fail "$config: $(shown "$config")"
[ "$(shown /usr/bin/runyard)" = "root:root 755" ] || fail "/usr/bin/runyard: $(shown /usr/bin/runyard)"

echo "run an agent"
sed -i "s/^listen = .*/listen = \"127.0.0.1:$PORT\"/" "$config"
echo '# The administrator was here.' >>"$config"
cp "$config" /run/changed.toml
start_service
token=$(as_service runyard token --config "$config")
run_an_agent
[ "$(stat --format=%U "/proc/$pid")" = runyard ] || fail "the service does not run as the user runyard"
[ "$(shown "$data/jwt.secret")" = "runyard:runyard 600" ] || fail "unexpected mode of the secret: $(shown "$data/jwt.secret")"
others=$(find "$data" ! -user runyard)
[ -z "$others" ] || fail "files with another owner: $others"
grep -o -m 3 'sandbox: .*' /run/log
secret=$(sha256sum "$data/jwt.secret")
stop_service

echo "reinstall"
install_package --reinstall /tmp/first.deb
asked daemon-reload "try-restart runyard.service"
cmp "$config" /run/changed.toml

echo "upgrade to a package with a different configuration"
dpkg-deb --raw-extract /tmp/first.deb /run/second
sed -i 's/^Version: .*/&+next/' /run/second/DEBIAN/control
echo '# A new key.' >>"/run/second$config"
dpkg-deb -Znone --build /run/second /tmp/second.deb >/dev/null
rm -rf /run/second
chmod 600 "$config"
install_package -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold /tmp/second.deb
asked daemon-reload "try-restart runyard.service"
cmp "$config" /run/changed.toml
[ "$(shown "$config")" = "root:runyard 600" ] || fail "the upgrade changed the administrator's file mode: $(shown "$config")"
grep -q '^# A new key' "$config.dpkg-dist" || fail "the new configuration is missing: $config.dpkg-dist"
chmod 640 "$config"
start_service
run_an_agent
stop_service

echo "remove: the configuration and the data stay"
dpkg --remove runyard >/run/dpkg.log 2>&1 || fail "$(cat /run/dpkg.log)"
asked "disable --now runyard.service" daemon-reload
! command -v runyard >/dev/null || fail "the program was not removed"
cmp "$config" /run/changed.toml
[ "$(sha256sum "$data/jwt.secret")" = "$secret" ] || fail "the data changed"

echo "purge: nothing stays"
echo 'RUNYARD_OPENAI_API_KEY=secret' >/etc/runyard/environment
dpkg --purge runyard >/run/dpkg.log 2>&1 || fail "$(cat /run/dpkg.log)"
asked daemon-reload
for file in passwd group shadow; do
    cmp "/etc/$file" "/run/$file"
done
# All changes are in the upper layer of the overlay. There, a character device marks a deleted file.
rm /usr/local/sbin/systemctl
left=$(find /run/upper -iname '*runyard*' ! -type c)
[ -z "$left" ] || fail "left behind: $left"
! dpkg-query --show runyard >/dev/null 2>&1 || fail "dpkg still lists the package"
