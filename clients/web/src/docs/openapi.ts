// Types and helpers for the part of OpenAPI 3.1 that the server's document uses.

export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  enum?: string[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  default?: unknown;
  "x-event-data"?: Schema;
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  description?: string;
  required?: boolean;
  schema?: Schema;
}

export type Content = Record<string, { schema?: Schema }>;

export interface Answer {
  $ref?: string;
  description?: string;
  content?: Content;
}

export interface Operation {
  operationId: string;
  tags: string[];
  summary?: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Content };
  responses: Record<string, Answer>;
  /** An empty list if the operation needs no credential. */
  security?: unknown[];
}

export interface Document {
  info: { title: string; version: string; description?: string };
  servers?: { url: string; description?: string }[];
  tags?: { name: string; description?: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; responses: Record<string, Answer> };
}

export interface Placed {
  method: string;
  path: string;
  operation: Operation;
}

export function services(document: Document): { name: string; description: string; operations: Placed[] }[] {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Placed => ({ method, path, operation })),
  );
  return (document.tags ?? []).map(({ name, description }) => ({
    name,
    description: description ?? "",
    operations: all.filter(({ operation }) => operation.tags.includes(name)),
  }));
}

/** Returns the name in a reference: `Agent` for `#/components/schemas/Agent`. */
export function nameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf("/") + 1);
}

/** Returns a schema without the type `null`, and whether the type was present. */
export function withoutNull(schema: Schema): { schema: Schema; nullable: boolean } {
  const choices = schema.anyOf ?? schema.oneOf;
  const others = choices?.filter((choice) => choice.type !== "null");
  if (choices && others && others.length === 1 && others.length < choices.length) {
    return { schema: { ...others[0]!, ...(schema.description ? { description: schema.description } : {}) }, nullable: true };
  }
  if (Array.isArray(schema.type) && schema.type.includes("null")) {
    const types = schema.type.filter((type) => type !== "null");
    return { schema: { ...schema, type: types.length === 1 ? types[0]! : types }, nullable: true };
  }
  return { schema, nullable: false };
}

/** Describes the type of a schema, for example "list of Agent". */
export function typeOf(original: Schema): string {
  const { schema, nullable } = withoutNull(original);
  return `${bareType(schema)}${nullable ? " or null" : ""}`;
}

function bareType(schema: Schema): string {
  if (schema.$ref) return nameOf(schema.$ref);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${schema.items ? typeOf(schema.items) : "anything"}`;
  if (schema.type === "object" && typeof schema.additionalProperties === "object") return `map of ${typeOf(schema.additionalProperties)}`;
  if (schema.format === "binary") return "file";
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : (schema.type ?? "anything");
  return schema.format ? `${type}, ${schema.format}` : type;
}

/** Looks inside lists, maps and nullable types for a schema with properties or enum values. */
export function inner(document: Document, original: Schema): { name: string | null; schema: Schema } | null {
  const { schema } = withoutNull(original);
  if (schema.$ref) {
    const name = nameOf(schema.$ref);
    const found = document.components.schemas[name];
    return found && (found.properties || found.enum) ? { name, schema: found } : null;
  }
  if (schema.properties) return { name: null, schema };
  if (schema["x-event-data"]) return inner(document, schema["x-event-data"]);
  if (schema.type === "array" && schema.items) return inner(document, schema.items);
  if (typeof schema.additionalProperties === "object") return inner(document, schema.additionalProperties);
  return null;
}
