// @runyard/client/proto: the generated protobuf-es code, for methods that the client does not wrap.

export * from "./generated/google/api/httpbody_pb.js";
export * from "./generated/google/rpc/error_details_pb.js";
export * from "./generated/runyard/v1/accounts_pb.js";
export * from "./generated/runyard/v1/admin_pb.js";
export * from "./generated/runyard/v1/agents_pb.js";
export * from "./generated/runyard/v1/errors_pb.js";
export * from "./generated/runyard/v1/events_pb.js";
export * from "./generated/runyard/v1/files_pb.js";
export * from "./generated/runyard/v1/inputs_pb.js";
export * from "./generated/runyard/v1/memories_pb.js";
export * from "./generated/runyard/v1/projects_pb.js";
export * from "./generated/runyard/v1/runs_pb.js";
export * from "./generated/runyard/v1/sandboxes_pb.js";
export * from "./generated/runyard/v1/schedules_pb.js";
export * from "./generated/runyard/v1/secrets_pb.js";
export * from "./generated/runyard/v1/shares_pb.js";
export * from "./generated/runyard/v1/skills_pb.js";
export * from "./generated/runyard/v1/threads_pb.js";
export * from "./generated/runyard/v1/triggers_pb.js";
export * from "./generated/runyard/v1/webhooks_pb.js";
