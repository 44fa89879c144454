"""The events of a run, one class per kind.

Use `match event:` with `case MessageDelta(text=text):`. `event.kind` is the API's name of the kind.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, ClassVar

from runyard._proto import events_pb2
from runyard.models import ENDED, Attachment, InputDecision, InputKind, NoticeKind, RunStatus, StopReason, value_of


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """One event of a run. An event of a kind that this client does not support is an instance of this class itself."""

    kind: ClassVar[str] = "unknown"
    agent_run_id: str
    sequence: int
    """The position of the event in the run, counted from 1. It is also the cursor from which a stream resumes."""
    created_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class StatusChanged(RunEvent):
    """The run's status changed. The last event of every run is of this kind."""

    kind = "status"
    status: RunStatus
    error_code: str | None
    message: str | None
    stop_reason: StopReason | None
    output: dict[str, Any] | None
    stopped_by: str | None

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self.status in ENDED


@dataclass(frozen=True, kw_only=True)
class MessageDelta(RunEvent):
    """A chunk of the model's text."""

    kind = "message_delta"
    message_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ReasoningDelta(RunEvent):
    """A chunk of the model's reasoning."""

    kind = "reasoning_delta"
    message_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class MessageFinished(RunEvent):
    """A complete message of the model."""

    kind = "message"
    message_id: str
    text: str
    partial: bool


@dataclass(frozen=True, kw_only=True)
class ToolCall(RunEvent):
    """The model calls a tool."""

    kind = "tool_call"
    tool_call_id: str
    name: str
    arguments: dict[str, Any] | None
    invalid_arguments: str | None


@dataclass(frozen=True, kw_only=True)
class ToolOutput(RunEvent):
    """A chunk of a running tool's output."""

    kind = "tool_output"
    tool_call_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ToolResult(RunEvent):
    """A tool call ended."""

    kind = "tool_result"
    tool_call_id: str
    name: str
    is_error: bool
    text: str
    truncated: bool
    duration_ms: int
    attachments: list[Attachment]


@dataclass(frozen=True, kw_only=True)
class ModelUsage(RunEvent):
    """The usage of one model call."""

    kind = "usage"
    model_name: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    estimated: bool
    credits: float


@dataclass(frozen=True, kw_only=True)
class Notice(RunEvent):
    """A notice for the user, for example that another worker resumed the run."""

    # The API calls this field `kind`, but in this class `kind` is the kind of the event.
    kind = "notice"
    about: NoticeKind
    message: str


@dataclass(frozen=True, kw_only=True)
class InputRequested(RunEvent):
    """The run waits for an input: a permission, the result of a client tool, or the answer to a question."""

    # The API calls this field `kind`.
    kind = "input_requested"
    input_id: str
    input_kind: InputKind
    tool_call_id: str
    name: str
    arguments: dict[str, Any] | None
    schema: dict[str, Any] | None
    message: str
    expires_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class InputAnswered(RunEvent):
    """A requested input was answered, or it expired."""

    kind = "input_answered"
    input_id: str
    decision: InputDecision
    tool_call_id: str
    arguments: dict[str, Any] | None
    text: str
    is_error: bool


@dataclass(frozen=True, kw_only=True)
class UserMessage(RunEvent):
    """The model receives a message that was added to the run."""

    kind = "user_message"
    message_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class SubagentStarted(RunEvent):
    """A subagent begins to work on a call of the tool `task`. `agent_run_id` is the run with the call."""

    kind = "subagent_started"
    tool_call_id: str
    subagent_run_id: str
    """The run of the subagent."""
    thread_id: str
    """The thread of the subagent's run."""
    agent_id: str


# Fields whose API name every event has with another meaning: the kind of the event, and its field and new name.
RENAMED = {
    ("notice", "kind"): "about",
    ("input_requested", "kind"): "input_kind",
}

EVENTS: dict[str, type[RunEvent]] = {
    each.kind: each
    for each in (
        StatusChanged,
        MessageDelta,
        ReasoningDelta,
        MessageFinished,
        ToolCall,
        ToolOutput,
        ToolResult,
        ModelUsage,
        Notice,
        InputRequested,
        InputAnswered,
        UserMessage,
        SubagentStarted,
    )
}


def to_event(message: events_pb2.RunEvent) -> RunEvent:
    """Converts a protobuf event to an instance of the class for its kind."""
    values: dict[str, Any] = {
        "agent_run_id": message.agent_run_id,
        "sequence": message.sequence,
        "created_at": message.created_at.ToDatetime(tzinfo=datetime.timezone.utc),
    }
    kind = message.WhichOneof("event")
    wanted = EVENTS.get(kind or "", RunEvent)
    if kind is not None and wanted is not RunEvent:
        payload = getattr(message, kind)
        for descriptor in payload.DESCRIPTOR.fields:
            name = RENAMED.get((kind, descriptor.name), descriptor.name)
            if name in wanted.__dataclass_fields__:
                values[name] = value_of(payload, descriptor)
    return wanted(**values)
