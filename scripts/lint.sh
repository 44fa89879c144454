#!/usr/bin/env bash
# Format, lints and the contract.
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
echo "── buf breaking, against the contract as it was released"
buf breaking --against proto/released.binpb
