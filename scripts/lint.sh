#!/usr/bin/env bash
# Format, lints and the contract.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "── format"
cargo fmt --all --check
echo "── clippy"
cargo clippy --locked --workspace --all-targets -- --deny warnings
if command -v npm >/dev/null 2>&1; then
    echo "── buf lint"
    buf() { npm exec --yes --package=@bufbuild/buf@1.75.0 -- buf "$@"; }
    buf lint
    buf format --diff --exit-code
    echo "── buf breaking, against the contract as it was released"
    buf breaking --against proto/released.binpb
else
    echo "── buf lint is left out: npm is not installed"
fi
