// The accounts that an administrator sees, and the search among them.
import type { Account as WireAccount, UsageEntry as WireEntry } from "@runyard/client/proto";

export interface AdminAccount {
  accountId: string;
  /** Empty for an account whose tokens this server signs. */
  issuer: string;
  subject: string;
  tierName: string;
  credits: number;
  createdAt: number | null;
  lastActiveAt: number | null;
  suspendedAt: number | null;
  suspendedReason: string;
}

/** A model call of an account. */
export interface AdminCharge {
  runId: string;
  step: number;
  modelName: string;
  inputTokens: number;
  outputTokens: number;
  credits: number;
  estimated: boolean;
  createdAt: number | null;
}

/** A search has one filter. */
export type AdminFilter = "all" | "account" | "tier" | "suspended" | "active" | "inactive";

export interface AdminSearch {
  by: AdminFilter;
  /** An id, the beginning of a subject, or a tier. */
  text: string;
  /** A day such as 2026-11-28. */
  day: string;
}

export const EVERYTHING: AdminSearch = { by: "all", text: "", day: "" };

interface WireTime {
  seconds: bigint;
  nanos: number;
}

function timeOf(stamp: WireTime | undefined): number | null {
  return stamp ? Number(stamp.seconds) * 1000 + Math.floor(stamp.nanos / 1_000_000) : null;
}

export function accountOf(wire: WireAccount): AdminAccount {
  const { accountId, issuer, subject, tierName, credits, suspendedReason } = wire;
  return {
    accountId,
    issuer,
    subject,
    tierName,
    credits,
    createdAt: timeOf(wire.createdAt),
    lastActiveAt: timeOf(wire.lastActiveAt),
    suspendedAt: timeOf(wire.suspendedAt),
    suspendedReason,
  };
}

export function chargeOf(wire: WireEntry): AdminCharge {
  const { agentRunId, step, modelName, credits, estimated } = wire;
  return {
    runId: agentRunId,
    step,
    modelName,
    inputTokens: Number(wire.inputTokens),
    outputTokens: Number(wire.outputTokens),
    credits,
    estimated,
    createdAt: timeOf(wire.createdAt),
  };
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** The filter of the request. Null while the search lacks its text or its day. */
export function filterOf({ by, text, day }: AdminSearch): Record<string, unknown> | null {
  const wanted = text.trim();
  const start = Date.parse(`${day}T00:00:00`);
  const time = Number.isNaN(start) ? null : { seconds: BigInt(Math.floor(start / 1000)), nanos: 0 };
  switch (by) {
    case "all":
      return {};
    case "account":
      return wanted === "" ? null : { subjectPrefix: wanted };
    case "tier":
      return wanted === "" ? null : { tierName: wanted };
    case "suspended":
      return { suspended: true };
    case "active":
      return time && { activeAfter: time };
    case "inactive":
      return time && { activeBefore: time };
  }
}

/** Replaces a changed account in a list. */
export function withAccount(list: readonly AdminAccount[], changed: AdminAccount): readonly AdminAccount[] {
  return list.map((account) => (account.accountId === changed.accountId ? changed : account));
}

/** Credits of a grant: a whole number from 1 to 1,000,000,000. Null for other text. */
export function grantOf(text: string): number | null {
  const trimmed = text.trim();
  if (!/^\d{1,10}$/.test(trimmed)) return null;
  const credits = Number(trimmed);
  return credits >= 1 && credits <= 1_000_000_000 ? credits : null;
}
