// The budget of each thread's last run, kept in this browser until the user signs out.
import { type BudgetText, NO_BUDGET, countSet } from "../view/budget";
import { readStored, writeStored } from "./stored";

const KEY = "runyard.budgets";
/** Maximum number of threads whose budget is kept. */
const MAX_THREADS = 200;

type Kept = [threadId: string, budget: BudgetText];

export function budgetOf(threadId: string): BudgetText {
  return { ...NO_BUDGET, ...all().find(([id]) => id === threadId)?.[1] };
}

/** Keeps the budget of a thread, or forgets it if no limit is set. */
export function keepBudget(threadId: string, budget: BudgetText): void {
  const others = all().filter(([id]) => id !== threadId);
  const kept: Kept[] = countSet(budget) > 0 ? [[threadId, budget], ...others] : others;
  writeStored(KEY, kept.length > 0 ? kept.slice(0, MAX_THREADS) : null);
}

export function forgetBudgets(): void {
  writeStored(KEY, null);
}

function all(): Kept[] {
  const stored = readStored(KEY);
  return Array.isArray(stored) ? (stored as Kept[]).filter((each) => Array.isArray(each) && each.length === 2) : [];
}
