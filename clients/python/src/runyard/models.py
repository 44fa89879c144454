"""The server's responses as frozen dataclasses, converted from protobuf messages by one function.

Fields have the names of the API. Times are timezone-aware datetimes, enums are lower-case words such as "running",
and unset fields are None.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Generic, Literal, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message as ProtoMessage

from runyard._html import Shown, list_table

T = TypeVar("T")

# Aliases of Any, because protobuf implementations have different descriptor types.
Field = Any
Enum = Any

RunStatus = Literal["running", "waiting", "completed", "failed", "stopped"]
ENDED: tuple[RunStatus, ...] = ("completed", "failed", "stopped")
"""The statuses of a run that has ended."""
MessageDelivery = Literal["pending", "read"]
MessageRole = Literal["user", "assistant", "tool"]
McpTransport = Literal["http", "sse", "stdio"]
ApiKeyScope = Literal["read", "run", "admin"]
NoticeKind = Literal[
    "model_downgraded",
    "provider_retried",
    "history_compacted",
    "tools_ended",
    "budget_exhausted",
    "demo_model",
    "resumed",
    "other",
    "memories_used",
]
MemoryScope = Literal["agent", "account"]
StopReason = Literal["requested", "interrupted", "budget"]
ToolDecision = Literal["auto", "ask", "deny"]
InputKind = Literal["approval", "client_tool", "question"]
InputDecision = Literal["approve", "deny", "result", "answer", "expired", "cancelled"]
IfBusy = Literal["enqueue", "reject", "interrupt"]
ModeName = Literal["code", "chat", "plan"] | str
"""A built-in mode, or a mode of the server's configuration."""
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high"]
AgentOrder = Literal["created_at", "created_at desc", "updated_at", "updated_at desc", "name", "name desc"]
WebhookEventName = Literal["run.completed", "run.failed", "run.stopped", "run.waiting"]
ScheduleOverlap = Literal["skip", "queue", "replace"]
ScheduleRunOutcome = Literal["pending", "started", "skipped", "refused"]
WebhookDeliveryStatus = Literal["pending", "succeeded", "failed"]


class Page(list[T], Generic[T]):
    """One page of a list. `next_page_token` requests the next page. It is empty on the last page."""

    def __init__(self, items: list[T], next_page_token: str = "") -> None:
        super().__init__(items)
        self.next_page_token = next_page_token

    def _repr_html_(self) -> str:
        return list_table(self)


@dataclass(frozen=True, kw_only=True)
class ToolSetting:
    """Enables or disables a tool for an agent."""

    enabled: bool


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """Whether runs of an agent use memory by default, and which memories they use."""

    enabled: bool = False
    scope: MemoryScope = "agent"


@dataclass(frozen=True, kw_only=True)
class McpServer:
    """An MCP server that an agent may use."""

    name: str
    type: McpTransport
    url: str = ""
    command: str = ""
    args: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    enabled_tools: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class AgentSkill:
    """A skill that an agent uses. Without a version, a run uses the current version of the skill."""

    name: str
    version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ToolRule:
    """What happens to the calls of a tool. In `tool` and `commands`, `*` stands for any characters."""

    tool: str
    decision: ToolDecision
    commands: list[str] = field(default_factory=list)
    """Only for the tool bash: the commands that the rule is about. Empty means all commands."""


@dataclass(frozen=True, kw_only=True)
class ApprovalSettings:
    """Which tool calls of an agent run at once, and which ones wait for people. The first matching rule decides."""

    rules: list[ToolRule] = field(default_factory=list)
    expires_after_seconds: int | None = None
    fail_on_expiry: bool = False


@dataclass(frozen=True, kw_only=True)
class AgentVersion(Shown):
    """One version of an agent: all settings that affect its runs."""

    version_id: str
    agent_id: str
    version_number: int
    version_name: str
    system_prompt: str
    model: str
    configured_mcps: list[McpServer]
    custom_mcps: list[McpServer]
    agentpress_tools: dict[str, ToolSetting]
    is_active: bool
    created_at: datetime.datetime
    updated_at: datetime.datetime
    skills: list[AgentSkill]
    memory: MemorySettings
    approvals: ApprovalSettings


@dataclass(frozen=True, kw_only=True)
class Agent(Shown):
    """An agent with its current version."""

    agent_id: str
    name: str
    description: str | None
    icon_name: str
    icon_color: str
    icon_background: str
    is_default: bool
    is_public: bool
    tags: list[str]
    current_version_id: str
    version_count: int
    current_version: AgentVersion
    configured_mcps: list[McpServer]
    custom_mcps: list[McpServer]
    agentpress_tools: dict[str, ToolSetting]
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class SkillFile:
    """A file of a skill."""

    path: str
    size: int
    executable: bool


@dataclass(frozen=True, kw_only=True)
class SkillVersion:
    """A stored version of a skill."""

    version: int
    description: str
    archive_bytes: int
    created_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Skill:
    """A skill, with one of its versions. A list of skills contains no instructions, files and versions."""

    skill_id: str
    name: str
    version: int
    current_version: int
    description: str
    license: str | None
    compatibility: str | None
    metadata: dict[str, str]
    allowed_tools: list[str]
    archive_bytes: int
    unpacked_bytes: int
    instructions: str
    files: list[SkillFile]
    versions: list[SkillVersion]
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A mode: the tools, the instructions and the budget of a run."""

    name: str
    description: str
    tools: list[str]
    prompt: str
    is_default: bool
    max_steps: int | None
    max_tokens: int | None
    run_timeout_seconds: int | None


@dataclass(frozen=True, kw_only=True)
class AgentIcon:
    """An icon and its colours, suggested by the server."""

    icon_name: str
    icon_color: str
    icon_background: str


@dataclass(frozen=True, kw_only=True)
class AgentVersionDifference:
    """One changed field. The values are JSON text."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class AgentVersionComparison:
    """The differences between two versions."""

    version: AgentVersion
    other_version: AgentVersion
    differences: list[AgentVersionDifference]


@dataclass(frozen=True, kw_only=True)
class AgentTool:
    """A tool, and whether the agent may use it."""

    name: str
    description: str
    is_core: bool
    enabled: bool
    parameters_schema: str
    server: str


@dataclass(frozen=True, kw_only=True)
class UnavailableMcpServer:
    """An MCP server whose tools a run would not have."""

    name: str
    reason: str


class AgentTools(Page[AgentTool]):
    """The tools of an agent. `unavailable_mcp_servers` lists the agent's MCP servers that cannot be used."""

    def __init__(self, items: list[AgentTool], unavailable_mcp_servers: list[UnavailableMcpServer]) -> None:
        super().__init__(items)
        self.unavailable_mcp_servers = unavailable_mcp_servers


@dataclass(frozen=True, kw_only=True)
class McpServerTrial:
    """Whether an MCP server can be used, and its tools or the reason why not."""

    connected: bool
    reason: str
    tools: list[AgentTool]


@dataclass(frozen=True, kw_only=True)
class RunError:
    """The reason why a run failed."""

    error_code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class RunUsage:
    """The steps, tokens and credits that a run has used so far."""

    steps: int
    input_tokens: int
    output_tokens: int
    credits: float


@dataclass(frozen=True, kw_only=True)
class RunRecord(Shown):
    """The server's record of a run."""

    agent_run_id: str
    thread_id: str
    project_id: str
    agent_id: str | None
    agent_version_id: str | None
    sandbox_id: str | None
    status: RunStatus
    model_requested: str | None
    model_name: str
    mode: str
    memory_enabled: bool | None
    stop_requested: bool
    error: RunError | None
    usage: RunUsage | None
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    reasoning_effort: str | None
    stop_reason: StopReason | None
    output: dict[str, Any] | None
    parent_run_id: str | None = None
    """The run whose model started this run as a subagent."""
    parent_tool_call_id: str | None = None
    stopped_by: str | None
    max_steps: int | None
    max_seconds: int | None
    max_credits: float | None


@dataclass(frozen=True, kw_only=True)
class RunInput:
    """An input that a run needs or has needed. The decision is None while the input is pending."""

    input_id: str
    agent_run_id: str
    thread_id: str
    kind: InputKind
    tool_call_id: str
    name: str
    arguments: dict[str, Any] | None
    schema: dict[str, Any] | None
    message: str
    created_at: datetime.datetime
    expires_at: datetime.datetime | None
    decision: InputDecision | None
    edited_arguments: dict[str, Any] | None
    text: str
    is_error: bool
    answered_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class InputAnswer:
    """An answer to an input: approve, deny, result or answer. `text` is the reason, the result or the answer.

    `always` with an approval also allows later calls of the tool in the thread; for bash, only the same command.
    """

    input_id: str
    decision: InputDecision
    arguments: dict[str, Any] | None = None
    text: str = ""
    is_error: bool = False
    always: bool = False


@dataclass(frozen=True, kw_only=True)
class AnsweredInputs:
    """The answered inputs, and the status of their run."""

    inputs: list[RunInput]
    status: RunStatus


@dataclass(frozen=True, kw_only=True)
class ThreadMatchPart:
    """A part of the text around the words of a search."""

    text: str
    is_word: bool


@dataclass(frozen=True, kw_only=True)
class ThreadMatch:
    """The place in a thread at which a search has found its words."""

    message_id: str
    parts: list[ThreadMatchPart]


@dataclass(frozen=True, kw_only=True)
class Thread(Shown):
    """A conversation in a project. It consists of messages and runs."""

    thread_id: str
    project_id: str
    name: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    search_match: ThreadMatch | None
    """Set if a search has found its words in a message instead of the name."""


@dataclass(frozen=True, kw_only=True)
class MessageToolCall:
    """A tool call inside a message of the model."""

    tool_call_id: str
    name: str
    arguments: dict[str, Any] | None
    invalid_arguments: str | None
    """The model's raw arguments, if they are not a JSON object."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file in the workspace that belongs to a message or to a tool result. Only images have a width and a height."""

    name: str
    path: str
    size: int
    content_type: str
    width: int | None
    height: int | None


@dataclass(frozen=True, kw_only=True)
class Message(Shown):
    """A message of a thread, with its tool calls or files."""

    message_id: str
    thread_id: str
    agent_run_id: str | None
    role: MessageRole
    content: str
    tool_calls: list[MessageToolCall]
    tool_call_id: str | None
    files: list[str]
    partial: bool
    created_at: datetime.datetime
    attachments: list[Attachment]
    # None unless the message was added to an unfinished run.
    delivery: MessageDelivery | None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A fact that an agent, or the account, keeps across threads."""

    memory_id: str
    agent_id: str | None
    text: str
    agent_run_id: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A prompt that is run at certain times."""

    schedule_id: str
    name: str
    cron: str
    time_zone: str
    prompt: str
    agent_id: str | None
    thread_id: str | None
    model_name: str
    mode: str
    overlap: ScheduleOverlap
    max_failures: int
    paused: bool
    paused_reason: str | None
    next_run_times: list[datetime.datetime]
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class ScheduleRun:
    """An occurrence of a schedule."""

    schedule_id: str
    occurrence: datetime.datetime
    manual: bool
    outcome: ScheduleRunOutcome
    agent_run_id: str | None
    error_code: str
    message: str
    thread_id: str | None


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A named value. It does not contain the value itself."""

    secret_id: str
    name: str
    hosts: list[str]
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """An address that starts a run. `secret` is set only after its creation and after a rotation."""

    trigger_id: str
    name: str
    prompt: str
    agent_id: str | None
    thread_id: str | None
    model_name: str
    mode: str
    enabled: bool
    path: str
    secret: str | None = field(repr=False)
    earlier_secret_expires_at: datetime.datetime | None
    last_fired_at: datetime.datetime | None
    last_run_id: str | None
    last_thread_id: str | None
    last_error_code: str
    last_error: str
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Share:
    """The permission to read a thread, for everybody who has its token."""

    share_id: str
    thread_id: str
    prefix: str
    created_at: datetime.datetime
    expires_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class NewShare:
    """A new share with its token, which the server returns only once."""

    share: Share
    token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class SharedThread:
    """The parts of a thread that a reader of a share sees."""

    name: str
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class SharedMessage:
    """The parts of a message that a reader of a share sees."""

    role: MessageRole
    content: str
    files: list[str]
    partial: bool
    created_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A URL that receives events. `secret` is set only after its creation and after a rotation."""

    webhook_id: str
    url: str
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    secret: str | None = field(repr=False)
    earlier_secret_expires_at: datetime.datetime | None
    consecutive_failures: int
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class WebhookDelivery:
    """The delivery of one event to one webhook."""

    delivery_id: str
    webhook_id: str
    event: str
    status: WebhookDeliveryStatus
    agent_run_id: str | None
    sequence: int
    attempts: int
    created_at: datetime.datetime
    attempted_at: datetime.datetime | None
    next_attempt_at: datetime.datetime | None
    response_status: int | None
    duration_ms: int | None
    response: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Project(Shown):
    """A workspace with its threads."""

    project_id: str
    name: str
    sandbox_id: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """The workspace of a project."""

    sandbox_id: str
    project_id: str
    used_bytes: int
    limit_bytes: int
    created_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class File:
    """A file or folder of a workspace."""

    path: str
    name: str
    is_dir: bool
    size: int
    content_type: str
    modified_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file upload and its progress."""

    upload_id: str
    name: str
    size: int
    received: int
    complete: bool
    created_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class LimitState:
    """A plan limit and its current usage. A `limit` of None means that usage is unlimited."""

    used: int
    limit: int | None


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """A model and whether the caller may use it."""

    model_name: str
    allowed: bool
    downgraded_to: str | None
    context_window: int


@dataclass(frozen=True, kw_only=True)
class AccountState(Shown):
    """The caller's account."""

    account_id: str
    tier_name: str
    credits: float
    microcredits: int
    concurrent_runs: LimitState
    agents: LimitState
    threads: LimitState
    projects: LimitState
    max_upload_bytes: int
    models: list[ModelState]


@dataclass(frozen=True, kw_only=True)
class UsageEntry:
    """One model call with its tokens and cost."""

    agent_run_id: str
    thread_id: str
    step: int
    model_name: str
    input_tokens: int
    output_tokens: int
    credits: float
    estimated: bool
    created_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """An API key, without its secret."""

    key_id: str
    name: str
    prefix: str
    scopes: list[ApiKeyScope]
    created_at: datetime.datetime
    expires_at: datetime.datetime | None
    last_used_at: datetime.datetime | None
    revoked_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class NewApiKey:
    """A new API key with its secret, which the server returns only once."""

    api_key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Account(Shown):
    """An account in the administration API."""

    account_id: str
    issuer: str
    subject: str
    tier_name: str
    credits: float
    microcredits: int
    created_at: datetime.datetime
    suspended_at: datetime.datetime | None
    suspended_reason: str
    last_active_at: datetime.datetime


# Maps the name of a protobuf message to its class, if the class has another name.
_NAMED: dict[str, type] = {
    "Run": RunRecord,
    "Input": RunInput,
    "AnswerInputResponse": AnsweredInputs,
    "GenerateAgentIconResponse": AgentIcon,
    "CompareAgentVersionsResponse": AgentVersionComparison,
    "TestMcpServerResponse": McpServerTrial,
    "CreateApiKeyResponse": NewApiKey,
    "CreateShareResponse": NewShare,
}


def model_class(message_name: str) -> type | None:
    """Returns the class for a protobuf message name, or None if the message has no class."""
    found = _NAMED.get(message_name, globals().get(message_name))
    return found if isinstance(found, type) and is_dataclass(found) else None


def to_model(message: ProtoMessage, wanted: type[T]) -> T:
    """Converts a protobuf message to an instance of `wanted`. Fields that do not exist in this class are dropped."""
    known = wanted.__dataclass_fields__  # type: ignore[attr-defined]
    values = {each.name: value_of(message, each) for each in message.DESCRIPTOR.fields if each.name in known}
    return wanted(**values)


def value_of(message: ProtoMessage, descriptor: Field) -> Any:
    """Returns a field's value as a plain Python value; None if the field is unset."""
    value = getattr(message, descriptor.name)
    if descriptor.is_repeated:
        entry = descriptor.message_type
        if entry is not None and entry.GetOptions().map_entry:
            inner = entry.fields_by_name["value"]
            return {key: _plain(each, inner) for key, each in value.items()}
        return [_plain(each, descriptor) for each in value]
    if descriptor.has_presence and not message.HasField(descriptor.name):
        return None
    return _plain(value, descriptor)


def _plain(value: Any, descriptor: Field) -> Any:
    if descriptor.enum_type is not None:
        return enum_word(descriptor.enum_type, value)
    kind = descriptor.message_type
    if kind is None:
        return value
    if kind.full_name == "google.protobuf.Timestamp":
        return value.ToDatetime(tzinfo=datetime.timezone.utc)
    if kind.full_name == "google.protobuf.Struct":
        return json_format.MessageToDict(value)
    wanted = model_class(kind.name)
    return to_model(value, wanted) if wanted else json_format.MessageToDict(value, preserving_proto_field_name=True)


def _enum_prefix(kind: Enum) -> str:
    # The value 0 is named PREFIX_UNSPECIFIED, and all names of the enum have this prefix.
    return str(kind.values_by_number[0].name).removesuffix("UNSPECIFIED")


def enum_word(kind: Enum, number: int) -> str:
    """Returns the short name of an enum value, or its number as text if this client does not support the value."""
    value = kind.values_by_number.get(number)
    return str(value.name).removeprefix(_enum_prefix(kind)).lower() if value else str(number)


def enum_number(kind: Enum, word: str) -> int:
    """Returns the number of the enum value with this short or full name."""
    name = word.upper()
    for candidate in (name, _enum_prefix(kind) + name):
        if candidate in kind.values_by_name:
            return int(kind.values_by_name[candidate].number)
    allowed = ", ".join(enum_word(kind, value.number) for value in kind.values if value.number)
    raise ValueError(f"{word!r} must be one of: {allowed}")


M = TypeVar("M", bound=ProtoMessage)


def to_message(wanted: type[M], **values: Any) -> M:
    """Builds a protobuf message from plain values. None leaves a field unset."""
    message = wanted()
    fill(message, values)
    return message


def fill(message: ProtoMessage, values: Mapping[str, Any]) -> None:
    """Sets fields from plain values: instances of this module's classes, mappings, lists, enum names and datetimes."""
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in values.items():
        if value is None:
            continue
        if name not in fields:
            raise TypeError(f"{message.DESCRIPTOR.name} has no field {name!r}")
        descriptor = fields[name]
        target = getattr(message, name)
        if descriptor.is_repeated:
            _fill_repeated(target, descriptor, value)
        elif descriptor.message_type is not None:
            _fill_message(target, value)
        elif descriptor.enum_type is not None:
            setattr(message, name, enum_number(descriptor.enum_type, value) if isinstance(value, str) else value)
        else:
            setattr(message, name, value)


def _fill_repeated(target: Any, descriptor: Field, value: Any) -> None:
    entry = descriptor.message_type
    if entry is not None and entry.GetOptions().map_entry:
        for key, each in value.items():
            if entry.fields_by_name["value"].message_type is None:
                target[key] = each
            else:
                # A tool setting may be a plain bool.
                _fill_message(target[key], {"enabled": each} if isinstance(each, bool) else each)
        return
    if isinstance(value, str | bytes):
        raise TypeError(f"{descriptor.name} must be a list")
    for each in value:
        if entry is not None:
            _fill_message(target.add(), each)
        else:
            kind = descriptor.enum_type
            target.append(enum_number(kind, each) if kind is not None and isinstance(each, str) else each)


def _fill_message(target: Any, value: Any) -> None:
    target.SetInParent()
    kind = target.DESCRIPTOR.full_name
    if kind == "google.protobuf.Timestamp":
        if not isinstance(value, datetime.datetime) or value.tzinfo is None:
            raise TypeError("a time must be a timezone-aware datetime")
        target.FromDatetime(value)
    elif kind == "google.protobuf.Struct":
        json_format.ParseDict(value, target)
    elif isinstance(value, Mapping):
        fill(target, value)
    else:
        fill(target, {name: getattr(value, name) for name in value.__dataclass_fields__})
