// The budget of a run as text fields: what the user enters, and the faults that the server reports.
import type { ErrorDetails } from "@runyard/client";

export type BudgetField = "maxSteps" | "maxSeconds" | "maxCredits";
/** The text of each field. An empty field sets no limit. */
export type BudgetText = Record<BudgetField, string>;
export type BudgetFaults = Partial<Record<BudgetField, string>>;

export const NO_BUDGET: BudgetText = { maxSteps: "", maxSeconds: "", maxCredits: "" };

/** The fields, with their names in the API. */
export const BUDGET_FIELDS: readonly { name: BudgetField; wireName: string; label: string }[] = [
  { name: "maxSteps", wireName: "max_steps", label: "Model calls" },
  { name: "maxSeconds", wireName: "max_seconds", label: "Seconds" },
  { name: "maxCredits", wireName: "max_credits", label: "Credits" },
];

/** Maximum of a 32-bit integer, the type of the steps and seconds in the API. */
const MAX_INTEGER = 2 ** 31 - 1;

export function countSet(text: BudgetText): number {
  return BUDGET_FIELDS.filter(({ name }) => text[name].trim() !== "").length;
}

/** Returns the limits, or the faults if a field is not a number. The server checks the range. */
export function readBudget(text: BudgetText): { budget: Partial<Record<BudgetField, number>> } | { faults: BudgetFaults } {
  const budget: Partial<Record<BudgetField, number>> = {};
  const faults: BudgetFaults = {};
  for (const { name } of BUDGET_FIELDS) {
    const entered = text[name].trim();
    if (entered === "") continue;
    const value = Number(entered);
    if (!Number.isFinite(value)) faults[name] = "Enter a number.";
    else if (name !== "maxCredits" && !Number.isInteger(value)) faults[name] = "Enter a whole number.";
    else if (name !== "maxCredits" && Math.abs(value) > MAX_INTEGER) faults[name] = "This number is too large.";
    else budget[name] = value;
  }
  return Object.keys(faults).length > 0 ? { faults } : { budget };
}

/** Returns the faults that the server found in the budget; null if the error concerns other fields. */
export function budgetFaults(details: ErrorDetails): BudgetFaults | null {
  const faults: BudgetFaults = {};
  for (const { field, description } of details.fieldViolations ?? []) {
    const found = BUDGET_FIELDS.find(({ wireName }) => wireName === field);
    if (found) faults[found.name] = sentence(description.replace(`${field} `, ""));
  }
  return Object.keys(faults).length > 0 ? faults : null;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
