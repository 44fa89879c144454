// Errors from the server and the connection. No error contains the token.

import { Code, ConnectError } from "@connectrpc/connect";
import { lostMessage, statusMessage, strangeStatus } from "./connection.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./generated/google/rpc/error_details_pb.js";
import { RefusalSchema } from "./generated/runyard/v1/errors_pb.js";

/** The category of an error. */
export type ErrorKind =
  /** The request is invalid. A retry fails the same way. */
  | "invalid"
  /** The token is missing or invalid. */
  | "unauthenticated"
  /** The caller lacks a role or scope. */
  | "forbidden"
  /** The resource does not exist or belongs to another account. */
  | "missing"
  /** The resource exists already. */
  | "existing"
  /** The resource's state does not allow the operation. */
  | "conflicting"
  /** A concurrent change was applied first. A retry may succeed. */
  | "contended"
  /** A plan limit was exceeded, or the account has no credits left. */
  | "over_plan"
  /** The plan does not include the model. */
  | "not_in_plan"
  /** The caller has exceeded a rate limit. A later retry may succeed. */
  | "throttled"
  /** The request, a file or a message exceeds its size limit. */
  | "too_large"
  /** The server or one of its dependencies is temporarily unavailable. */
  | "unavailable"
  /** The call timed out. */
  | "expired"
  /** The call was cancelled. */
  | "cancelled"
  /** The server does not implement the method. */
  | "unimplemented"
  /** The server failed unexpectedly. Its log has the cause under `requestId`. */
  | "internal";

/** Typed details of an error. Fields that do not apply are missing. */
export interface ErrorDetails {
  /** Threads with active runs of the caller. */
  readonly runningThreadIds?: readonly string[];
  /** Number of the caller's active runs. */
  readonly runningCount?: number;
  /** Number of existing objects that count towards the limit. */
  readonly currentCount?: number;
  /** Maximum that the plan allows. */
  readonly limit?: number;
  readonly tierName?: string;
  /** Invalid fields of the request, each with the reason. */
  readonly fieldViolations?: readonly { readonly field: string; readonly description: string }[];
}

export interface ErrorParts {
  errorCode: string;
  kind: ErrorKind;
  message: string;
  details?: ErrorDetails;
  requestId?: string | undefined;
  retryAfter?: number | undefined;
  cause?: unknown;
}

/** An error from the server or the connection. `message` is for people; programs use `errorCode`. */
export class RunyardError extends Error {
  /**
   * A stable code, such as AGENT_RUN_LIMIT_EXCEEDED. docs/errors.md lists the codes. CONNECTION_LOST comes from the
   * client.
   */
  readonly errorCode: string;
  readonly kind: ErrorKind;
  /** Typed details, such as the exceeded limit. */
  readonly details: ErrorDetails;
  /** Id of the request in the server's log; undefined if none was received. */
  readonly requestId: string | undefined;
  /** The server's retry delay in seconds; undefined if none was sent. */
  readonly retryAfter: number | undefined;

  static {
    this.prototype.name = "RunyardError";
  }

  constructor(parts: ErrorParts) {
    super(parts.message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.errorCode = parts.errorCode;
    this.kind = parts.kind;
    this.details = parts.details ?? {};
    this.requestId = parts.requestId;
    this.retryAfter = parts.retryAfter;
  }

  override toString(): string {
    return `${this.name}: ${this.errorCode}: ${this.message}`;
  }
}

/** Whether an error is a `RunyardError`, even from another copy of this package. */
export function isRunyardError(error: unknown): error is RunyardError {
  return error instanceof RunyardError || (error instanceof Error && error.name === "RunyardError" && "errorCode" in error);
}

/** Error code of a connection that broke or could not be opened. */
export const CONNECTION_LOST = "CONNECTION_LOST";

const OVER_PLAN = new Set([
  "INSUFFICIENT_CREDITS",
  "AGENT_RUN_LIMIT_EXCEEDED",
  "THREAD_LIMIT_EXCEEDED",
  "PROJECT_LIMIT_EXCEEDED",
  "AGENT_LIMIT_EXCEEDED",
]);

// Maps a gRPC code to the kind and code of an error without typed details. All other gRPC codes are internal errors.
const BARE: Partial<Record<Code, [ErrorKind, string]>> = {
  [Code.Canceled]: ["cancelled", "CANCELLED"],
  [Code.InvalidArgument]: ["invalid", "INVALID_REQUEST"],
  [Code.OutOfRange]: ["invalid", "INVALID_REQUEST"],
  [Code.DeadlineExceeded]: ["expired", "DEADLINE_EXCEEDED"],
  [Code.NotFound]: ["missing", "NO_SUCH_PATH"],
  [Code.AlreadyExists]: ["existing", "CONFLICT"],
  [Code.PermissionDenied]: ["forbidden", "PERMISSION_DENIED"],
  [Code.ResourceExhausted]: ["throttled", "THROTTLED"],
  [Code.FailedPrecondition]: ["conflicting", "CONFLICT"],
  [Code.Aborted]: ["contended", "CONTENDED"],
  [Code.Unimplemented]: ["unimplemented", "UNIMPLEMENTED"],
  [Code.Unavailable]: ["unavailable", "UNAVAILABLE"],
  [Code.Unauthenticated]: ["unauthenticated", "NOT_AUTHENTICATED"],
};

function kindOf(reason: string, bare: ErrorKind): ErrorKind {
  if (OVER_PLAN.has(reason)) {
    return "over_plan";
  }
  switch (reason) {
    case "MODEL_ACCESS_DENIED":
      return "not_in_plan";
    case "TOO_LARGE":
      return "too_large";
    default:
      return bare;
  }
}

/** Converts any value thrown by a call to a `RunyardError`. */
export function fromTransport(thrown: unknown, baseUrl: string): RunyardError {
  if (thrown instanceof RunyardError) {
    return thrown;
  }
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema)[0];
  const requestId = error.metadata.get("x-request-id") ?? undefined;
  const status = info ? undefined : strangeStatus(error);
  if (!info && isLost(error)) {
    const message = status === undefined ? lostMessage(error, baseUrl) : statusMessage(status, baseUrl);
    return new RunyardError({ errorCode: CONNECTION_LOST, kind: "unavailable", message, requestId, cause: error.cause });
  }
  if (!info && isStranger(error)) {
    const message = status === undefined ? `${baseUrl} is not a Runyard server` : statusMessage(status, baseUrl);
    return new RunyardError({ errorCode: "UNIMPLEMENTED", kind: "unimplemented", message, requestId });
  }
  const [bareKind, bareCode] = BARE[error.code] ?? ["internal", "INTERNAL"];
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return new RunyardError({
    errorCode: info?.reason ?? bareCode,
    kind: kindOf(info?.reason ?? bareCode, bareKind),
    message: status === undefined ? error.rawMessage || `the server answered with ${Code[error.code]}` : statusMessage(status, baseUrl),
    details: detailsOf(error),
    requestId,
    retryAfter: delay ? Number(delay.seconds) + delay.nanos / 1e9 : undefined,
  });
}

// Whether the connection failed: `fetch` threw, a proxy answered, or the stream broke.
function isLost(error: ConnectError): boolean {
  if (error.metadata.has("grpc-status")) {
    return false;
  }
  switch (error.code) {
    case Code.Unavailable:
    case Code.DataLoss:
      return true;
    case Code.Unknown:
    case Code.Internal:
      return error.cause !== undefined || error.rawMessage.startsWith("missing");
    default:
      return false;
  }
}

// Whether another server answered: the response is not gRPC-Web.
function isStranger(error: ConnectError): boolean {
  const codes = [Code.InvalidArgument, Code.Unknown, Code.Internal, Code.Unimplemented];
  return !error.metadata.has("grpc-status") && codes.includes(error.code);
}

function detailsOf(error: ConnectError): ErrorDetails {
  const refusal = error.findDetails(RefusalSchema)[0];
  const violations = error.findDetails(BadRequestSchema)[0]?.fieldViolations;
  return {
    ...(refusal?.runningCount !== undefined && { runningThreadIds: refusal.runningThreadIds, runningCount: refusal.runningCount }),
    ...(refusal?.currentCount !== undefined && { currentCount: refusal.currentCount }),
    ...(refusal?.limit !== undefined && { limit: refusal.limit }),
    ...(refusal?.tierName !== undefined && { tierName: refusal.tierName }),
    ...(violations?.length && {
      fieldViolations: violations.map(({ field, description }) => ({ field, description })),
    }),
  };
}

/** Whether an error is temporary, so that a retry may succeed. */
export function isPassing(error: unknown): error is RunyardError {
  return error instanceof RunyardError && (error.kind === "unavailable" || error.kind === "throttled");
}

/** Returns the error for an invalid argument that is found before the call. */
export function invalid(message: string): RunyardError {
  return new RunyardError({ errorCode: "INVALID_REQUEST", kind: "invalid", message });
}
