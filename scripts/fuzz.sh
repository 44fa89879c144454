#!/usr/bin/env bash
# make fuzz: every target of fuzz/ for RUNYARD_FUZZ_SECONDS (30), from its seeds and from what earlier runs found.
#
# It needs the toolchain of this repository, a C++ compiler and cargo-fuzz; the last two are installed when they are not
# there. There is no address sanitizer (that takes a nightly toolchain): the parsers have no unsafe code of ours, and what
# they promise is checked by assertions.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.2
seconds=${RUNYARD_FUZZ_SECONDS:-30}
build=${CARGO_TARGET_DIR:-$PWD/target}
# What cargo-fuzz makes stands beside everything else that is built.
export CARGO_TARGET_DIR="$build/fuzz"
unset CARGO_BUILD_BUILD_DIR
export PATH="$build/tools/bin:$PATH"

scripts/install.sh c++:build-essential cc:build-essential /usr/include/stdio.h:build-essential
if [ "$(cargo fuzz --version 2>/dev/null)" != "cargo-fuzz $version" ]; then
    echo "── installing cargo-fuzz $version into $build/tools"
    cargo install --locked --quiet --root "$build/tools" --target-dir "$build/fuzz/tools" "cargo-fuzz@$version"
fi
# The targets are built with the versions that the program is built with.
cp Cargo.lock fuzz/Cargo.lock
echo "── building the targets"
cargo fuzz build --sanitizer none
host=$(rustc -vV | sed -n 's/^host: //p')
for target in $(cargo fuzz list); do
    echo "── $target, $seconds s"
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    log=$(mktemp)
    # libFuzzer tells a lot; what counts is its last line, or why it stopped.
    if "$CARGO_TARGET_DIR/$host/release/$target" "fuzz/corpus/$target" "fuzz/seeds/$target" \
        -artifact_prefix="fuzz/artifacts/$target/" -max_total_time="$seconds" -max_len=8192 -timeout=5 \
        -rss_limit_mb=2048 >"$log" 2>&1; then
        tail -n 1 "$log"
    else
        tail -n 60 "$log"
        rm -f "$log"
        echo "── $target does not hold: keep the input as fuzz/seeds/$target/NAME once it is mended" >&2
        exit 1
    fi
    rm -f "$log"
done
echo "── all targets held for $seconds s each"
