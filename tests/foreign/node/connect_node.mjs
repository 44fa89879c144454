// connect-es in Node: gRPC and the Connect protocol over HTTP/2, and the Connect protocol over HTTP/1.1.

import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { wholeRun } from "./connect.mjs";
import { run, say, settings } from "./host_node.mjs";

const baseUrl = settings.RUNYARD_SERVER;
// Without pings, a client does not notice that the network drops all packets.
const pings = { pingIntervalMs: 5_000, pingTimeoutMs: 5_000 };
const transports = {
  grpc: () => createGrpcTransport({ baseUrl, ...pings }),
  connect: () => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true, ...pings }),
  "connect-http1": () => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
};

await run(() => wholeRun(transports[settings.VARIANT](), settings, say));
