import assert from "node:assert/strict";
import { test } from "node:test";
import { curlOf, exampleOf } from "../src/docs/example";
import { type Document, inner, services, typeOf } from "../src/docs/openapi";

const DOCUMENT: Document = {
  info: { title: "T", version: "1" },
  tags: [{ name: "ThingService", description: "Things." }],
  paths: {
    "/things/{thing_id}": {
      get: { operationId: "GetThing", tags: ["ThingService"], responses: { "200": { content: { "text/event-stream": {} } } } },
      put: {
        operationId: "PutThing",
        tags: ["ThingService"],
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Thing" } } } },
        responses: {},
      },
      delete: {
        operationId: "DeleteThing",
        tags: ["ThingService"],
        parameters: [{ name: "path", in: "query", required: true }, { name: "other", in: "query" }],
        responses: {},
      },
    },
  },
  components: {
    schemas: {
      Thing: {
        type: "object",
        properties: { name: { type: "string" }, made_at: { type: ["string", "null"], format: "date-time" }, inner: { $ref: "#/components/schemas/Thing" } },
        required: ["name"],
      },
      Kind: { type: "string", enum: ["a", "b"] },
    },
    responses: {},
  },
};

test("typeOf describes a schema in a few words", () => {
  assert.equal(typeOf({ type: ["string", "null"] }), "string or null");
  assert.equal(typeOf({ type: "integer", format: "int64" }), "integer, int64");
  assert.equal(typeOf({ type: "array", items: { $ref: "#/components/schemas/Thing" } }), "list of Thing");
  assert.equal(typeOf({ type: "object", additionalProperties: { type: "string" } }), "map of string");
  assert.equal(typeOf({ anyOf: [{ $ref: "#/components/schemas/Kind" }, { type: "null" }] }), "Kind or null");
  assert.equal(typeOf({ oneOf: [{ type: "string" }, { type: "object" }] }), "string or object");
});

test("inner unwraps lists, maps and nullable types", () => {
  assert.equal(inner(DOCUMENT, { anyOf: [{ $ref: "#/components/schemas/Thing" }, { type: "null" }] })?.name, "Thing");
  assert.equal(inner(DOCUMENT, { type: "array", items: { $ref: "#/components/schemas/Kind" } })?.name, "Kind");
  assert.equal(inner(DOCUMENT, { type: "string", "x-event-data": { $ref: "#/components/schemas/Thing" } })?.name, "Thing");
  assert.equal(inner(DOCUMENT, { type: "string" }), null);
  assert.equal(inner(DOCUMENT, { $ref: "#/components/schemas/Missing" }), null);
});

test("the example of a recursive type is finite", () => {
  const example = exampleOf(DOCUMENT, { $ref: "#/components/schemas/Thing" }) as { made_at: string };
  assert.equal(example.made_at, "2026-01-31T10:30:00.000Z");
  assert.ok(JSON.stringify(example).length < 2_000);
});

test("curl commands match the method, query and body of an operation", () => {
  const [service] = services(DOCUMENT);
  const [get, put, del] = service!.operations.map((placed) => curlOf(DOCUMENT, placed));
  assert.equal(get, 'curl -N -H "Authorization: Bearer $RUNYARD_TOKEN" \\\n  "$RUNYARD_SERVER/things/$THING_ID"');
  assert.match(put!, /-X PUT .*\n.*\n.*Content-Type: application\/json.*\n {2}-d '\{"name":"…"\}'$/);
  assert.match(del!, /THING_ID\?path=…"$/);
});
