#!/usr/bin/env bash
# make fuzz: runs every target of fuzz/ for RUNYARD_FUZZ_SECONDS seconds [default: 30]. The inputs are the target's
# seeds and the inputs that earlier runs found.
#
# Installs a C++ compiler and cargo-fuzz if they are missing. The address sanitizer is off, because it needs a nightly
# toolchain. The parsers under test contain no unsafe code.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.2
seconds=${RUNYARD_FUZZ_SECONDS:-30}
build=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR="$build/fuzz"
unset CARGO_BUILD_BUILD_DIR
export PATH="$build/tools/bin:$PATH"

scripts/install.sh c++:build-essential cc:build-essential /usr/include/stdio.h:build-essential
if [ "$(cargo fuzz --version 2>/dev/null)" != "cargo-fuzz $version" ]; then
    echo "── installing cargo-fuzz $version into $build/tools"
    scripts/progress.sh "cargo install cargo-fuzz" cargo install --locked --quiet --root "$build/tools" --target-dir "$build/fuzz/tools" "cargo-fuzz@$version"
fi
# Copy the lock file, so that the targets use the program's dependency versions.
cp Cargo.lock fuzz/Cargo.lock
echo "── building the targets"
cargo fuzz build --sanitizer none
host=$(rustc -vV | sed -n 's/^host: //p')
for target in $(cargo fuzz list); do
    echo "── $target, $seconds s"
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    log=$(mktemp)
    # libFuzzer is verbose, so show only the end of its output.
    if "$CARGO_TARGET_DIR/$host/release/$target" "fuzz/corpus/$target" "fuzz/seeds/$target" \
        -artifact_prefix="fuzz/artifacts/$target/" -max_total_time="$seconds" -max_len=8192 -timeout=5 \
        -rss_limit_mb=2048 >"$log" 2>&1; then
        tail -n 1 "$log"
    else
        tail -n 60 "$log"
        rm -f "$log"
        echo "── $target failed: once the bug is fixed, keep the input as fuzz/seeds/$target/NAME" >&2
        exit 1
    fi
    rm -f "$log"
done
echo "── all targets passed for $seconds s each"
