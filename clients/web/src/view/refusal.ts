// Refusals and failures in words: what happened, and what can be done about it.
import { counted } from "./format";

/** What is known of a refusal. */
export interface Refused {
  errorCode: string;
  message: string;
  facts?: {
    runningThreadIds?: readonly string[];
    runningCount?: number;
    currentCount?: number;
    limit?: number;
    tierName?: string;
  };
  requestId?: string;
  /** Seconds. */
  retryAfter?: number;
}

/** A refusal in words. */
export interface Explained {
  title: string;
  text: string;
  links: { label: string; to: string }[];
  /** Whether the same thing may go through when it is tried again. */
  again: boolean;
  requestId: string | null;
  /** What the operator of the server can do, when a plan refused. */
  operator: Code[] | null;
}

/** Words, and in between what is typed or set. */
export type Code = string | { code: string };

/** How the operator of a server changes the plan of an account. */
export const CHANGE_PLAN: Code[] = [
  "Is this your server? ",
  { code: "runyard tier pro" },
  " changes your plan, and ",
  { code: "RUNYARD_LIMITS=off" },
  " turns plans off.",
];
const NO_PLANS: Code[] = ["Is this your server? ", { code: "RUNYARD_LIMITS=off" }, " turns plans off."];

/** Puts a refusal into words. */
export function explain(refused: Refused): Explained {
  return { ...inWords(refused), operator: forOperator(refused.errorCode) };
}

/** What the operator of a server can do about a refusal. */
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

function inWords(refused: Refused): Omit<Explained, "operator"> {
  const facts = refused.facts ?? {};
  const plan = facts.tierName ? `The ${facts.tierName} plan` : "Your plan";
  const threads = facts.runningThreadIds ?? [];
  const made = (title: string, text: string, links: Explained["links"] = [], again = false): Omit<Explained, "operator"> => ({
    title,
    text,
    links,
    again,
    requestId: null,
  });
  const allows = (noun: string) =>
    facts.limit === undefined ? `${plan} allows no more ${noun}s.` : `${plan} allows ${counted(facts.limit, noun)}.`;
  switch (refused.errorCode) {
    case "AGENT_RUN_LIMIT_EXCEEDED": {
      const limit = facts.limit ?? 1;
      const running = facts.runningCount ?? threads.length;
      return made(
        "All of your run slots are taken",
        `${plan} runs ${limit} at a time, and ${running === 1 ? "one is" : `${running} are`} running. ` +
          "Wait for a run to end, or stop one.",
        [
          ...threads.slice(0, 3).map((id, at) => ({
            label: threads.length === 1 ? "Open the running thread" : `Open running thread ${at + 1}`,
            to: `/threads/${id}`,
          })),
          { label: "See all runs", to: "/runs" },
        ],
        true,
      );
    }
    case "INSUFFICIENT_CREDITS":
      return made(
        "No credits left",
        "A run needs credits to start. You get new ones next month, or from the operator of this server.",
        [{ label: "See the account", to: "/account" }],
      );
    case "THREAD_LIMIT_EXCEEDED":
      return made("No more threads", `${allows("thread")} Delete one that you do not need.`, [
        { label: "See threads", to: "/threads" },
      ]);
    case "PROJECT_LIMIT_EXCEEDED":
      return made(
        "No more projects",
        `${allows("project")} Delete one with its threads, or continue in an existing thread.`,
        [{ label: "See threads", to: "/threads" }],
      );
    case "AGENT_LIMIT_EXCEEDED":
      return made("No more agents", `${allows("agent")} Delete one that you do not need.`, [
        { label: "See agents", to: "/agents" },
      ]);
    case "MODEL_ACCESS_DENIED":
      return made("This model is not in your plan", `${plan} does not include it. Choose another model.`, [
        { label: "See the plan's models", to: "/account" },
      ]);
    case "THREAD_BUSY":
      return made("The thread has a running run", "Wait until it ends, queue the new run behind it, or interrupt it.", [], true);
    case "TOO_LARGE":
      return made("Too large", sentence(refused.message));
    case "THROTTLED":
      return made(
        "Too many requests",
        refused.retryAfter ? `Try again in ${counted(Math.ceil(refused.retryAfter), "second")}.` : "Try again in a moment.",
        [],
        true,
      );
    case "NOT_AUTHENTICATED":
      return made("The token is not valid", "It may have expired. Sign in with a new one.");
    case "PERMISSION_DENIED":
      return made("Not allowed", "This token lacks the role or scope for that.");
    case "CONNECTION_LOST":
    case "UNAVAILABLE":
      return made("The server cannot be reached", "It may be starting. Nothing is lost; try again in a moment.", [], true);
    case "DEADLINE_EXCEEDED":
      return made("The server took too long", "Try again in a moment.", [], true);
    case "CONTENDED":
      return made("It changed in the meantime", "Load it again and repeat your change.", [], true);
    case "INTERNAL":
      return {
        ...made("Something went wrong on the server", "The server's log names the cause next to this request id.", [], true),
        requestId: refused.requestId ?? null,
      };
    default:
      return made(title(refused.errorCode), sentence(refused.message));
  }
}

/** Why a run failed, in words. */
export function explainFailure(code: string | null, message: string | null): string {
  switch (code) {
    case "MODEL_CREDENTIALS_REFUSED":
      return "The model's provider refused the server's key. The operator of this server has to check it.";
    case "MODEL_UNAVAILABLE":
      return "The model could not be reached. Start the run again in a moment.";
    case "MODEL_STREAM_BROKEN":
      return "The model's answer broke off. What arrived is kept. Continue the thread to go on.";
    case "MODEL_CONTEXT_EXCEEDED":
      return "The conversation is too long for this model. Start a new thread, or choose a model with a larger window.";
    case "MODEL_EMPTY_ANSWER":
      return "The model gave an empty answer twice. Rephrase the task, or choose another model.";
    case "RUN_TIMEOUT":
      return "The run reached its time limit. Continue the thread to go on from here.";
    case "TOKEN_BUDGET_EXHAUSTED":
      return "The run reached its token limit. Continue the thread to go on from here.";
    case "INSUFFICIENT_CREDITS":
      return "The credits ran out while the run was working.";
    default:
      return message ? sentence(message) : "The run failed.";
  }
}

function title(code: string): string {
  const words = code.toLowerCase().replaceAll("_", " ");
  return words ? words[0]!.toUpperCase() + words.slice(1) : "That did not work";
}

function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return "The server gave no reason.";
  const started = trimmed[0]!.toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(started) ? started : `${started}.`;
}
