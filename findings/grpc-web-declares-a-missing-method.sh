#!/usr/bin/env bash
# The types of grpc-web 2.1.1 declare `thenableCall` on its clients, and its documentation of options (`PromiseCallOptions` with an
# `AbortSignal`) belongs to that method. The published build does not have it: the method was renamed by the minifier. A TypeScript
# program that uses it compiles, and fails at run time with "thenableCall is not a function". `unaryCall` exists, but takes no
# options, so a promise call cannot be aborted.
#
# Observed: `thenableCall: undefined, unaryCall: function`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts grpc-web@2.1.1
grep -q 'thenableCall<REQ, RESP>' node_modules/grpc-web/index.d.ts
cat >shows.cjs <<'JS'
const { GrpcWebClientBase } = require("grpc-web");
const client = new GrpcWebClientBase({ format: "text" });
console.log(`thenableCall: ${typeof client.thenableCall}, unaryCall: ${typeof client.unaryCall}`);
JS
seen=$(node shows.cjs)
echo "$seen"
expected='thenableCall: undefined, unaryCall: function'
if [ "$seen" != "$expected" ]; then
    echo "changed: expected $expected" >&2
    exit 1
fi
