#!/usr/bin/env bash
# make fuzz: every target of fuzz/ for RUNYARD_FUZZ_SECONDS (30), from its seeds and from what earlier runs found.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "make fuzz needs a nightly toolchain, which cargo-fuzz builds with: rustup toolchain install nightly" >&2
    exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "── installing cargo-fuzz"
    cargo install --locked cargo-fuzz
fi
seconds=${RUNYARD_FUZZ_SECONDS:-30}
# libFuzzer's coverage finds panics; there is no unsafe code of ours in these parsers for an address sanitizer to watch.
sanitizer=${RUNYARD_FUZZ_SANITIZER:-none}
for target in $(cd fuzz && cargo +nightly fuzz list); do
    echo "── $target, $seconds s"
    mkdir -p "fuzz/corpus/$target"
    cargo +nightly fuzz run --sanitizer "$sanitizer" "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=5 -rss_limit_mb=2048 -print_final_stats=0
done
echo "── all targets held for $seconds s each"
