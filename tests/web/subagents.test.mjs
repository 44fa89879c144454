// Tests the runs of subagents in Chromium with a real server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const yard = setUp();

/** A call of the tool `task`, in the language of the scripted model, which would make a newline of `\n`. */
const task = (agent, prompt) => `call: task | ${JSON.stringify({ agent, prompt }).replaceAll("\\n", "\\u000a")}`;

for (const colorScheme of ["light", "dark"]) {
  test(`the card of a task shows its subagent, and the threads are linked, in ${colorScheme} colours`, LIMIT, async () => {
    const { token, client } = await yard.account();
    await client.agents.create({ name: "Researcher" });
    const lead = await client.agents.create({ name: "Lead", agentpressTools: { task: { enabled: true } } });
    const visited = await yard.begin({ colorScheme });
    const { page } = visited;
    await visited.signIn(token, `#/agents/${lead.agentId}`);
    await visited.until("the tool is switched on", () => page.getByRole("switch", { name: /^task/ }).isChecked());
    const run = await client.agents.run({ agentId: lead.agentId, prompt: `${task("Researcher", "bash: echo hi\nsay: Found it.")}\nsay: Thanks.` });
    await visited.go(`#/threads/${run.threadId}`);
    await visited.run("completed").getByText("Thanks.").waitFor();
    const steps = page.getByRole("list", { name: "Steps of the run" }).first();
    const card = steps.getByRole("button", { name: /^task Researcher/ });
    await visited.screenshot(`subagent-closed-${colorScheme}`);
    if ((await card.getAttribute("aria-expanded")) === "false") {
      await card.click();
    }
    const subagent = page.getByRole("region", { name: "Subagent Researcher, completed" });
    await subagent.getByText("Found it.", { exact: true }).waitFor();
    await subagent.getByRole("button", { name: /^bash/ }).waitFor();
    await visited.screenshot(`subagent-${colorScheme}`);
    await visited.audit("a subagent");
    await page.setViewportSize(PHONE);
    await checkLayout(page, "a subagent on a phone");
    await visited.screenshot(`subagent-phone-${colorScheme}`);
    await subagent.getByRole("link", { name: "Open thread" }).click();
    await visited.run("completed").getByText("Found it.", { exact: true }).waitFor();
    await page.getByText("Started by another agent.").waitFor();
    await page.getByRole("button", { name: "Open its thread" }).click();
    await visited.run("completed").getByText("Thanks.").waitFor();
    await visited.go("#/threads");
    await page.getByRole("heading", { level: 2, name: "Today" }).waitFor();
    assert.equal(await page.getByRole("main").locator(".thread-row").count(), 1, "the thread of the subagent is not listed");
    await visited.end();
  });
}
