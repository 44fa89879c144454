#!/usr/bin/env bash
# make lint: checks formatting, lints and the protobuf API.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "── format"
cargo fmt --all --check
echo "── clippy"
cargo clippy --locked --workspace --all-targets -- --deny warnings
scripts/install.sh npm:npm
echo "── buf lint"
buf() { npm exec --yes --package=@bufbuild/buf@1.75.0 -- buf "$@"; }
buf lint
buf format --diff --exit-code
echo "── buf breaking, against the released API"
buf breaking --against proto/released.binpb
