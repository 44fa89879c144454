// Builds the console (index.html) and the API reference (docs.html).
//
// RUNYARD_SERVER is the address of the server to which the development server forwards API calls.
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

// Maximum bytes of compressed JavaScript that the first page loads.
const FIRST_PAGE_LIMIT = 200 * 1024;

// Fails the build if the first page exceeds its limit.
function firstPageSize(): Plugin {
  return {
    name: "first-page-size",
    apply: "build",
    generateBundle(_options, bundle) {
      const entry = Object.values(bundle).find((part) => part.type === "chunk" && part.isEntry && part.name === "index");
      if (!entry) this.error("there is no entry named index");
      const seen = new Set<string>();
      const visit = (name: string) => {
        const part = bundle[name];
        if (seen.has(name) || part?.type !== "chunk") return;
        seen.add(name);
        part.imports.forEach(visit);
      };
      visit(entry.fileName);
      let total = 0;
      for (const name of seen) {
        const part = bundle[name];
        if (part?.type === "chunk") total += gzipSync(part.code).length;
      }
      const said = `JavaScript of the first page: ${(total / 1024).toFixed(1)} KB gzip`;
      if (total > FIRST_PAGE_LIMIT) this.error(`${said}; the limit is ${FIRST_PAGE_LIMIT / 1024} KB`);
      console.log(said);
    },
  };
}

// The content security policy of the console. Vite's preview server sends the same policy as the Runyard server.
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "font-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

const server = process.env.RUNYARD_SERVER ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [firstPageSize()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // By default, Vite inlines small assets as data: URLs, which the content security policy forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { input: { index: "index.html", docs: "docs.html" } },
  },
  server: {
    proxy: { "^/runyard\\.v1\\.": server, "/openapi.json": server, "/console.json": server },
  },
  preview: {
    headers: { "Content-Security-Policy": POLICY },
    proxy: { "^/runyard\\.v1\\.": server, "/openapi.json": server, "/console.json": server },
  },
});
