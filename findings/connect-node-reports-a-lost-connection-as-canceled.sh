#!/usr/bin/env bash
# @connectrpc/connect-node 2.2.0 ends a gRPC stream with `Canceled` if the server or a proxy closes the connection in the middle of the
# stream. A caller's own AbortSignal gives the same code. So code that does not retry what it cancelled itself gives up when a proxy
# restarts. @grpc/grpc-js and all other gRPC libraries that we tried end such a stream with UNAVAILABLE. The cause is Node: a stream
# whose connection ends without an error is closed with NGHTTP2_CANCEL, which connect-node translates as a reset by the server. To
# tell the two apart, check whether your own signal is aborted.
#
# Observed: `@connectrpc/connect-node: canceled, own signal aborted: false; @grpc/grpc-js: UNAVAILABLE`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @connectrpc/connect@2.2.0 @connectrpc/connect-node@2.2.0 \
    @bufbuild/protobuf@2.17.0 @grpc/grpc-js@1.14.7
cat >shows.mjs <<'JS'
import { createServer } from "node:http2";
import { connect as connectTo, createServer as createProxy } from "node:net";
import { createFileRegistry, create } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema, file_google_protobuf_empty } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client, credentials, status } from "@grpc/grpc-js";

// Sends one empty message and keeps the stream open.
const server = createServer();
server.on("stream", (stream) => {
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "application/grpc" });
  stream.write(Buffer.alloc(5));
});
server.on("session", (session) => session.on("error", () => {}));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
// A proxy that closes its connections half a second after their first answer.
const proxy = createProxy((client) => {
  const upstream = connectTo(server.address().port, "127.0.0.1");
  for (const [from, to] of [[client, upstream], [upstream, client]]) {
    from.on("error", () => {});
    from.pipe(to);
  }
  upstream.once("data", () => setTimeout(() => [client, upstream].forEach((socket) => socket.destroy()), 500));
});
await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
const address = `127.0.0.1:${proxy.address().port}`;

const empty = "google.protobuf.Empty";
const file = create(FileDescriptorProtoSchema, {
  name: "example.proto",
  package: "example",
  syntax: "proto3",
  dependency: ["google/protobuf/empty.proto"],
  service: [{ name: "Watcher", method: [{ name: "Watch", inputType: `.${empty}`, outputType: `.${empty}`, serverStreaming: true }] }],
});
const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_empty.proto, file] });
const service = createFileRegistry(set).getService("example.Watcher");
const client = createClient(service, createGrpcTransport({ baseUrl: `http://${address}` }));
const controller = new AbortController();
let connect = "OK";
try {
  for await (const _ of client.watch({}, { signal: controller.signal }));
} catch (error) {
  connect = Code[ConnectError.from(error).code].toLowerCase();
}

const bytes = (value) => Buffer.from(value);
const call = new Client(address, credentials.createInsecure()).makeServerStreamRequest("/example.Watcher/Watch", bytes, bytes, "");
call.resume();
const grpc = await new Promise((resolve) => call.on("error", (error) => resolve(status[error.code])));
console.log(`@connectrpc/connect-node: ${connect}, own signal aborted: ${controller.signal.aborted}; @grpc/grpc-js: ${grpc}`);
process.exit();
JS
seen=$(node shows.mjs)
echo "$seen"
expected='@connectrpc/connect-node: canceled, own signal aborted: false; @grpc/grpc-js: UNAVAILABLE'
if [ "$seen" != "$expected" ]; then
    echo "changed: expected $expected" >&2
    exit 1
fi
