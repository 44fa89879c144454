// protobuf-ts in Node, over gRPC.

import { ChannelCredentials } from "@grpc/grpc-js";
import { GrpcTransport } from "@protobuf-ts/grpc-transport";
import { run, say, settings } from "./host_node.mjs";
import { wholeRun } from "./protobuf_ts";

const transport = new GrpcTransport({
  host: settings.RUNYARD_SERVER.replace("http://", ""),
  channelCredentials: ChannelCredentials.createInsecure(),
  // Without keepalive, a client does not notice that the network drops all packets.
  clientOptions: { "grpc.keepalive_time_ms": 5_000, "grpc.keepalive_timeout_ms": 5_000 },
});

await run(() => wholeRun(transport, settings, say));
