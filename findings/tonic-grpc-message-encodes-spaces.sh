#!/usr/bin/env bash
# tonic 0.14.9 percent-encodes more of `grpc-message` than the gRPC protocol requires: spaces, quotes, `#`, `?`, `<`, `>`, `` ` ``,
# `{` and `}`. The protocol (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Percent-Encoded) requires encoding only
# for `%` and for bytes outside 0x20 to 0x7E. A client that decodes the message sees no difference. Access logs, proxies and small
# gRPC-Web clients that print the raw trailer show "agent%20run%20not%20found".
#
# Observed: `agent%20run%20%22a%22%20not%20found%3F`; the protocol requires no escape in this message.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cargo init --quiet --name shows --vcs none . >/dev/null 2>&1
cat >Cargo.toml <<'TOML'
[package]
name = "shows"
version = "0.0.0"
edition = "2021"

[dependencies]
tonic = { version = "=0.14.9", default-features = false }
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let answer = tonic::Status::not_found("agent run \"a\" not found?").into_http::<()>();
    println!("{}", answer.headers()["grpc-message"].to_str().unwrap());
}
RUST
seen=$(cargo run --quiet 2>cargo.log) || { tail -n 20 cargo.log >&2; exit 1; }
echo "tonic 0.14.9 sends: $seen"
expected='agent%20run%20%22a%22%20not%20found%3F'
if [ "$seen" != "$expected" ]; then
    echo "changed: expected $expected" >&2
    exit 1
fi
