#!/usr/bin/env bash
# A client that @hey-api/openapi-ts 0.99.0 generates sends the credential in every header that the document lists as an alternative.
# In OpenAPI, the requirements in the list `security` are alternatives: a request needs only one of them (OpenAPI 3.1, "Security
# Requirement Object"). The client calls `auth` for each scheme and adds each value, so a request has `Authorization: Bearer …` and
# `X-API-Key: …`. A server that refuses ambiguous credentials refuses all its requests, and a JWT appears in a header that proxies
# do not treat as secret. A document with one scheme avoids it, and so does an `auth` function that returns nothing for the others.
# Reported by others: https://github.com/hey-api/hey-api/issues/3195.
#
# Observed: `authorization: Bearer token, x-api-key: token`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @hey-api/openapi-ts@0.99.0 typescript@5.9.3 \
    esbuild@0.25.12 @esbuild/linux-x64@0.25.12
cat >api.json <<'JSON'
{
  "openapi": "3.1.0",
  "info": { "title": "Example", "version": "1" },
  "security": [{ "bearer": [] }, { "key": [] }],
  "components": {
    "securitySchemes": {
      "bearer": { "type": "http", "scheme": "bearer" },
      "key": { "type": "apiKey", "in": "header", "name": "X-API-Key" }
    }
  },
  "paths": { "/items": { "get": { "operationId": "listItems", "responses": { "200": { "description": "The items." } } } } }
}
JSON
npx openapi-ts --input api.json --output generated >/dev/null
cat >shows.ts <<'TS'
import { createServer } from "node:http";
import { client } from "./generated/client.gen";
import { listItems } from "./generated/sdk.gen";

const server = createServer((request, response) => {
  console.log(`authorization: ${request.headers.authorization}, x-api-key: ${request.headers["x-api-key"]}`);
  response.end();
});
server.listen(0, "127.0.0.1", async () => {
  const { port } = server.address() as { port: number };
  client.setConfig({ baseUrl: `http://127.0.0.1:${port}`, auth: "token" });
  await listItems();
  process.exit();
});
TS
npx esbuild shows.ts --bundle --platform=node --format=esm --outfile=shows.mjs --log-level=error
seen=$(node shows.mjs)
echo "$seen"
expected='authorization: Bearer token, x-api-key: token'
if [ "$seen" != "$expected" ]; then
    echo "changed: expected $expected" >&2
    exit 1
fi
