// connect-es in a browser: gRPC-Web and the Connect protocol.

import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { wholeRun } from "./connect.mjs";
import { run, say, settings } from "./host_web.mjs";

const baseUrl = settings.RUNYARD_SERVER;
const transports = {
  "grpc-web": () => createGrpcWebTransport({ baseUrl }),
  connect: () => createConnectTransport({ baseUrl }),
};

await run(() => wholeRun(transports[settings.VARIANT](), settings, say));
