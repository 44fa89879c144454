# Creates a Rust package in a temporary folder, which is removed at the end. Sourced by the scripts that run a Rust program.
# shellcheck shell=bash
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cargo init --quiet --name shows --vcs none . >/dev/null 2>&1

# Writes the manifest. The standard input lists the dependencies.
dependencies() {
    printf '[package]\nname = "shows"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\n' >Cargo.toml
    cat >>Cargo.toml
}

# Builds and runs src/main.rs. Prints the end of the log if that fails.
run() {
    cargo run --quiet 2>cargo.log || { tail -n 20 cargo.log >&2; exit 1; }
}

# Fails if the observed behaviour differs from the expected behaviour.
expect() {
    local seen=$1 expected=$2
    if [ "$seen" != "$expected" ]; then
        echo "changed: expected $expected" >&2
        exit 1
    fi
}
