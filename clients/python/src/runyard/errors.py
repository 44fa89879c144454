"""What can go wrong, as exceptions: one class for each kind, each with the stable code and the typed facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from runyard._proto import errors_pb2

if TYPE_CHECKING:
    from runyard.models import RunRecord


@dataclass(frozen=True)
class Facts:
    """Why a plan refused; what does not apply is None."""

    running_thread_ids: tuple[str, ...] = ()
    running_count: int | None = None
    current_count: int | None = None
    limit: int | None = None
    tier_name: str | None = None


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request that is wrong."""

    field: str
    description: str


class RunyardError(Exception):
    """Anything that a call can end with. As text it is the code and the sentence."""

    def __init__(
        self,
        message: str,
        *,
        error_code: str = "UNKNOWN",
        grpc_code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        facts: Facts | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
        is_from_server: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        """A sentence for people."""
        self.error_code = error_code
        """The stable code, such as AGENT_NOT_FOUND."""
        self.grpc_code = grpc_code
        """The name of the gRPC code, such as NOT_FOUND."""
        self.request_id = request_id
        """The server's name for this call, which stands in its log."""
        self.retry_after = retry_after
        """Seconds after which trying again makes sense, when the server said so."""
        self.facts = facts or Facts()
        """Why a plan refused."""
        self.field_violations = field_violations
        """The fields that are wrong."""
        self.is_from_server = is_from_server
        """Whether Runyard said it; else the connection or the client did."""

    def __str__(self) -> str:
        return f"{self.error_code}: {self.message}"


class InvalidRequestError(RunyardError):
    """The request is wrong and will be wrong again."""


class AuthenticationError(RunyardError):
    """There is no valid token."""


class PermissionDeniedError(RunyardError):
    """A role or scope is missing."""


class NotFoundError(RunyardError):
    """There is no such thing, or it is another account's."""


class ConflictError(RunyardError):
    """The state of the thing does not allow it, or somebody else changed it first."""


class LimitError(RunyardError):
    """The plan does not allow it; `facts` say why, and so do the properties."""

    @property
    def limit(self) -> int | None:
        """The limit of the plan."""
        return self.facts.limit

    @property
    def current_count(self) -> int | None:
        """How many of the limited things there are."""
        return self.facts.current_count

    @property
    def running_count(self) -> int | None:
        """How many runs are running."""
        return self.facts.running_count

    @property
    def running_thread_ids(self) -> tuple[str, ...]:
        """The threads in which they run."""
        return self.facts.running_thread_ids

    @property
    def tier_name(self) -> str | None:
        """The caller's tier."""
        return self.facts.tier_name


class InsufficientCreditsError(LimitError):
    """The balance is used up."""


class ModelAccessError(LimitError):
    """The plan does not include the model."""


class ThrottledError(RunyardError):
    """Too many requests; `retry_after` says when to come back."""


class TooLargeError(RunyardError):
    """The file or the message is larger than allowed."""


class UnavailableError(RunyardError):
    """The server, or something that it needs, is away for now."""


class DeadlineError(RunyardError, TimeoutError):
    """The time for the call or for the waiting is over."""


class CancelledError(RunyardError):
    """The call was given up."""


class UnimplementedError(RunyardError):
    """The server does not serve this method."""


class InternalError(RunyardError):
    """The server's fault; its log has the cause under `request_id`."""


class RunFailedError(RunyardError):
    """A run ended as failed or stopped, and the caller wanted it completed."""

    def __init__(self, record: RunRecord) -> None:
        code = record.error.error_code if record.error else f"RUN_{record.status.upper()}"
        message = record.error.message if record.error else f"the run ended as {record.status}"
        super().__init__(message, error_code=code, is_from_server=True)
        self.record = record
        """The run as it ended."""


_BY_REASON: dict[str, type[RunyardError]] = {
    "INSUFFICIENT_CREDITS": InsufficientCreditsError,
    "MODEL_ACCESS_DENIED": ModelAccessError,
    "THROTTLED": ThrottledError,
    "TOO_LARGE": TooLargeError,
}

_BY_CODE: dict[str, type[RunyardError]] = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "OUT_OF_RANGE": InvalidRequestError,
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": ConflictError,
    "FAILED_PRECONDITION": ConflictError,
    "ABORTED": ConflictError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "CANCELLED": CancelledError,
    "UNIMPLEMENTED": UnimplementedError,
    "INTERNAL": InternalError,
}


def error_of(raised: grpc.RpcError) -> RunyardError:
    """The exception for what gRPC raised."""
    call: Any = raised
    code = call.code().name if call.code() else "UNKNOWN"
    metadata = dict(_pairs(call.initial_metadata())) | dict(_pairs(call.trailing_metadata()))
    reason: str | None = None
    retry_after: float | None = None
    refusal: errors_pb2.Refusal | None = None
    violations: list[FieldViolation] = []
    details = metadata.get("grpc-status-details-bin")
    for detail in status_pb2.Status.FromString(details).details if isinstance(details, bytes) else ():
        match detail.type_url.rpartition("/")[2]:
            case "google.rpc.ErrorInfo":
                reason = error_details_pb2.ErrorInfo.FromString(detail.value).reason
            case "google.rpc.RetryInfo":
                delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
                retry_after = delay.seconds + delay.nanos / 1e9
            case "google.rpc.BadRequest":
                bad = error_details_pb2.BadRequest.FromString(detail.value)
                violations += [FieldViolation(one.field, one.description) for one in bad.field_violations]
            case "runyard.v1.Refusal":
                refusal = errors_pb2.Refusal.FromString(detail.value)
    kind = _BY_REASON.get(reason or "")
    if kind is None:
        kind = LimitError if refusal is not None else _BY_CODE.get(code, RunyardError)
    return kind(
        call.details() or code,
        error_code=reason or code,
        grpc_code=code,
        request_id=_text(metadata.get("x-request-id")),
        retry_after=retry_after,
        facts=_facts(refusal) if refusal is not None else None,
        field_violations=tuple(violations),
        is_from_server=reason is not None,
    )


def _facts(refusal: errors_pb2.Refusal) -> Facts:
    def given(name: str) -> Any:
        return getattr(refusal, name) if refusal.HasField(name) else None

    return Facts(
        running_thread_ids=tuple(refusal.running_thread_ids),
        running_count=given("running_count"),
        current_count=given("current_count"),
        limit=given("limit"),
        tier_name=given("tier_name"),
    )


def _pairs(metadata: Any) -> list[tuple[str, str | bytes]]:
    return [(str(key), value) for key, value in metadata or ()]


def _text(value: str | bytes | None) -> str | None:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
