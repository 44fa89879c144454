"""The API methods that the client calls, with their request and response types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf import empty_pb2
from google.protobuf.message import Message

from runyard._proto import (
    accounts_pb2 as accounts,
)
from runyard._proto import (
    admin_pb2 as admin,
)
from runyard._proto import (
    agents_pb2 as agents,
)
from runyard._proto import (
    events_pb2 as events,
)
from runyard._proto import (
    files_pb2 as files,
)
from runyard._proto import httpbody_pb2
from runyard._proto import (
    inputs_pb2 as inputs,
)
from runyard._proto import (
    memories_pb2 as memories,
)
from runyard._proto import (
    projects_pb2 as projects,
)
from runyard._proto import (
    runs_pb2 as runs,
)
from runyard._proto import (
    sandboxes_pb2 as sandboxes,
)
from runyard._proto import (
    schedules_pb2 as schedules,
)
from runyard._proto import (
    secrets_pb2 as secrets,
)
from runyard._proto import (
    shares_pb2 as shares,
)
from runyard._proto import (
    skills_pb2 as skills,
)
from runyard._proto import (
    threads_pb2 as threads,
)
from runyard._proto import (
    triggers_pb2 as triggers,
)
from runyard._proto import (
    webhooks_pb2 as webhooks,
)

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res", bound=Message)


@dataclass(frozen=True)
class Method(Generic[Req, Res]):
    """An API method. A repeatable method may be retried even if it is unknown whether the first call took effect."""

    name: str
    request: type[Req]
    response: type[Res]
    repeatable: bool

    @property
    def path(self) -> str:
        service, _, method = self.name.partition(".")
        return f"/runyard.v1.{service}/{method}"


def _again(name: str, request: type[Req], response: type[Res]) -> Method[Req, Res]:
    return Method(name, request, response, repeatable=True)


def _once(name: str, request: type[Req], response: type[Res]) -> Method[Req, Res]:
    return Method(name, request, response, repeatable=False)


CREATE_AGENT = _once("AgentService.CreateAgent", agents.CreateAgentRequest, agents.Agent)
LIST_AGENTS = _again("AgentService.ListAgents", agents.ListAgentsRequest, agents.ListAgentsResponse)
GET_AGENT = _again("AgentService.GetAgent", agents.GetAgentRequest, agents.Agent)
UPDATE_AGENT = _once("AgentService.UpdateAgent", agents.UpdateAgentRequest, agents.Agent)
DELETE_AGENT = _once("AgentService.DeleteAgent", agents.DeleteAgentRequest, empty_pb2.Empty)
GENERATE_ICON = _again(
    "AgentService.GenerateAgentIcon", agents.GenerateAgentIconRequest, agents.GenerateAgentIconResponse
)
LIST_VERSIONS = _again(
    "AgentService.ListAgentVersions", agents.ListAgentVersionsRequest, agents.ListAgentVersionsResponse
)
CREATE_VERSION = _once("AgentService.CreateAgentVersion", agents.CreateAgentVersionRequest, agents.AgentVersion)
GET_VERSION = _again("AgentService.GetAgentVersion", agents.GetAgentVersionRequest, agents.AgentVersion)
ACTIVATE_VERSION = _again("AgentService.ActivateAgentVersion", agents.ActivateAgentVersionRequest, agents.Agent)
ROLLBACK_VERSION = _once("AgentService.RollbackAgentVersion", agents.RollbackAgentVersionRequest, agents.Agent)
COMPARE_VERSIONS = _again(
    "AgentService.CompareAgentVersions", agents.CompareAgentVersionsRequest, agents.CompareAgentVersionsResponse
)
TEST_MCP_SERVER = _again("AgentService.TestMcpServer", agents.TestMcpServerRequest, agents.TestMcpServerResponse)
LIST_TOOLS = _again("AgentService.ListAgentTools", agents.ListAgentToolsRequest, agents.ListAgentToolsResponse)

# StartRun is repeatable, because every request has an idempotency key.
START_RUN = _again("RunService.StartRun", runs.StartRunRequest, runs.StartRunResponse)
LIST_MODES = _again("RunService.ListModes", runs.ListModesRequest, runs.ListModesResponse)
GET_RUN = _again("RunService.GetRun", runs.GetRunRequest, runs.Run)
STOP_RUN = _again("RunService.StopRun", runs.StopRunRequest, runs.Run)
STREAM_RUN = _again("RunService.StreamRun", runs.StreamRunRequest, events.RunEvent)
STREAM_RUNS = _again("RunService.StreamRuns", runs.StreamRunsRequest, events.RunEvent)
LIST_ACTIVE_RUNS = _again("RunService.ListActiveRuns", runs.ListActiveRunsRequest, runs.ListActiveRunsResponse)
LIST_RUNS = _again("RunService.ListRuns", runs.ListRunsRequest, runs.ListRunsResponse)

# AnswerInput is repeatable, because an input keeps its first decision.
ANSWER_INPUT = _again("InputService.AnswerInput", inputs.AnswerInputRequest, inputs.AnswerInputResponse)
LIST_PENDING_INPUTS = _again(
    "InputService.ListPendingInputs", inputs.ListPendingInputsRequest, inputs.ListPendingInputsResponse
)
GET_INPUT = _again("InputService.GetInput", inputs.GetInputRequest, inputs.Input)

# CreateUpload is repeatable, because the server deletes unused uploads.
CREATE_UPLOAD = _again("FileService.CreateUpload", files.CreateUploadRequest, files.Upload)
UPLOAD_CHUNK = _again("FileService.UploadChunk", files.UploadChunkRequest, files.Upload)

CREATE_THREAD = _once("ThreadService.CreateThread", threads.CreateThreadRequest, threads.Thread)
LIST_THREADS = _again("ThreadService.ListThreads", threads.ListThreadsRequest, threads.ListThreadsResponse)
GET_THREAD = _again("ThreadService.GetThread", threads.GetThreadRequest, threads.Thread)
UPDATE_THREAD = _again("ThreadService.UpdateThread", threads.UpdateThreadRequest, threads.Thread)
SUGGEST_THREAD_TITLE = _once("ThreadService.SuggestThreadTitle", threads.SuggestThreadTitleRequest, threads.Thread)
DELETE_THREAD = _once("ThreadService.DeleteThread", threads.DeleteThreadRequest, empty_pb2.Empty)
LIST_MESSAGES = _again("ThreadService.ListMessages", threads.ListMessagesRequest, threads.ListMessagesResponse)
ADD_MESSAGE = _once("ThreadService.AddMessage", threads.AddMessageRequest, threads.Message)

CREATE_MEMORY = _again("MemoryService.CreateMemory", memories.CreateMemoryRequest, memories.Memory)
LIST_MEMORIES = _again("MemoryService.ListMemories", memories.ListMemoriesRequest, memories.ListMemoriesResponse)
GET_MEMORY = _again("MemoryService.GetMemory", memories.GetMemoryRequest, memories.Memory)
UPDATE_MEMORY = _again("MemoryService.UpdateMemory", memories.UpdateMemoryRequest, memories.Memory)
DELETE_MEMORY = _once("MemoryService.DeleteMemory", memories.DeleteMemoryRequest, empty_pb2.Empty)

LIST_PROJECTS = _again("ProjectService.ListProjects", projects.ListProjectsRequest, projects.ListProjectsResponse)
GET_PROJECT = _again("ProjectService.GetProject", projects.GetProjectRequest, projects.Project)
DELETE_PROJECT = _once("ProjectService.DeleteProject", projects.DeleteProjectRequest, empty_pb2.Empty)

GET_SANDBOX = _again("SandboxService.GetSandbox", sandboxes.GetSandboxRequest, sandboxes.Sandbox)
LIST_FILES = _again("SandboxService.ListFiles", sandboxes.ListFilesRequest, sandboxes.ListFilesResponse)
READ_FILE = _again("SandboxService.ReadFile", sandboxes.ReadFileRequest, httpbody_pb2.HttpBody)
WRITE_FILE = _once("SandboxService.WriteFile", sandboxes.WriteFileRequest, sandboxes.File)
DELETE_FILE = _once("SandboxService.DeleteFile", sandboxes.DeleteFileRequest, empty_pb2.Empty)

# CreateSkill is repeatable, because an archive that is already stored changes nothing.
CREATE_SKILL = _again("SkillService.CreateSkill", skills.CreateSkillRequest, skills.Skill)
LIST_SKILLS = _again("SkillService.ListSkills", skills.ListSkillsRequest, skills.ListSkillsResponse)
GET_SKILL = _again("SkillService.GetSkill", skills.GetSkillRequest, skills.Skill)
DELETE_SKILL = _once("SkillService.DeleteSkill", skills.DeleteSkillRequest, empty_pb2.Empty)

CREATE_SCHEDULE = _once("ScheduleService.CreateSchedule", schedules.CreateScheduleRequest, schedules.Schedule)
LIST_SCHEDULES = _again(
    "ScheduleService.ListSchedules", schedules.ListSchedulesRequest, schedules.ListSchedulesResponse
)
GET_SCHEDULE = _again("ScheduleService.GetSchedule", schedules.GetScheduleRequest, schedules.Schedule)
UPDATE_SCHEDULE = _once("ScheduleService.UpdateSchedule", schedules.UpdateScheduleRequest, schedules.Schedule)
DELETE_SCHEDULE = _once("ScheduleService.DeleteSchedule", schedules.DeleteScheduleRequest, empty_pb2.Empty)
PAUSE_SCHEDULE = _again("ScheduleService.PauseSchedule", schedules.PauseScheduleRequest, schedules.Schedule)
RESUME_SCHEDULE = _again("ScheduleService.ResumeSchedule", schedules.ResumeScheduleRequest, schedules.Schedule)
RUN_SCHEDULE_NOW = _once("ScheduleService.RunScheduleNow", schedules.RunScheduleNowRequest, schedules.ScheduleRun)
LIST_SCHEDULE_RUNS = _again(
    "ScheduleService.ListScheduleRuns", schedules.ListScheduleRunsRequest, schedules.ListScheduleRunsResponse
)

CREATE_SECRET = _once("SecretService.CreateSecret", secrets.CreateSecretRequest, secrets.Secret)
LIST_SECRETS = _again("SecretService.ListSecrets", secrets.ListSecretsRequest, secrets.ListSecretsResponse)
UPDATE_SECRET = _once("SecretService.UpdateSecret", secrets.UpdateSecretRequest, secrets.Secret)
DELETE_SECRET = _once("SecretService.DeleteSecret", secrets.DeleteSecretRequest, empty_pb2.Empty)

CREATE_TRIGGER = _once("TriggerService.CreateTrigger", triggers.CreateTriggerRequest, triggers.Trigger)
LIST_TRIGGERS = _again("TriggerService.ListTriggers", triggers.ListTriggersRequest, triggers.ListTriggersResponse)
GET_TRIGGER = _again("TriggerService.GetTrigger", triggers.GetTriggerRequest, triggers.Trigger)
UPDATE_TRIGGER = _once("TriggerService.UpdateTrigger", triggers.UpdateTriggerRequest, triggers.Trigger)
DELETE_TRIGGER = _once("TriggerService.DeleteTrigger", triggers.DeleteTriggerRequest, empty_pb2.Empty)
ROTATE_TRIGGER_SECRET = _once(
    "TriggerService.RotateTriggerSecret", triggers.RotateTriggerSecretRequest, triggers.Trigger
)

CREATE_SHARE = _once("ShareService.CreateShare", shares.CreateShareRequest, shares.CreateShareResponse)
LIST_SHARES = _again("ShareService.ListShares", shares.ListSharesRequest, shares.ListSharesResponse)
REVOKE_SHARE = _once("ShareService.RevokeShare", shares.RevokeShareRequest, empty_pb2.Empty)
GET_SHARED_THREAD = _again("ShareService.GetSharedThread", shares.GetSharedThreadRequest, shares.SharedThread)
LIST_SHARED_MESSAGES = _again(
    "ShareService.ListSharedMessages", shares.ListSharedMessagesRequest, shares.ListSharedMessagesResponse
)

CREATE_WEBHOOK = _once("WebhookService.CreateWebhook", webhooks.CreateWebhookRequest, webhooks.Webhook)
LIST_WEBHOOKS = _again("WebhookService.ListWebhooks", webhooks.ListWebhooksRequest, webhooks.ListWebhooksResponse)
GET_WEBHOOK = _again("WebhookService.GetWebhook", webhooks.GetWebhookRequest, webhooks.Webhook)
UPDATE_WEBHOOK = _once("WebhookService.UpdateWebhook", webhooks.UpdateWebhookRequest, webhooks.Webhook)
DELETE_WEBHOOK = _once("WebhookService.DeleteWebhook", webhooks.DeleteWebhookRequest, empty_pb2.Empty)
ROTATE_WEBHOOK_SECRET = _once(
    "WebhookService.RotateWebhookSecret", webhooks.RotateWebhookSecretRequest, webhooks.Webhook
)
TEST_WEBHOOK = _once("WebhookService.TestWebhook", webhooks.TestWebhookRequest, webhooks.WebhookDelivery)
LIST_WEBHOOK_DELIVERIES = _again(
    "WebhookService.ListWebhookDeliveries",
    webhooks.ListWebhookDeliveriesRequest,
    webhooks.ListWebhookDeliveriesResponse,
)
REDELIVER_WEBHOOK_DELIVERY = _once(
    "WebhookService.RedeliverWebhookDelivery", webhooks.RedeliverWebhookDeliveryRequest, webhooks.WebhookDelivery
)

GET_ACCOUNT_STATE = _again("AccountService.GetAccountState", accounts.GetAccountStateRequest, accounts.AccountState)
LIST_USAGE = _again("AccountService.ListUsage", accounts.ListUsageRequest, accounts.ListUsageResponse)
CREATE_API_KEY = _once("AccountService.CreateApiKey", accounts.CreateApiKeyRequest, accounts.CreateApiKeyResponse)
LIST_API_KEYS = _again("AccountService.ListApiKeys", accounts.ListApiKeysRequest, accounts.ListApiKeysResponse)
REVOKE_API_KEY = _again("AccountService.RevokeApiKey", accounts.RevokeApiKeyRequest, accounts.ApiKey)

CREATE_ACCOUNT = _again("AdminService.CreateAccount", admin.CreateAccountRequest, admin.Account)
GET_ACCOUNT = _again("AdminService.GetAccount", admin.GetAccountRequest, admin.Account)
LIST_ACCOUNTS = _again("AdminService.ListAccounts", admin.ListAccountsRequest, admin.ListAccountsResponse)
SUSPEND_ACCOUNT = _again("AdminService.SuspendAccount", admin.SuspendAccountRequest, admin.Account)
RESUME_ACCOUNT = _again("AdminService.ResumeAccount", admin.ResumeAccountRequest, admin.Account)
LIST_ACCOUNT_USAGE = _again("AdminService.ListAccountUsage", admin.ListAccountUsageRequest, accounts.ListUsageResponse)
SET_ACCOUNT_TIER = _again("AdminService.SetAccountTier", admin.SetAccountTierRequest, admin.Account)
# GrantCredits is repeatable, because the client always sends an idempotency key.
GRANT_CREDITS = _again("AdminService.GrantCredits", admin.GrantCreditsRequest, admin.Account)
