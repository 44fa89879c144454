#!/usr/bin/env bash
# A program that depends on genai 0.7.2 writes the keys of all its JSON objects in insertion order instead of sorted. genai enables the
# feature `preserve_order` of serde_json, and cargo builds serde_json once, with the features that any crate enables. So code that
# relies on sorted keys (hashes of JSON, snapshots, cache keys) changes when this dependency is added or removed, also with genai's
# default features off. genai enables tokio's `test-util` in the same way, which adds the pausable test clock to production builds.
#
# Observed: the features of serde_json without and with genai.
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

# Prints the features of a crate of which only some matter here, sorted.
features() {
    cargo tree --quiet --prefix none --format '{p} {f}' 2>cargo.log | grep "^$1 v" | head -n 1 | grep -oE "$2" | sort -u | paste -sd ' ' || true
}

echo 'fn main() {}' >src/main.rs
dependencies <<'TOML'
serde_json = "1"
tokio = { version = "1", features = ["rt"] }
TOML
alone="serde_json: $(features serde_json preserve_order), tokio: $(features tokio test-util)"
dependencies <<'TOML'
serde_json = "1"
tokio = { version = "1", features = ["rt"] }
genai = { version = "=0.7.2", default-features = false }
TOML
with="serde_json: $(features serde_json preserve_order), tokio: $(features tokio test-util)"
echo "without genai: $alone"
echo "with genai:    $with"
expect "$alone" 'serde_json: , tokio: '
expect "$with" 'serde_json: preserve_order, tokio: test-util'
