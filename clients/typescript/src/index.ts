// @runyard/client: the client for Runyard servers, for Node and browsers.

export { Account, ApiKeys, type AccountState, type ApiKey, type NewApiKey, type UsageEntry } from "./account.js";
export {
  Agents,
  type Agent,
  type AgentChanges,
  type AgentComparison,
  type AgentIcon,
  type AgentTool,
  type AgentTools,
  type AgentVersion,
  type ApprovalSettings,
  type Mode,
  type ModeName,
  type McpServerTrial,
  type NewAgent,
  type NewAgentVersion,
  type ReasoningEffort,
  type RunOptions,
} from "./agents.js";
export { Runyard, type RunyardOptions } from "./client.js";
export type { CallOptions, Token } from "./channel.js";
export { CONNECTION_LOST, isRunyardError, RunyardError, type ErrorDetails, type ErrorKind } from "./error.js";
export {
  isTerminal,
  type Attachment,
  type EventBase,
  type InputAnsweredEvent,
  type UserMessageEvent,
  type InputRequestedEvent,
  type MessageDeltaEvent,
  type MessageEvent,
  type NoticeEvent,
  type ReasoningDeltaEvent,
  type RunEvent,
  type StatusEvent,
  type SubagentStartedEvent,
  type ToolCallEvent,
  type ToolOutputEvent,
  type ToolResultEvent,
  type UnknownEvent,
  type UsageEvent,
} from "./events.js";
export type { ConnectionState, FollowOptions, OnConnection, RunCursor } from "./follow.js";
export { newId } from "./ids.js";
export { Inputs, type AnsweredInputs, type InputAnswer, type RunInput } from "./inputs.js";
export { Memories, type Memory } from "./memories.js";
export type { OutputSchema, StandardSchema } from "./output.js";
export { Listing, type Page } from "./pages.js";
export type { Input, Plain } from "./plain.js";
export { Projects, type Project } from "./projects.js";
export { Run, type RunFile } from "./run.js";
export { Runs, type RunRecord } from "./runs.js";
export { Sandboxes, type FileEntry, type FileStream, type ListFilesOptions, type Sandbox } from "./sandboxes.js";
export { Schedules, type Schedule, type ScheduleChanges, type ScheduleRun } from "./schedules.js";
export { Secrets, type Secret, type SecretChanges } from "./secrets.js";
export { Shares, type NewShare, type Share, type SharedMessage, type SharedThread } from "./shares.js";
export { Skills, type Skill } from "./skills.js";
export { Threads, type Thread, type ThreadMatch, type ThreadMessage } from "./threads.js";
export type { ClientTool, ClientToolCall } from "./tools.js";
export { Triggers, type Trigger, type TriggerChanges } from "./triggers.js";
export { Uploads, type FileContent, type FileInput, type Upload, type UploadOptions, type UploadProgress } from "./uploads.js";
export { Webhooks, type Webhook, type WebhookChanges, type WebhookDelivery } from "./webhooks.js";
