// Tests the composer in Chromium with a real server: the options of a run, the agent, and the keys.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const yard = setUp();

async function account() {
  const { token } = await yard.account();
  return { token, client: new Runyard({ baseUrl: yard.server.url, token }) };
}

async function visit(doing, options = {}) {
  const visited = await yard.begin(options);
  await visited.attempt(async () => {
    await doing(visited, visited.page);
  });
  // Chromium logs a refused start as a failed request.
  await visited.end(/status of 400/);
}

test("a run gets the limits of its options, which the thread keeps", LIMIT, async () => {
  const { token, client } = await account();
  await visit(async (visited, page) => {
    const options = page.getByRole("button", { name: /^Options/ });
    const field = (name) => page.getByRole("textbox", { name, exact: true });
    await visited.signIn(token);
    await options.click();
    await visited.screenshot("run-options");
    await visited.audit("the options of a run");
    await checkLayout(page, "the options of a run");
    await field("Model calls").fill("many");
    await visited.start("bash: true\nbash: true\nsay: The end.");
    await page.getByRole("alert").getByText("Enter a number.").waitFor();
    await field("Model calls").fill("0");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("alert").getByText("Must be at least 1.").waitFor();
    await visited.until("the field has the focus", () => field("Model calls").evaluate((input) => input === document.activeElement));
    await visited.screenshot("run-options-refused");
    await visited.audit("refused options");
    await field("Model calls").fill("2");
    await field("Credits").fill("12.5");
    await page.keyboard.press("Enter");
    await field("Model calls").waitFor({ state: "hidden" });
    await page.keyboard.press("Control+Enter");
    await visited.run("stopped").getByText("The run used its budget.").waitFor();
    await page.reload();
    await options.filter({ hasText: "2" }).click();
    assert.deepEqual(await Promise.all(["Model calls", "Seconds", "Credits"].map((name) => field(name).inputValue())), ["2", "", "12.5"]);
    await visited.screenshot("run-options-thread");
    await page.setViewportSize(PHONE);
    await checkLayout(page, "the options of a run on a phone");
    await visited.screenshot("run-options-phone");
    // A thread without limits keeps nothing.
    await field("Model calls").fill("");
    await field("Credits").fill("");
    await visited.start("say: Free.");
    await visited.run("completed").getByText("Free.").waitFor();
    assert.equal(await page.evaluate(() => localStorage.length), 0);
  });
  assert.deepEqual((await client.runs.list().all()).map((run) => run.stopReason), [undefined, "budget"]);
});

test("a thread continues with the agent of its last run", LIMIT, async () => {
  const { token, client } = await account();
  await client.agents.create({ name: "First", isDefault: true });
  const [second, third] = await Promise.all(["Second", "Third"].map((name) => client.agents.create({ name })));
  const run = await client.agents.run({ prompt: "say: One.", agentId: second.agentId });
  await run.wait();
  const gone = await client.agents.run({ prompt: "say: One.", agentId: third.agentId });
  await gone.wait();
  await visit(async (visited, page) => {
    const agent = page.getByRole("combobox", { name: "Agent" });
    const shown = () => agent.evaluate((select) => select.selectedOptions[0].label);
    await visited.signIn(token, `#/threads/${run.threadId}`);
    await visited.until("the agent of the last run is selected", async () => (await shown()) === "Second");
    await visited.start("say: Two.");
    await visited.run("completed").getByText("Two.").waitFor();
    await agent.selectOption({ label: "First (default)" });
    await visited.start("say: Three.");
    await visited.run("completed").getByText("Three.").waitFor();
    // A deleted agent cannot do the next run.
    await client.agents.delete(third.agentId);
    await page.reload();
    await visited.go(`#/threads/${gone.threadId}`);
    await visited.run("completed").getByText("One.").waitFor();
    await visited.until("the default agent is selected", async () => (await shown()) === "First (default)");
    await visited.start("say: Four.");
    await visited.run("completed").getByText("Four.").waitFor();
  });
  const names = new Map((await client.agents.list().all()).map(({ agentId, name }) => [agentId, name]));
  const used = async (threadId) => (await client.runs.list({ threadId }).all()).map(({ agentId }) => names.get(agentId) ?? "gone");
  assert.deepEqual(await used(run.threadId), ["First", "Second", "Second"]);
  assert.deepEqual(await used(gone.threadId), ["First", "gone"]);
});

test("a new agent can ask questions if its form says so", LIMIT, async () => {
  const { token, client } = await account();
  await visit(async (visited, page) => {
    for (const name of ["Quiet", "Curious"]) {
      await visited.signIn(token, "#/agents/new");
      await page.getByRole("textbox", { name: "Name", exact: true }).fill(name);
      const asks = page.getByRole("switch", { name: /^ask_user/ });
      assert.equal(await asks.isChecked(), false);
      if (name === "Curious") {
        await asks.check();
      }
      await page.getByRole("button", { name: "Create agent" }).click();
      await page.getByRole("heading", { level: 1, name }).waitFor();
      await visited.until("the form shows the choice", async () => (await asks.isChecked()) === (name === "Curious"));
    }
  });
  for (const { agentId, name } of await client.agents.list().all()) {
    const { tools } = await client.agents.listTools(agentId);
    assert.equal(tools.find((tool) => tool.name === "ask_user").enabled, name === "Curious", name);
  }
});
