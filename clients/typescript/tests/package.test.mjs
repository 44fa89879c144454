// Packs the package, installs it into an empty folder, type-checks it and runs it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Server } from "./server.mjs";

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const TSC = join(PACKAGE, "node_modules/typescript/bin/tsc");
const LIMIT = { timeout: 300_000 };

const PROGRAM = `
import { isRunyardError, newId, Runyard, type Agent, type RunEvent, type RunRecord } from "@runyard/client";
import { AdminService } from "@runyard/client/proto";

const client = new Runyard({ baseUrl: process.env.RUNYARD_SERVER, token: () => process.env.RUNYARD_TOKEN ?? "" });
const agent: Agent = await client.agents.create({ name: "Typed", agentpressTools: { skills: { enabled: true } } });
const created: Date | undefined = agent.createdAt;
const changed: Agent = await client.agents.update(agent.agentId, { description: null, tags: ["a"] });
const run = await client.agents.run({
  prompt: "write: output/a.txt | typed\\nsay: Typed.",
  agentId: changed.agentId,
  threadId: newId(),
  projectId: newId(),
  optimistic: true,
  files: [{ name: "data.csv", data: "a,b" }],
});
const names: string[] = [];
for await (const event of run) {
  const each: RunEvent = event;
  switch (each.type) {
    case "tool_call":
      names.push(each.name, String(each.arguments?.["path"]));
      break;
    case "usage": {
      const tokens: number = each.inputTokens;
      names.push(typeof tokens);
      break;
    }
    case "status": {
      const status: "unspecified" | "running" | "waiting" | "completed" | "failed" | "stopped" = each.status;
      names.push(status);
      break;
    }
  }
}
const record: RunRecord = await run.wait();
const output: object = await run.output().catch(() => ({}));
const steps: number | undefined = record.usage?.steps;
const [file] = await run.files();
const refused = await client.call(AdminService.method.getAccount, { accountId: newId() }).catch((error: unknown) => error);
console.log(JSON.stringify({
  output, names, steps, text: await file?.text(), created: created instanceof Date,
  refused: isRunyardError(refused) && refused.errorCode,
}));
`;

const WRONG = [
  'client.agents.run({ prompt: "x", tools: [{ name: "x", run: "y" }] });',
  'client.agents.run({ prompt: "x", output: "City" });',
  'const length: number = await (await client.agents.run({ prompt: "x", output: { type: "object" } })).output();',
  'client.inputs.answer("x", { inputId: "y", decision: "maybe" });',
  'client.agents.create({ nmae: "x" });',
  'client.agents.create({ name: 1 });',
  'client.agents.run({ prompt: "x", ifBusy: "wait" });',
  'for await (const event of client.runs.stream("x")) { if (event.type === "finished") break; }',
  'const size: bigint = (await client.sandboxes.list("x")).items[0]!.size;',
];

function snippetsOf(document, mark) {
  return document.split(`\n\`\`\`${mark}\n`).slice(1).map((rest) => rest.split("\n```")[0] + "\n");
}

let folder;
let server;
before(async () => {
  server = await Server.start();
  folder = await mkdtemp(join(tmpdir(), "runyard-package-"));
  await run("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: PACKAGE });
  const [tarball] = await readdir(folder);
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  await run("npm", ["install", "--silent", "--prefer-offline", "--no-audit", "--no-fund", `./${tarball}`], { cwd: folder });
});
after(async () => {
  await server?.close();
  if (folder) {
    await rm(folder, { recursive: true });
  }
});

const STRICT = ["--strict", "--target", "ES2022", "--module", "NodeNext", "--lib", "ES2022,DOM,DOM.Iterable", "--types", "node"];

function compile(file, ...options) {
  const types = ["--typeRoots", join(PACKAGE, "node_modules/@types")];
  return run(process.execPath, [TSC, ...STRICT, ...types, ...options, file], { cwd: folder });
}

async function environment() {
  const { token } = await server.ask({ do: "token", tier: "pro" });
  return { ...process.env, RUNYARD_SERVER: server.url, RUNYARD_TOKEN: token };
}

test("a TypeScript program compiles against the installed package and runs", LIMIT, async () => {
  await writeFile(join(folder, "program.ts"), PROGRAM);
  await compile("program.ts");
  const { stdout } = await run(process.execPath, ["program.js"], { cwd: folder, env: await environment() });
  assert.deepEqual(JSON.parse(stdout), {
    names: ["running", "number", "write", "output/a.txt", "number", "completed"],
    steps: 2,
    text: "typed",
    created: true,
    output: {},
    refused: "PERMISSION_DENIED",
  });
});

test("the snippets of the quickstart compile and run", LIMIT, async () => {
  const snippets = snippetsOf(await readFile(join(ROOT, "docs/quickstart.md"), "utf8"), "ts run");
  assert.equal(snippets.length, 2);
  await copyFile(join(ROOT, "examples/data.csv"), join(folder, "data.csv"));
  const demo = await Server.start("--demo");
  try {
    const { token } = await demo.ask({ do: "token", tier: "pro" });
    const env = { ...process.env, RUNYARD_SERVER: demo.url, RUNYARD_TOKEN: token };
    const said = [];
    for (const [number, snippet] of snippets.entries()) {
      await writeFile(join(folder, `quickstart${number}.ts`), snippet);
      await compile(`quickstart${number}.ts`);
      const { stdout } = await run(process.execPath, [`quickstart${number}.js`], { cwd: folder, env });
      said.push(stdout);
    }
    for (const text of ["▸ bash", "\ncompleted\n", "output/chart.svg", "output/report.md"]) {
      assert.ok(said[0].includes(text), said[0]);
    }
    assert.match(await readFile(join(folder, "chart.svg"), "utf8"), /<svg/);
    assert.match(said[1], /^true \S/);
  } finally {
    await demo.close();
  }
});

test("wrong types do not compile", LIMIT, async () => {
  const lines = ['import { Runyard } from "@runyard/client";', 'const client = new Runyard({ baseUrl: "http://x" });', ...WRONG, "export {};"];
  await writeFile(join(folder, "wrong.ts"), lines.join("\n"));
  const { stdout } = await compile("wrong.ts", "--noEmit").then(
    () => assert.fail("it compiles"),
    (error) => error,
  );
  const wrong = new Set([...stdout.matchAll(/wrong\.ts[(:](\d+)/g)].map(([, line]) => Number(line)));
  assert.deepEqual([...wrong].sort((one, other) => one - other), WRONG.map((_, position) => position + 3), stdout);
});

test("the snippets of the README run", LIMIT, async () => {
  const readme = await readFile(join(folder, "node_modules/@runyard/client/README.md"), "utf8");
  const snippets = snippetsOf(readme, "js");
  assert.equal(snippets.length, 5);
  await writeFile(join(folder, "first.mjs"), snippets[0].replace("Analyze data.csv and create visualizations", "bash: mkdir -p output; cp data.csv output/\\nsay: Here."));
  const { stdout } = await run(process.execPath, ["first.mjs"], { cwd: folder, env: await environment() });
  assert.match(stdout, /▸ bash\n/);
  assert.match(stdout, /Here\./);
  assert.match(stdout, /output\/data\.csv 27 27/);

  const { token } = await server.ask({ do: "token" });
  const { Runyard } = await import(join(folder, "node_modules/@runyard/client/dist/index.js"));
  const client = new Runyard({ baseUrl: server.url, token });

  // The second snippet runs a client tool, the third one reads a structured answer, and the fourth one denies the pending
  // inputs.
  const imports = 'import { Runyard } from "@runyard/client";\n';
  const setup = `const client = new Runyard({ baseUrl: ${JSON.stringify(server.url)}, token: ${JSON.stringify(token)} });\n`;
  const call = 'call: weather | {\\"city\\": \\"Rome\\"}\\nsay: Sunny, I read.';
  await writeFile(join(folder, "tools.mjs"), imports + setup + snippets[1].replace("What is the weather in Rome?", call));
  assert.equal((await run(process.execPath, ["tools.mjs"], { cwd: folder })).stdout, "Sunny, I read.\n");
  await symlink(join(PACKAGE, "node_modules/zod"), join(folder, "node_modules/zod"));
  const answer = 'say: {\\"name\\": \\"Rome\\", \\"people\\": 3}';
  const counting = imports + setup + snippets[2].replace("How many people live in Rome?", answer);
  await writeFile(join(folder, "output.mjs"), counting);
  assert.equal((await run(process.execPath, ["output.mjs"], { cwd: folder })).stdout, "Rome 3\n");
  await rm(join(folder, "node_modules/zod"));
  const asking = await client.agents.run({ prompt: 'call: weather | {"city": "Rome"}\nsay: Denied.', tools: [{ name: "weather" }] });
  for await (const event of asking) {
    if (event.type === "input_requested") {
      await writeFile(join(folder, "inputs.mjs"), imports + setup + snippets[3]);
      const { stdout: listed } = await run(process.execPath, ["inputs.mjs"], { cwd: folder });
      assert.equal(listed, "client_tool weather { city: 'Rome' }\n");
    }
  }
  assert.equal((await asking.wait()).status, "completed");

  // The last snippet handles an exceeded run limit. The plan allows one concurrent run: `busy`.
  const busy = await client.agents.run({ prompt: "sleep: 60" });
  await writeFile(join(folder, "second.mjs"), snippets[4].replace("\ntry {", `\n${setup}try {`));
  const caught = await run(process.execPath, ["second.mjs"], { cwd: folder });
  assert.equal(caught.stdout, `1 of 1 runs: [ '${busy.threadId}' ]\n`);
  await busy.stop();
});

test("the package contains only the expected files", LIMIT, async () => {
  const installed = join(folder, "node_modules/@runyard/client");
  const names = await readdir(installed, { recursive: true });
  for (const name of ["LICENSE", "README.md", "dist/index.js", "dist/index.d.ts", "dist/generated/runyard/v1/runs_pb.js"]) {
    assert.ok(names.includes(name), name);
  }
  const strange = names.filter((name) => !/^(dist(\/|$)|package\.json$|README\.md$|LICENSE$)/.test(name));
  assert.deepEqual(strange, []);
  const dependencies = await readdir(join(folder, "node_modules"));
  assert.deepEqual(dependencies.filter((name) => !name.startsWith(".")).sort(), ["@bufbuild", "@connectrpc", "@runyard"]);
});
