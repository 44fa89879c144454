// Tests of the budget fields of the composer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_BUDGET, budgetFaults, countSet, readBudget } from "../src/view/budget";

test("empty fields set no limit, and numbers become the fields of a start", () => {
  assert.deepEqual(readBudget(NO_BUDGET), { budget: {} });
  const text = { maxSteps: " 3 ", maxSeconds: "", maxCredits: "0.25" };
  assert.deepEqual(readBudget(text), { budget: { maxSteps: 3, maxCredits: 0.25 } });
  assert.equal(countSet(text), 2);
});

test("text that the API cannot carry is a fault of its field", () => {
  assert.deepEqual(readBudget({ maxSteps: "1.5", maxSeconds: "9e12", maxCredits: "five" }), {
    faults: { maxSteps: "Enter a whole number.", maxSeconds: "This number is too large.", maxCredits: "Enter a number." },
  });
});

test("a fault that the server reports belongs to its field", () => {
  const violations = [{ field: "max_steps", description: "max_steps must be at least 1" }];
  assert.deepEqual(budgetFaults({ fieldViolations: violations }), { maxSteps: "Must be at least 1." });
  assert.equal(budgetFaults({ fieldViolations: [{ field: "prompt", description: "prompt is empty" }] }), null);
  assert.equal(budgetFaults({}), null);
});
