"""The exceptions of the client: one class per kind of error, with the stable error code and typed details."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from runyard._connection import plain_message, was_never_sent
from runyard._proto import error_details_pb2, errors_pb2, status_pb2

if TYPE_CHECKING:
    from runyard.models import RunRecord


@dataclass(frozen=True)
class ErrorDetails:
    """Details of a plan limit. Fields that do not apply are None or empty."""

    running_thread_ids: tuple[str, ...] = ()
    running_count: int | None = None
    current_count: int | None = None
    limit: int | None = None
    tier_name: str | None = None


@dataclass(frozen=True)
class FieldViolation:
    """An invalid field of the request."""

    field: str
    description: str


class RunyardError(Exception):
    """Base class of all errors. `str(error)` is the code and the message."""

    def __init__(
        self,
        message: str,
        *,
        error_code: str = "UNKNOWN",
        grpc_code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        details: ErrorDetails | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
        is_from_server: bool = False,
        transport_message: str = "",
        was_sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        """The error message, for people. Programs should use `error_code`."""
        self.error_code = error_code
        """The stable code, such as AGENT_NOT_FOUND."""
        self.grpc_code = grpc_code
        """The name of the gRPC code, such as NOT_FOUND."""
        self.request_id = request_id
        """The id of this request in the server's log."""
        self.retry_after = retry_after
        """The server's retry delay in seconds, if it sent one."""
        self.details = details or ErrorDetails()
        """Details of a plan limit, for errors that report one."""
        self.field_violations = field_violations
        """The invalid fields of the request."""
        self.is_from_server = is_from_server
        """Whether the server reported the error. Other errors come from the connection or the client."""
        self.transport_message = transport_message
        """The own text of the gRPC or HTTP library about a connection error, for a search in its documentation."""
        self.was_sent = was_sent
        """Whether the server may have received the request."""

    def __str__(self) -> str:
        return f"{self.error_code}: {self.message}"


class InvalidRequestError(RunyardError):
    """The request is invalid. A retry fails the same way."""


class AuthenticationError(RunyardError):
    """The token is missing or invalid."""


class PermissionDeniedError(RunyardError):
    """The caller lacks a role or scope."""


class NotFoundError(RunyardError):
    """The resource does not exist or belongs to another account."""


class ConflictError(RunyardError):
    """The resource's state does not allow the operation, or a concurrent change was applied first."""


class LimitError(RunyardError):
    """A plan limit was exceeded. `details` and the properties of this class describe the limit."""

    @property
    def limit(self) -> int | None:
        """The maximum that the plan allows."""
        return self.details.limit

    @property
    def current_count(self) -> int | None:
        """The number of existing objects that count towards the limit."""
        return self.details.current_count

    @property
    def running_count(self) -> int | None:
        """The number of active runs."""
        return self.details.running_count

    @property
    def running_thread_ids(self) -> tuple[str, ...]:
        """The threads with active runs."""
        return self.details.running_thread_ids

    @property
    def tier_name(self) -> str | None:
        """The caller's tier."""
        return self.details.tier_name


class InsufficientCreditsError(LimitError):
    """The account has no credits left."""


class ModelAccessError(LimitError):
    """The plan does not include the model."""


class ThrottledError(RunyardError):
    """Too many requests. Retry after `retry_after` seconds."""


class TooLargeError(RunyardError):
    """The file or the message is larger than allowed."""


class UnavailableError(RunyardError):
    """The server or one of its dependencies is temporarily unavailable."""


class DeadlineError(RunyardError, TimeoutError):
    """The call or the wait timed out."""


class CancelledError(RunyardError):
    """The call was cancelled."""


class UnimplementedError(RunyardError):
    """The server does not implement this method."""


class InternalError(RunyardError):
    """An internal server error. To find the cause, search the server's log for `request_id`."""


class RunFailedError(RunyardError):
    """A run failed or was stopped, but the caller required it to complete."""

    def __init__(self, record: RunRecord) -> None:
        code = record.error.error_code if record.error else f"RUN_{record.status.upper()}"
        message = record.error.message if record.error else f"the run ended as {record.status}"
        super().__init__(message, error_code=code, is_from_server=True)
        self.record = record
        """The record of the failed or stopped run."""


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


def error_of(raised: grpc.RpcError, url: str = "") -> RunyardError:
    """Converts a gRPC error to an exception of this module. `url` is the address of the server, for the message."""
    call: Any = raised
    code = call.code().name if call.code() else "UNKNOWN"
    metadata = dict(_pairs(call.initial_metadata())) | dict(_pairs(call.trailing_metadata()))
    encoded = metadata.get("grpc-status-details-bin")
    details = status_pb2.Status.FromString(encoded).details if isinstance(encoded, bytes) else ()
    reported = call.details() or ""
    return typed_error(
        code,
        reported,
        [(detail.type_url.rpartition("/")[2], detail.value) for detail in details],
        request_id=_text(metadata.get("x-request-id")),
        plain=lambda: plain_message(code, reported, url),
        was_sent=not was_never_sent(reported),
    )


def typed_error(
    code: str,
    reported: str,
    encoded: Iterable[tuple[str, bytes]],
    *,
    request_id: str | None,
    plain: Callable[[], str],
    was_sent: bool = True,
) -> RunyardError:
    """Returns the error for a gRPC code and its details, each with the name of its message. Without an ErrorInfo, the
    error comes from the connection, and `plain` returns its message."""
    reason: str | None = None
    retry_after: float | None = None
    refusal: errors_pb2.Refusal | None = None
    violations: list[FieldViolation] = []
    for name, value in encoded:
        match name:
            case "google.rpc.ErrorInfo":
                reason = error_details_pb2.ErrorInfo.FromString(value).reason
            case "google.rpc.RetryInfo":
                delay = error_details_pb2.RetryInfo.FromString(value).retry_delay
                retry_after = delay.seconds + delay.nanos / 1e9
            case "google.rpc.BadRequest":
                bad = error_details_pb2.BadRequest.FromString(value)
                violations += [FieldViolation(one.field, one.description) for one in bad.field_violations]
            case "runyard.v1.Refusal":
                refusal = errors_pb2.Refusal.FromString(value)
    return class_of(code, reason, refusal is not None)(
        plain() if reason is None else reported or code,
        error_code=reason or code,
        grpc_code=code,
        request_id=request_id,
        retry_after=retry_after,
        details=_details_of(refusal) if refusal is not None else None,
        field_violations=tuple(violations),
        is_from_server=reason is not None,
        transport_message=reported if reason is None else "",
        was_sent=was_sent,
    )


def class_of(code: str, reason: str | None, is_refusal: bool) -> type[RunyardError]:
    """Returns the class for a gRPC code, the code of the API, and whether the error has details of a plan limit."""
    kind = _BY_REASON.get(reason or "")
    if kind is None:
        kind = LimitError if is_refusal else _BY_CODE.get(code, RunyardError)
    return kind


def _details_of(refusal: errors_pb2.Refusal) -> ErrorDetails:
    def value(name: str) -> Any:
        return getattr(refusal, name) if refusal.HasField(name) else None

    return ErrorDetails(
        running_thread_ids=tuple(refusal.running_thread_ids),
        running_count=value("running_count"),
        current_count=value("current_count"),
        limit=value("limit"),
        tier_name=value("tier_name"),
    )


def _pairs(metadata: Any) -> list[tuple[str, str | bytes]]:
    return [(str(key), value) for key, value in metadata or ()]


def _text(value: str | bytes | None) -> str | None:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
