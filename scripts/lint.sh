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
    npm exec --yes --package=@bufbuild/buf@1.75.0 -- buf lint
else
    echo "── buf lint is left out: npm is not installed"
fi
