// Explains error codes to the user.
import { counted } from "./format";

export interface Refused {
  errorCode: string;
  message: string;
  details?: {
    runningThreadIds?: readonly string[];
    runningCount?: number;
    currentCount?: number;
    limit?: number;
    tierName?: string;
  };
  requestId?: string;
  /** The server's retry delay in seconds. */
  retryAfter?: number;
}

export interface Explained {
  title: string;
  text: string;
  links: { label: string; to: string }[];
  /** Whether a retry may succeed. */
  again: boolean;
  requestId: string | null;
  /** Advice to the operator of the server on lifting a plan limit; null for other errors. */
  operator: Code[] | null;
}

export type Code = string | { code: string };

/** Advice to the operator of the server on changing or turning off plans. */
export const CHANGE_PLAN: Code[] = [
  "If you run this server: ",
  { code: "runyard tier pro" },
  " changes your plan, and ",
  { code: "RUNYARD_LIMITS=off" },
  " turns plans off.",
];
/** The code of a request that failed because the token has expired and is not renewed yet. */
export const RENEWAL_PENDING = "RENEWAL_PENDING";
/** The server does not say whether a missing object ever existed. */
const GONE = "It may have been deleted, or it belongs to another account.";
const NO_PLANS: Code[] = ["If you run this server: ", { code: "RUNYARD_LIMITS=off" }, " turns plans off."];

export function explain(refused: Refused): Explained {
  return { ...describe(refused), operator: forOperator(refused.errorCode) };
}

function forOperator(errorCode: string): Code[] | null {
  switch (errorCode) {
    case "AGENT_RUN_LIMIT_EXCEEDED":
    case "THREAD_LIMIT_EXCEEDED":
    case "PROJECT_LIMIT_EXCEEDED":
    case "AGENT_LIMIT_EXCEEDED":
    case "MODEL_ACCESS_DENIED":
      return CHANGE_PLAN;
    case "INSUFFICIENT_CREDITS":
      return NO_PLANS;
    default:
      return null;
  }
}

function describe(refused: Refused): Omit<Explained, "operator"> {
  const details = refused.details ?? {};
  const plan = details.tierName ? `The ${details.tierName} plan` : "Your plan";
  const threads = details.runningThreadIds ?? [];
  const message = (title: string, text: string, links: Explained["links"] = [], again = false): Omit<Explained, "operator"> => ({
    title,
    text,
    links,
    again,
    requestId: null,
  });
  const allows = (noun: string) =>
    details.limit === undefined ? `${plan} allows no more ${noun}s.` : `${plan} allows ${counted(details.limit, noun)}.`;
  switch (refused.errorCode) {
    case "AGENT_RUN_LIMIT_EXCEEDED": {
      const limit = details.limit ?? 1;
      const running = details.runningCount ?? threads.length;
      return message(
        "Run limit reached",
        `${plan} allows ${counted(limit, "concurrent run")}, and ${running === 1 ? "one is" : `${running} are`} running. ` +
          "Wait for a run to end, or stop one.",
        [
          ...threads.slice(0, 3).map((id, at) => ({
            label: threads.length === 1 ? "Open the running thread" : `Open running thread ${at + 1}`,
            to: `/threads/${id}`,
          })),
          { label: "View all runs", to: "/runs" },
        ],
        true,
      );
    }
    case "INSUFFICIENT_CREDITS":
      return message(
        "No credits left",
        "A run needs credits to start. You get new credits next month. Your administrator can also add some.",
        [{ label: "View account", to: "/account" }],
      );
    case "THREAD_LIMIT_EXCEEDED":
      return message("Thread limit reached", `${allows("thread")} Delete a thread you no longer need.`, [
        { label: "View threads", to: "/threads" },
      ]);
    case "PROJECT_LIMIT_EXCEEDED":
      return message(
        "Project limit reached",
        `${allows("project")} Continue in an existing thread, or delete a project over the API.`,
        [{ label: "View threads", to: "/threads" }],
      );
    case "AGENT_LIMIT_EXCEEDED":
      return message("Agent limit reached", `${allows("agent")} Delete an agent you no longer need.`, [
        { label: "View agents", to: "/agents" },
      ]);
    case "MEMORY_LIMIT_EXCEEDED":
      return message("Memory limit reached", sentence(refused.message), [{ label: "View memories", to: "/memory" }]);
    case "SCHEDULE_LIMIT_EXCEEDED":
      return message("Schedule limit reached", sentence(refused.message), [{ label: "View schedules", to: "/schedules" }]);
    case "SECRET_LIMIT_EXCEEDED":
      return message("Secret limit reached", sentence(refused.message), [{ label: "View secrets", to: "/account" }]);
    case "TRIGGER_LIMIT_EXCEEDED":
      return message("Trigger limit reached", sentence(refused.message), [{ label: "View triggers", to: "/schedules" }]);
    case "SHARE_LIMIT_EXCEEDED":
      return message("Link limit reached", sentence(refused.message));
    case "WEBHOOK_LIMIT_EXCEEDED":
      return message("Webhook limit reached", sentence(refused.message), [{ label: "View webhooks", to: "/webhooks" }]);
    case "MODEL_ACCESS_DENIED":
      return message("This model is not in your plan", `${plan} does not include this model. Choose another one.`, [
        { label: "View available models", to: "/account" },
      ]);
    case "THREAD_BUSY":
      return message("The thread has an active run", "Wait for it to end, queue the new run behind it, or interrupt it.", [], true);
    case "TOO_LARGE":
      return message("Too large", sentence(refused.message));
    case "THROTTLED":
      return message(
        "Limit reached",
        `${sentence(refused.message)} ` +
          (refused.retryAfter ? `Try again in ${counted(Math.ceil(refused.retryAfter), "second")}.` : "Try again in a moment."),
        [],
        true,
      );
    case "NOT_AUTHENTICATED":
      return message("The token is not valid", "It may have expired. Sign in with a new one.");
    case RENEWAL_PENDING:
      return message("Your sign-in is being renewed", "The identity provider has not answered yet. Try again in a moment.", [], true);
    case "PERMISSION_DENIED":
      return message("Not allowed", "Your token lacks the required role or scope. Sign in with another token, or ask your administrator.");
    case "CONNECTION_LOST":
      return message("The server cannot be reached", "The server may be starting. Try again in a moment.", [], true);
    case "UNAVAILABLE":
      return message("The server is temporarily unavailable", sentence(refused.message), [], true);
    case "DEADLINE_EXCEEDED":
      return message("The server took too long to respond", "Try again in a moment.", [], true);
    case "CONTENDED":
      return message("Your change conflicts with a newer change", "Reload the page and repeat your change.", [], true);
    case "INTERNAL":
      return {
        ...message(
          "Something went wrong on the server",
          refused.requestId
            ? "Give this request id to your administrator, who can find the cause in the server log."
            : "Try again. If it fails again, tell your administrator.",
          [],
          true,
        ),
        requestId: refused.requestId ?? null,
      };
    case "THREAD_NOT_FOUND":
      return message("Thread not found", GONE, [{ label: "View threads", to: "/threads" }]);
    case "AGENT_NOT_FOUND":
      return message("Agent not found", GONE, [{ label: "View agents", to: "/agents" }]);
    default:
      return message(title(refused.errorCode), sentence(refused.message));
  }
}

export function explainFailure(code: string | null, message: string | null): string {
  switch (code) {
    case "MODEL_CREDENTIALS_REFUSED":
      return "The model provider rejected the server's API key. Ask your administrator to check it.";
    case "MODEL_QUOTA_EXHAUSTED":
      return "The server has no credit left at the model provider. Ask your administrator to add some, or choose another model.";
    case "MODEL_UNKNOWN":
      return "The model provider does not know this model. Ask your administrator to correct its name, or choose another model.";
    case "MODEL_PROMPT_BLOCKED":
      return `${message ? sentence(message) : "The model provider blocked the prompt."} Rephrase the prompt and try again.`;
    case "MODEL_UNAVAILABLE":
      return "The model could not be reached. Try again in a moment.";
    case "MODEL_STREAM_BROKEN":
      return "The model's answer was cut off. The text so far is kept. Continue the thread to resume.";
    case "MODEL_CONTEXT_EXCEEDED":
      return "The conversation is too long for this model. Start a new thread or choose a model with a larger context window.";
    case "MODEL_EMPTY_ANSWER":
      return "The model returned an empty answer twice. Rephrase the task or choose another model.";
    case "RUN_TIMEOUT":
      return "The run reached its time limit. Continue the thread to resume from here.";
    case "TOKEN_BUDGET_EXHAUSTED":
      return "The run reached its token limit. Continue the thread to resume from here.";
    case "INSUFFICIENT_CREDITS":
      return "Your credits ran out during the run. You get new credits next month. Your administrator can also add some.";
    case "MODEL_REFUSED":
      return "The model provider refused to answer. Rephrase the task or choose another model.";
    default:
      return message ? sentence(message) : "The run failed, and the server gave no reason. Try again.";
  }
}

function title(code: string): string {
  const words = code.toLowerCase().replaceAll("_", " ");
  return words ? words[0]!.toUpperCase() + words.slice(1) : "The request failed";
}

function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return "The server gave no reason.";
  // A message about one field starts with the name of the field.
  const started = /^[a-z][\w.[\]]*: /.test(trimmed) ? trimmed : trimmed[0]!.toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(started) ? started : `${started}.`;
}
