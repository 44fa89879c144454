// Tests of the search of an administrator among accounts, and of the numbers that the page accepts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EVERYTHING, accountOf, filterOf, grantOf, isUuid, withAccount } from "../src/view/administration";
import { parse } from "../src/router";

test("a search sends one filter, and none while its text or day is missing", () => {
  assert.deepEqual(filterOf(EVERYTHING), {});
  assert.deepEqual(filterOf({ ...EVERYTHING, by: "account", text: " ann " }), { subjectPrefix: "ann" });
  assert.deepEqual(filterOf({ ...EVERYTHING, by: "tier", text: "pro" }), { tierName: "pro" });
  assert.deepEqual(filterOf({ ...EVERYTHING, by: "suspended", text: "ignored" }), { suspended: true });
  const seconds = BigInt(new Date(2026, 10, 28).getTime() / 1000);
  assert.deepEqual(filterOf({ ...EVERYTHING, by: "active", day: "2026-11-28" }), { activeAfter: { seconds, nanos: 0 } });
  assert.deepEqual(filterOf({ ...EVERYTHING, by: "inactive", day: "2026-11-28" }), { activeBefore: { seconds, nanos: 0 } });
  for (const by of ["account", "tier", "active", "inactive"] as const) {
    assert.equal(filterOf({ ...EVERYTHING, by, text: "  " }), null, by);
  }
});

test("a grant is a whole number of credits within the limits of the server", () => {
  assert.deepEqual(["1", " 500 ", "1000000000"].map(grantOf), [1, 500, 1_000_000_000]);
  assert.deepEqual(["", "0", "-5", "1.5", "1e3", "1000000001", "99999999999", "ten"].map(grantOf), Array(8).fill(null));
});

test("times and numbers of an account are converted, and a change replaces one account of a list", () => {
  const wire = { accountId: "a", issuer: "", subject: "ann", tierName: "pro", credits: 2.5, microcredits: 2_500_000n, suspendedReason: "" };
  const stamp = { seconds: 1_795_000_000n, nanos: 500_000_000 };
  const account = accountOf({ ...wire, createdAt: stamp, lastActiveAt: stamp } as never);
  assert.deepEqual([account.createdAt, account.lastActiveAt, account.suspendedAt], [1_795_000_000_500, 1_795_000_000_500, null]);
  const other = { ...account, accountId: "b" };
  const changed = { ...account, tierName: "free" };
  assert.deepEqual(withAccount([account, other], changed), [changed, other]);
});

test("the addresses of the page are parsed", () => {
  assert.deepEqual(parse("/administration"), { screen: "administration", accountId: null });
  assert.deepEqual(parse("/administration/a"), { screen: "administration", accountId: "a" });
  assert.deepEqual(parse("/administration/a/b"), { screen: "missing" });
  assert.ok(isUuid("01a20050-c1be-76d7-b592-ba985a8be29d"));
  assert.ok(!isUuid("ann") && !isUuid("01a20050-c1be-76d7-b592-ba985a8be29d-more"));
});
