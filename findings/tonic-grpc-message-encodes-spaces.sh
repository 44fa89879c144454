#!/usr/bin/env bash
# tonic 0.14.9 percent-encodes more of `grpc-message` than the gRPC protocol requires: spaces, quotes, `#`, `?`, `<`, `>`, `` ` ``,
# `{` and `}`. The protocol (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Percent-Encoded) requires encoding only
# for `%` and for bytes outside 0x20 to 0x7E. A client that decodes the message sees no difference. Access logs, proxies and small
# gRPC-Web clients that print the raw trailer show "agent%20run%20not%20found".
#
# Observed: `agent%20run%20%22a%22%20not%20found%3F`; the protocol requires no escape in this message.
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

dependencies <<'TOML'
tonic = { version = "=0.14.9", default-features = false }
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let answer = tonic::Status::not_found("agent run \"a\" not found?").into_http::<()>();
    println!("{}", answer.headers()["grpc-message"].to_str().unwrap());
}
RUST
seen=$(run)
echo "tonic 0.14.9 sends: $seen"
expect "$seen" 'agent%20run%20%22a%22%20not%20found%3F'
