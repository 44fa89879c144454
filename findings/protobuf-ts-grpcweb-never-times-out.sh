#!/usr/bin/env bash
# In @protobuf-ts/grpcweb-transport 2.11.1, the option `timeout` limits nothing in the client: it is only sent as the header
# `grpc-timeout`. If the server is dead, overloaded, or behind a network that drops packets, the call never ends. The option has the
# same name in @protobuf-ts/grpc-transport, which ends the call itself; its documentation says "Timeout for the call in milliseconds".
# Add `abort: AbortSignal.timeout(ms)` to each call; such a call fails with INTERNAL, because its error is not an AbortError.
#
# Observed with a server that accepts connections and never answers: a call with `timeout: 500` is still open after 5 seconds; with
# `abort: AbortSignal.timeout(500)` it ends with INTERNAL.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @protobuf-ts/grpcweb-transport@2.11.1 @protobuf-ts/runtime@2.11.1 \
    @protobuf-ts/runtime-rpc@2.11.1
cat >shows.mjs <<'JS'
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { GrpcWebFetchTransport } from "@protobuf-ts/grpcweb-transport";
import { MessageType } from "@protobuf-ts/runtime";
import { ServiceType } from "@protobuf-ts/runtime-rpc";

const server = createServer(() => {});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const Empty = new MessageType("google.protobuf.Empty", []);
const service = new ServiceType("example.Silent", [{ name: "Ask", I: Empty, O: Empty }]);
const transport = new GrpcWebFetchTransport({ baseUrl: `http://127.0.0.1:${server.address().port}` });
const ask = async (options) => {
  const call = transport.unary(service.methods[0], {}, transport.mergeOptions(options));
  return Promise.race([call.then(() => "OK", (error) => error.code), sleep(5_000, "open")]);
};
console.log(`timeout: ${await ask({ timeout: 500 })}, abort: ${await ask({ abort: AbortSignal.timeout(500) })}`);
process.exit();
JS
seen=$(node shows.mjs)
echo "$seen"
expected='timeout: open, abort: INTERNAL'
if [ "$seen" != "$expected" ]; then
    echo "changed: expected $expected" >&2
    exit 1
fi
