// Tests the inputs of waiting runs and the outputs of runs in the console, in Chromium with a real server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout, DESKTOPS, PHONES } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const QUESTION = 'call: ask_user | {"question": "Which colour should the chart have?", "choices": ["Red", "Blue"]}';
const LOOKUP = 'call: find_order | {"number": 17, "customer": "Ada"}';
const TOOL = { name: "find_order", description: "Finds an order.", parameters: { type: "object" } };

const yard = setUp();

/** A new account, with an agent that can ask questions. */
async function account() {
  const { token, client } = await yard.account();
  const { agentId } = await client.agents.create({ name: "Asks", agentpressTools: { ask_user: { enabled: true } } });
  return { token, client, agentId };
}

/** Starts a run, and waits until it waits. */
async function waiting(client, options) {
  const run = await client.agents.run(options);
  for await (const event of run) {
    if (event.type === "status" && event.status === "waiting") {
      return run;
    }
  }
  throw new Error("the run ended without waiting");
}

const title = (run) => run.threadId;

test("a question is answered with a choice in the thread, and the answer stays after a reload", LIMIT, async () => {
  const { token, client, agentId } = await account();
  const run = await waiting(client, { agentId, prompt: `${QUESTION}\nsay: A blue one.` });
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, `#/threads/${title(run)}`);
    const card = visited.run("waiting").getByRole("group", { name: "Question" });
    await card.getByText("Which colour should the chart have?").waitFor();
    await card.getByText(/^expires in 23 h/).waitFor();
    await visited.screenshot("question");
    await visited.audit("a question");
    await card.getByRole("button", { name: "Blue", exact: true }).click();
    await visited.run("completed").getByText("A blue one.").waitFor();
    await page.reload();
    await visited.run("completed").getByText("A blue one.").waitFor();
    await page.getByRole("button", { name: /^ask_user/ }).click();
    await page.getByRole("group", { name: "Question" }).getByText("Answered: Blue").waitFor();
    assert.equal(await page.getByRole("button", { name: "Red", exact: true }).count(), 0, "an answered question has no controls");
    await visited.audit("an answered question");
  });
});

test("the page of pending inputs counts, lists and answers them by keyboard", LIMIT, async () => {
  const { token, client, agentId } = await account();
  const first = await waiting(client, { agentId, prompt: `${QUESTION}\nsay: Thanks.` });
  const second = await waiting(client, { prompt: `${LOOKUP}\nsay: Found.`, tools: [TOOL] });
  await client.threads.update(first.threadId, { name: "A chart" });
  await client.threads.update(second.threadId, { name: "An order" });
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, "#/threads");
    const main = page.getByRole("navigation", { name: "Main", exact: true });
    await main.getByRole("link", { name: "Waiting for you 2 pending" }).waitFor();
    await page.getByRole("main").getByRole("link", { name: /^A chart Waiting for you/ }).waitFor();
    await page.keyboard.type("gw");
    await page.getByRole("heading", { level: 1, name: "Waiting for you" }).waitFor();
    const list = page.getByRole("list", { name: "Pending inputs, oldest first" });
    await visited.until("both inputs, oldest first", async () => (await list.getByRole("heading", { level: 2 }).allInnerTexts()).join() === "A chart,An order");
    await visited.screenshot("waiting-for-you");
    await visited.audit("pending inputs");

    // The question is answered with the keyboard only.
    const question = list.getByRole("article", { name: "A chart, ask_user" });
    await question.getByRole("textbox", { name: "Another answer" }).focus();
    await page.keyboard.type("Green");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await question.waitFor({ state: "detached" });
    await visited.until("the focus stays on the page", () => page.evaluate(() => document.activeElement.localName === "h1"));

    const order = list.getByRole("article", { name: "An order, find_order" });
    await order.getByRole("group", { name: "Arguments" }).getByText('"number": 17').waitFor();
    await order.getByRole("textbox", { name: "Result" }).fill("Order 17 is paid.");
    await order.getByRole("button", { name: "Send result" }).click();
    await page.getByText("Nothing waits for you").waitFor();
    await main.getByRole("link", { name: "Waiting for you", exact: true }).waitFor();
    await visited.audit("no pending inputs");
  });
  assert.equal((await first.wait()).status, "completed");
  assert.equal((await second.wait()).status, "completed");
  const results = [];
  for (const run of [first, second]) {
    for await (const event of run) {
      if (event.type === "input_answered") {
        results.push([event.decision, event.text]);
      }
    }
  }
  assert.deepEqual(results, [["answer", "Green"], ["result", "Order 17 is paid."]]);
});

test("a command is approved with changes, denied with a reason, and always allowed in the thread", LIMIT, async () => {
  const { token, client } = await account();
  const rules = [{ tool: "bash", decision: "ask" }, { tool: "edit", decision: "ask" }];
  const { agentId } = await client.agents.create({ name: "Careful", approvals: { rules } });
  const script = ["write: a.txt | one\\ntwo\\n", "bash: rm a.txt", "bash: sudo reboot", "edit: a.txt | two | three", "bash: cat a.txt", "bash: cat a.txt", "say: Ready."];
  const run = await waiting(client, { agentId, prompt: script.join("\n") });
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, `#/threads/${title(run)}`);
    const card = visited.run("waiting").getByRole("group", { name: "Approval needed" }).last();
    await card.getByRole("group", { name: "Command" }).getByText("rm a.txt").waitFor();
    await visited.screenshot("approval");
    await visited.audit("an approval");
    await card.getByRole("button", { name: "Edit" }).click();
    await card.getByRole("textbox", { name: "command" }).fill("wc -l a.txt");
    await visited.screenshot("approval-edited");
    await card.getByRole("button", { name: "Approve with changes" }).click();

    await card.getByRole("group", { name: "Command" }).getByText("sudo reboot").waitFor();
    const edited = page.getByRole("button", { name: /^bash wc -l a\.txt approved with changes/ });
    await edited.waitFor();
    await card.getByRole("button", { name: "Deny" }).click();
    await card.getByRole("textbox", { name: "Reason" }).fill("Never reboot.");
    await visited.screenshot("approval-denied");
    await card.getByRole("button", { name: "Deny" }).click();

    // A change of a file is shown as a diff.
    const change = card.getByRole("group", { name: "Changes to a.txt" });
    await change.locator(".diff-removed", { hasText: "two" }).waitFor();
    await change.locator(".diff-added", { hasText: "three" }).waitFor();
    await visited.screenshot("approval-diff");
    await card.getByRole("button", { name: "Approve", exact: true }).click();

    // The second call of the same command does not ask.
    await card.getByRole("group", { name: "Command" }).getByText("cat a.txt").waitFor();
    await card.getByRole("button", { name: "Always allow this command here" }).click();
    await visited.run("completed").getByText("Ready.").waitFor();
    await page.reload();
    await visited.run("completed").getByText("Ready.").waitFor();
    await page.getByRole("button", { name: /^bash sudo reboot denied/ }).waitFor();
    await edited.click();
    await page.getByRole("group", { name: "Approval" }).getByText("Approved with changes").waitFor();
    await page.getByText("Denied: Never reboot.").waitFor();
    await visited.screenshot("approved");
    await visited.audit("decisions about approvals");
  });
  const results = [];
  const answers = [];
  for await (const event of run) {
    if (event.type === "tool_result") {
      results.push([event.name, event.isError, event.text]);
    } else if (event.type === "input_answered") {
      answers.push([event.decision, event.arguments ?? null, event.text]);
    }
  }
  assert.deepEqual(answers, [
    ["approve", { command: "wc -l a.txt" }, ""],
    ["deny", null, "Never reboot."],
    ["approve", null, ""],
    ["approve", null, ""],
  ]);
  assert.match(results[1][2], /2 a\.txt/, "the edited command ran");
  assert.ok(results[2][1] && results[2][2].includes("Never reboot."), "the model reads the reason");
  assert.deepEqual(results.slice(4).map(([, , text]) => text.includes("three")), [true, true]);
});

test("the approvals of an agent are edited as rules", LIMIT, async () => {
  const { token, client } = await account();
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, "#/agents/new");
    await page.getByRole("textbox", { name: "Name", exact: true }).fill("Careful");
    const add = page.getByRole("button", { name: "Add rule" });
    await add.click();
    await add.click();
    const [first, second] = [1, 2].map((number) => page.getByRole("group", { name: `Rule ${number}` }));
    await first.getByRole("combobox", { name: "Tool" }).fill("github__*");
    assert.equal(await first.getByRole("textbox", { name: "Commands" }).count(), 0, "only bash has commands");
    await second.getByRole("combobox", { name: "A call" }).selectOption({ label: "is refused" });
    await second.getByRole("textbox", { name: "Commands" }).fill("rm *\n\nsudo *");
    await second.getByRole("button", { name: "Move rule 2 up" }).click();
    await page.getByRole("combobox", { name: "A request expires after" }).selectOption({ label: "A week" });
    await page.getByRole("combobox", { name: "When a request expires" }).selectOption({ label: "The run fails" });
    await visited.audit("rules");
    await first.scrollIntoViewIfNeeded();
    await visited.screenshot("approval-rules");
    await page.setViewportSize(PHONE);
    await checkLayout(page, "rules on a phone");
    await first.scrollIntoViewIfNeeded();
    await visited.screenshot("approval-rules-phone");
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByRole("heading", { level: 1, name: "Careful" }).waitFor();
  });
  const agent = (await client.agents.list().all()).find(({ name }) => name === "Careful");
  assert.deepEqual(agent.currentVersion.approvals, {
    rules: [
      { tool: "bash", decision: "deny", commands: ["rm *", "sudo *"] },
      { tool: "github__*", decision: "ask", commands: [] },
    ],
    expiresAfterSeconds: 604_800,
    failOnExpiry: true,
  });
});

test("an input can be denied, another client's answer is shown, and a stop ends the wait", LIMIT, async () => {
  const { token, client, agentId } = await account();
  const denied = await waiting(client, { prompt: `${LOOKUP}\nsay: Without it.`, tools: [TOOL] });
  const elsewhere = await waiting(client, { agentId, prompt: `${QUESTION}\nsay: Red then.` });
  const stopped = await waiting(client, { agentId, prompt: QUESTION });
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, `#/threads/${title(denied)}`);
    await visited.run("waiting").getByRole("button", { name: "Deny" }).click();
    await visited.run("completed").getByText("Without it.").waitFor();
    await page.getByRole("group", { name: "Client tool" }).getByText("Denied").waitFor();

    await visited.go(`#/threads/${title(elsewhere)}`);
    await visited.run("waiting").getByRole("group", { name: "Question" }).waitFor();
    const [{ inputId }] = (await client.inputs.listPending({ agentRunId: elsewhere.id })).items;
    await client.inputs.answer(elsewhere.id, { inputId, decision: "answer", text: "Red" });
    await visited.run("completed").getByText("Red then.").waitFor();

    await visited.go("#/runs");
    await page.getByRole("article", { name: /, waiting$/ }).getByRole("button", { name: "Stop" }).click();
    await page.getByRole("article", { name: /, stopped$/ }).waitFor();
    await visited.go(`#/threads/${title(stopped)}`);
    // While the events of the run arrive, the call is open, and a click would close it.
    await visited.run("stopped").waitFor();
    await page.getByRole("button", { name: /^ask_user/ }).click();
    await visited.run("stopped").getByText("The run ended before this was answered").waitFor();
    await visited.screenshot("stopped-question");
  });
});

for (const [kind, sizes, options] of [
  ["desktop", DESKTOPS, {}],
  ["phone", PHONES, { viewport: PHONE, hasTouch: true, isMobile: true }],
]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`pending inputs fit a ${kind} in ${colorScheme} colours`, LIMIT, async () => {
      const { token, client, agentId } = await account();
      const long = "supercalifragilistic".repeat(8);
      const question = JSON.stringify({ question: `How? ${long}`, choices: ["Yes", long, "A rather long choice with many words, which must be wrapped on a phone"] });
      const run = await waiting(client, { agentId, prompt: `call: ask_user | ${question}` });
      await waiting(client, { prompt: `call: find_order | {"customer": "${long}"}`, tools: [TOOL] });
      await yard.visit(
        async (visited, page) => {
          await visited.signIn(token, "#/waiting");
          await page.getByRole("article").nth(1).waitFor();
          await checkLayout(page, "pending inputs");
          await visited.audit("pending inputs");
          await visited.screenshot(`pending-${kind}-${colorScheme}`);
          await page.getByRole("link", { name: /^Waiting for you,? 2 pending$/ }).waitFor();
          await visited.go(`#/threads/${title(run)}`);
          await visited.run("waiting").getByRole("group", { name: "Question" }).waitFor();
          await checkLayout(page, "a pending input");
          await visited.audit("a pending input");
          await visited.screenshot(`pending-thread-${kind}-${colorScheme}`);
          await page.setViewportSize(sizes.at(-1));
          await checkLayout(page, "a pending input");
          await page.getByRole("link", { name: /^Waiting for you,? 2 pending$/ }).click();
          await page.getByRole("article").nth(1).waitFor();
          await checkLayout(page, "pending inputs");
        },
        { ...options, colorScheme },
      );
    });
  }
}

test("the output of a completed run is shown as formatted JSON", LIMIT, async () => {
  const { token, client } = await account();
  const city = { type: "object", properties: { name: { type: "string" }, people: { type: "integer" } }, required: ["name", "people"] };
  const run = await client.agents.run({ prompt: 'say: {"name": "Rome", "people": 2800000}', output: city });
  assert.equal((await run.output()).people, 2_800_000);
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, `#/threads/${title(run)}`);
    const output = visited.run("completed").getByRole("region", { name: "Output of the run" });
    await output.waitFor();
    assert.equal(await output.getByRole("group", { name: "Output as JSON" }).innerText(), '{\n  "name": "Rome",\n  "people": 2800000\n}');
    const track = visited.run("completed").getByRole("list", { name: "Steps of the run" });
    assert.equal(await track.getByText("Rome").count(), 0, "the answer is shown once");
    await visited.screenshot("output");
    await visited.audit("an output");
  });
});
