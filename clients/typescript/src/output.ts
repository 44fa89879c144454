// The output of a run: its JSON schema from a schema library, and the JSON value as the library's type.

import type { JsonObject } from "@bufbuild/protobuf";

/**
 * A schema of Zod (4.2 or newer) or of another library with Standard Schema (standardschema.dev). The library must also
 * return the JSON schema: by Standard JSON Schema, or by the method `toJSONSchema`.
 */
export interface StandardSchema<T> {
  readonly "~standard": {
    readonly validate: (value: unknown, ...rest: any[]) => Validated<T> | Promise<Validated<T>>;
  };
}

type Validated<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] };

/** The form of a run's final answer: a schema of a library, or a JSON schema. */
export type OutputSchema<T> = StandardSchema<T> | JsonObject;

interface WithJsonSchema {
  "~standard": { jsonSchema?: { input(options: { target: string }): JsonObject } };
  toJSONSchema?(options: { io: "input" }): JsonObject;
}

const TARGET = "draft-2020-12";

function isStandard<T>(schema: OutputSchema<T>): schema is StandardSchema<T> {
  return typeof (schema as Partial<StandardSchema<T>>)["~standard"]?.validate === "function";
}

/** Returns the JSON schema. Throws a TypeError if a library's schema has none. */
export function jsonSchemaOf(schema: OutputSchema<unknown>): JsonObject {
  if (!isStandard(schema)) {
    return schema;
  }
  const library = schema as unknown as WithJsonSchema;
  const found = library["~standard"].jsonSchema?.input({ target: TARGET }) ?? library.toJSONSchema?.({ io: "input" });
  if (!found) {
    throw new TypeError("the output's schema has no JSON schema; use Zod 4.2 or newer, or a JSON schema");
  }
  // A library's object may have functions or hidden fields, which a request cannot contain.
  return JSON.parse(JSON.stringify(found)) as JsonObject;
}

/** Returns the output as the type of the schema. Throws a TypeError if the library refuses it. */
export async function parsed<T>(value: JsonObject, schema: OutputSchema<T> | undefined): Promise<T> {
  if (schema === undefined || !isStandard(schema)) {
    return value as T;
  }
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) {
    return result.value;
  }
  const issues = result.issues.map(({ message, path }) => (path?.length ? `${path.map(keyOf).join(".")}: ${message}` : message));
  throw new TypeError(`the schema refuses the output: ${issues.join("; ")}`);
}

/** A part of a path is a key, or an object with the key. */
function keyOf(part: unknown): string {
  return String(typeof part === "object" && part !== null && "key" in part ? part.key : part);
}
