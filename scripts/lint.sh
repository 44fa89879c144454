#!/usr/bin/env bash
# make lint: checks formatting, lints and the protobuf API.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "── format"
cargo fmt --all --check
echo "── clippy"
cargo clippy --locked --workspace --all-targets -- --deny warnings
echo "── unused dependencies"
tools=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/tools
if [ ! -x "$tools/bin/cargo-machete" ]; then
    scripts/progress.sh "cargo install cargo-machete" cargo install --quiet --locked --root "$tools" --target-dir "$tools/build" --version 0.9.2 cargo-machete
    rm -rf "$tools/build"
fi
"$tools/bin/cargo-machete" --skip-target-dir
scripts/install.sh npm:npm
echo "── buf lint"
buf() { npm exec --yes --package=@bufbuild/buf@1.75.0 -- buf "$@"; }
buf lint
buf format --diff --exit-code
echo "── buf breaking, against the released API"
buf breaking --against proto/released.binpb
