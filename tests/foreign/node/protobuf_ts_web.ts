// protobuf-ts in a browser, over gRPC-Web.

import { GrpcWebFetchTransport } from "@protobuf-ts/grpcweb-transport";
import { run, say, settings } from "./host_web.mjs";
import { wholeRun } from "./protobuf_ts";

const transport = new GrpcWebFetchTransport({ baseUrl: settings.RUNYARD_SERVER, format: "binary" });

await run(() => wholeRun(transport, settings, say));
