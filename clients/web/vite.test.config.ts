// Bundles the unit tests into .test/ for Node's own test runner.
import { readdirSync } from "node:fs";
import { defineConfig } from "vite";

const names = readdirSync("test").filter((name) => name.endsWith(".test.ts") || name.endsWith(".test.tsx"));

export default defineConfig({
  publicDir: false,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    ssr: true,
    target: "node20",
    outDir: ".test",
    rolldownOptions: {
      input: Object.fromEntries(names.map((name) => [name.replace(/\.tsx?$/, ""), `test/${name}`])),
      output: { entryFileNames: "[name].mjs" },
    },
  },
  ssr: { noExternal: true },
});
