#!/usr/bin/env bash
# make dist: builds a release with the console, as a tarball and as a Debian package, in target/dist.
#
# If RUNYARD_BIN is set, the script builds nothing. It packs that program, with fast compression.
#
# RUNYARD_SIGNING_KEY signs the checksums: the path of an OpenSSH private key, or of the public key of a key in ssh-agent.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh cc:build-essential /usr/include/stdio.h:build-essential dpkg-deb:dpkg python3:python3

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
program=${RUNYARD_BIN:-}
pack=(gzip --no-name --fast)
pack_package=(-Zgzip -z1)
if [ -z "$program" ]; then
    pack=(gzip --no-name --best)
    pack_package=(-Zxz)
    scripts/console.sh
    scripts/progress.sh --terminal "cargo build" cargo build --locked --profile production --bin runyard
    target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    program=$target/production/runyard
fi
machine=$(uname -m)
architecture=$(dpkg --print-architecture)
dist=target/dist
tree=$dist/tree
name=runyard-$version-$machine-linux
rm -rf "$dist"
mkdir -p "$tree" "$dist/$name"

# All files are owned by root and have the time of the last commit, so that the same sources give the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# ── the tarball ──
strip --strip-debug -o "$dist/$name/runyard" "$program"
chmod 755 "$dist/$name/runyard"
install -m 644 LICENSE README.md CHANGELOG.md packaging/runyard.toml packaging/runyard.service "$dist/$name"
install -d "$dist/$name/man" "$dist/$name/completions" "$dist/$name/examples"
cp -R packaging/nginx packaging/haproxy packaging/caddy packaging/prometheus packaging/grafana "$dist/$name/examples"
# With RUNYARD_BIN, the console may be missing. THIRD-PARTY then omits the licences of the console's packages.
inside=()
[ ! -f clients/web/dist/index.html ] || inside=(--console)
scripts/third-party.py ${inside[@]+"${inside[@]}"} >"$dist/$name/THIRD-PARTY"
scripts/sbom.py ${inside[@]+"${inside[@]}"} "$version" "$dist/$name/runyard" >"$dist/$name.cdx.json"
"$dist/$name/runyard" man --dir "$dist/$name/man"
"$dist/$name/runyard" completions bash >"$dist/$name/completions/runyard"
"$dist/$name/runyard" completions zsh >"$dist/$name/completions/_runyard"
"$dist/$name/runyard" completions fish >"$dist/$name/completions/runyard.fish"
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --directory "$dist" "$name" |
    "${pack[@]}" >"$dist/$name.tar.gz"

# ── the Debian package ──
place() {
    install -D -m "$1" "$2" "$tree/$3"
}
place 755 "$dist/$name/runyard" usr/bin/runyard
place 644 packaging/runyard.service usr/lib/systemd/system/runyard.service
place 644 packaging/runyard.toml etc/runyard/runyard.toml
place 644 "$dist/$name/completions/runyard" usr/share/bash-completion/completions/runyard
place 644 "$dist/$name/completions/_runyard" usr/share/zsh/vendor-completions/_runyard
place 644 "$dist/$name/completions/runyard.fish" usr/share/fish/vendor_completions.d/runyard.fish
for page in "$dist/$name"/man/*.1; do
    place 644 "$page" "usr/share/man/man1/$(basename "$page")"
done
find "$tree/usr/share/man" -name '*.1' -exec gzip --no-name --best {} +
place 644 packaging/debian/copyright usr/share/doc/runyard/copyright
cat >"$dist/changelog" <<END
runyard ($version) unstable; urgency=medium

  * See CHANGELOG.md.gz for the changes.

 -- Runyard <runyard@localhost>  $(LC_ALL=C date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
END
place 644 "$dist/changelog" usr/share/doc/runyard/changelog
place 644 CHANGELOG.md usr/share/doc/runyard/CHANGELOG.md
place 644 "$dist/$name/THIRD-PARTY" usr/share/doc/runyard/THIRD-PARTY
place 644 "$dist/$name.cdx.json" usr/share/doc/runyard/runyard.cdx.json
gzip --no-name --best "$tree"/usr/share/doc/runyard/{changelog,CHANGELOG.md,THIRD-PARTY,runyard.cdx.json}
for example in "$dist/$name"/examples/*/*; do
    place 644 "$example" "usr/share/doc/runyard/examples/${example#"$dist/$name/examples/"}"
done
install -d "$tree/DEBIAN"
install -m 755 packaging/debian/{postinst,prerm,postrm} "$tree/DEBIAN"
echo /etc/runyard/runyard.toml >"$tree/DEBIAN/conffiles"
# `dpkg --verify` reads these checksums.
(cd "$tree" && find usr -type f -print0 | LC_ALL=C sort --zero-terminated | xargs --null md5sum) >"$tree/DEBIAN/md5sums"
chmod 644 "$tree"/DEBIAN/{conffiles,md5sums}
# The package depends on the version of the newest glibc symbol that the program uses.
glibc=$(objdump --dynamic-syms "$tree/usr/bin/runyard" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
cat >"$tree/DEBIAN/control" <<END
Package: runyard
Version: $version
Architecture: $architecture
Maintainer: Runyard <runyard@localhost>
Section: net
Priority: optional
Installed-Size: $(du --summarize --apparent-size --block-size=1024 "$tree" | cut -f1)
Depends: adduser, bubblewrap, ca-certificates, libc6 (>= ${glibc#GLIBC_}), libgcc-s1
Recommends: python3
Suggests: postgresql
Description: service that runs AI agents for other programs
 A program sends a prompt and files; an agent works on them with tools in a
 sandbox; the program watches live and downloads the files the agent created.
 gRPC, gRPC-Web, HTTP with JSON and a web console on one port; SQLite is built
 in, PostgreSQL is supported.
END
dpkg-deb "${pack_package[@]}" --root-owner-group --build "$tree" "$dist/runyard_${version}_$architecture.deb" >/dev/null
rm -rf "$tree" "$dist/changelog" "${dist:?}/$name"
(cd "$dist" && sha256sum -- *.tar.gz *.deb *.cdx.json >SHA256SUMS)
if [ -n "${RUNYARD_SIGNING_KEY:-}" ]; then
    scripts/install.sh ssh-keygen:openssh-client
    ssh-keygen -Y sign -q -f "$RUNYARD_SIGNING_KEY" -n runyard-release "$dist/SHA256SUMS"
fi

echo "In $dist:"
(cd "$dist" && du --apparent-size --human-readable -- *.tar.gz *.deb *.cdx.json)
[ -n "${RUNYARD_SIGNING_KEY:-}" ] || echo "SHA256SUMS is not signed, because RUNYARD_SIGNING_KEY is not set"
echo "Built against ${glibc/_/ }; the program needs these libraries:"
ldd "$program" | sed 's/ (0x[0-9a-f]*)//'
