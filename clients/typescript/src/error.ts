// Errors: what the service refuses, and what happens on the way to it. Nothing here ever holds the token.

import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./generated/google/rpc/error_details_pb.js";
import { RefusalSchema } from "./generated/runyard/v1/errors_pb.js";

/** What an error means for the caller. */
export type ErrorKind =
  /** The request is wrong and will be wrong again. */
  | "invalid"
  /** There is no valid token. */
  | "unauthenticated"
  /** A role or scope is missing. */
  | "forbidden"
  /** There is no such thing, or it is another account's. */
  | "missing"
  /** There is such a thing already. */
  | "existing"
  /** The state of the thing does not allow it. */
  | "conflicting"
  /** Somebody else was faster; trying again may work. */
  | "contended"
  /** The plan does not allow more. */
  | "over_plan"
  /** The plan does not include the model. */
  | "not_in_plan"
  /** Too many requests. */
  | "throttled"
  /** The request is too large. */
  | "too_large"
  /** The server, or something that it needs, is away for now. */
  | "unavailable"
  /** The deadline has passed. */
  | "expired"
  /** The call was cancelled. */
  | "cancelled"
  /** This server does not serve the method. */
  | "unimplemented"
  /** The server's fault. */
  | "internal";

/** The typed facts of an error; each is there only when it says something. */
export interface ErrorFacts {
  /** The threads that hold the caller's running slots. */
  readonly runningThreadIds?: readonly string[];
  /** How many runs the caller has running. */
  readonly runningCount?: number;
  /** How many of the limited things the caller has. */
  readonly currentCount?: number;
  /** The limit of the plan. */
  readonly limit?: number;
  /** The caller's tier. */
  readonly tierName?: string;
  /** Which fields of the request are wrong, and why. */
  readonly fieldViolations?: readonly { readonly field: string; readonly description: string }[];
}

/** What a `RunyardError` is made of. */
export interface ErrorParts {
  errorCode: string;
  kind: ErrorKind;
  message: string;
  facts?: ErrorFacts;
  requestId?: string | undefined;
  retryAfter?: number | undefined;
  cause?: unknown;
}

/** A refusal of the service, or a failure on the way to it. `message` is a sentence for people; `errorCode` is stable. */
export class RunyardError extends Error {
  /** The stable code, such as AGENT_RUN_LIMIT_EXCEEDED; docs/errors.md lists them. CONNECTION_LOST is made here. */
  readonly errorCode: string;
  /** What it means for the caller. */
  readonly kind: ErrorKind;
  /** The typed facts. */
  readonly facts: ErrorFacts;
  /** The request, as the server's log names it. */
  readonly requestId: string | undefined;
  /** After how many seconds trying again makes sense, when the server said so. */
  readonly retryAfter: number | undefined;

  static {
    this.prototype.name = "RunyardError";
  }

  constructor(parts: ErrorParts) {
    super(parts.message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.errorCode = parts.errorCode;
    this.kind = parts.kind;
    this.facts = parts.facts ?? {};
    this.requestId = parts.requestId;
    this.retryAfter = parts.retryAfter;
  }

  /** The code and the sentence. */
  override toString(): string {
    return `${this.name}: ${this.errorCode}: ${this.message}`;
  }
}

/** Whether an error is one of ours, whichever copy of this package made it. */
export function isRunyardError(error: unknown): error is RunyardError {
  return error instanceof RunyardError || (error instanceof Error && error.name === "RunyardError" && "errorCode" in error);
}

/** The connection broke or was never made. */
export const CONNECTION_LOST = "CONNECTION_LOST";

const OVER_PLAN = new Set([
  "INSUFFICIENT_CREDITS",
  "AGENT_RUN_LIMIT_EXCEEDED",
  "THREAD_LIMIT_EXCEEDED",
  "PROJECT_LIMIT_EXCEEDED",
  "AGENT_LIMIT_EXCEEDED",
]);

// The kind and the code of an error that brings neither.
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

/** Whatever a call of the transport threw, as an error of ours. */
export function fromTransport(thrown: unknown, baseUrl: string): RunyardError {
  if (thrown instanceof RunyardError) {
    return thrown;
  }
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema)[0];
  const requestId = error.metadata.get("x-request-id") ?? undefined;
  if (!info && isLost(error)) {
    const message = `the connection to ${baseUrl} is lost or cannot be made`;
    return new RunyardError({ errorCode: CONNECTION_LOST, kind: "unavailable", message, requestId, cause: error.cause });
  }
  if (!info && isStranger(error)) {
    const message = `what answers at ${baseUrl} is no Runyard server: ${error.rawMessage}`;
    return new RunyardError({ errorCode: "UNIMPLEMENTED", kind: "unimplemented", message, requestId });
  }
  const [bareKind, bareCode] = BARE[error.code] ?? ["internal", "INTERNAL"];
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return new RunyardError({
    errorCode: info?.reason ?? bareCode,
    kind: kindOf(info?.reason ?? bareCode, bareKind),
    message: error.rawMessage || `the server answered with ${Code[error.code]}`,
    facts: factsOf(error),
    requestId,
    retryAfter: delay ? Number(delay.seconds) + delay.nanos / 1e9 : undefined,
  });
}

// What did not come from the server: fetch threw, a proxy answered, or the stream ended in the middle.
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

// An answer that is not one of gRPC-Web.
function isStranger(error: ConnectError): boolean {
  const codes = [Code.InvalidArgument, Code.Unknown, Code.Internal, Code.Unimplemented];
  return !error.metadata.has("grpc-status") && codes.includes(error.code);
}

function factsOf(error: ConnectError): ErrorFacts {
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

/** Whether trying again later may work without anybody doing anything. */
export function isPassing(error: unknown): error is RunyardError {
  return error instanceof RunyardError && (error.kind === "unavailable" || error.kind === "throttled");
}

/** A mistake that this package finds before it asks the server. */
export function invalid(message: string): RunyardError {
  return new RunyardError({ errorCode: "INVALID_REQUEST", kind: "invalid", message });
}
