// Builds the requests of "Try it" from an operation and the values of its form.
import { exampleOf } from "./example";
import { type Document, type Parameter, type Placed, type Schema, nameOf, withoutNull } from "./openapi";

/** How a body is entered: as JSON, as the fields of a form, or as one file. */
export type BodyKind = "json" | "form" | "file";

export interface Draft {
  /** Values of the path and of the query, by name. An empty value of the query is left out. */
  parameters: Record<string, string>;
  kind: BodyKind | null;
  json: string;
  /** Values of a form's fields, by name. Empty values are left out. */
  fields: Record<string, string>;
  files: Record<string, readonly File[]>;
}

export interface FormField {
  name: string;
  schema: Schema;
  /** Whether the field takes files, and whether it takes several. */
  takes: "text" | "file" | "files";
}

const FORM = "multipart/form-data";
const JSON_TYPE = "application/json";
/** Fields that are shown first in a long form. */
const FIRST = ["prompt", "name", "files", "file"];

/** The ways in which the operation takes its body, the simplest first. */
export function kindsOf(document: Document, { operation }: Placed): BodyKind[] {
  const content = operation.requestBody?.content;
  if (!content) return [];
  const kinds: BodyKind[] = [];
  if (formFields(document, operation.requestBody!.content).length > 0) kinds.push("form");
  if (JSON_TYPE in content) kinds.push("json");
  return kinds.length > 0 ? kinds : ["file"];
}

/** The fields of the operation's form; the most used ones first. */
export function fieldsOf(document: Document, { operation }: Placed): FormField[] {
  const fields = formFields(document, operation.requestBody?.content ?? {});
  const rank = ({ name }: FormField) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return fields.sort((one, other) => rank(one) - rank(other));
}

function formFields(document: Document, content: Record<string, { schema?: Schema }>): FormField[] {
  const schema = resolved(document, content[FORM]?.schema);
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => {
    const { schema: bare } = withoutNull(property);
    const takes = bare.format === "binary" ? "file" : bare.type === "array" && bare.items?.format === "binary" ? "files" : "text";
    return { name, schema: bare, takes };
  });
}

function resolved(document: Document, schema: Schema | undefined): Schema | undefined {
  return schema?.$ref ? document.components.schemas[nameOf(schema.$ref)] : schema;
}

/** The draft with which a form begins: examples of the required values, and nothing else. */
export function draftOf(document: Document, placed: Placed): Draft {
  const schema = resolved(document, placed.operation.requestBody?.content[JSON_TYPE]?.schema);
  const required = schema?.required ?? [];
  const body = Object.fromEntries(required.map((name) => [name, exampleOf(document, schema?.properties?.[name] ?? {}, name)]));
  return { parameters: {}, kind: kindsOf(document, placed)[0] ?? null, json: JSON.stringify(body, null, 2), fields: {}, files: {} };
}

/** Whether the operation needs no credential. */
export function isPublic({ operation }: Placed): boolean {
  return operation.security?.length === 0;
}

/** What is wrong with a draft, as a sentence; null if it can be sent. */
export function problemOf({ operation }: Placed, draft: Draft): string | null {
  for (const parameter of operation.parameters ?? []) {
    if (isNeeded(parameter) && !draft.parameters[parameter.name]?.trim()) return `Enter ${parameter.name}.`;
  }
  if (draft.kind === "json") {
    try {
      JSON.parse(draft.json);
    } catch (error) {
      return `The body is not valid JSON: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return null;
}

export function isNeeded(parameter: Parameter): boolean {
  return parameter.in === "path" || parameter.required === true;
}

/** The address and the options of `fetch`. `token` is null for a request without a credential. */
export function requestOf({ method, path, operation }: Placed, draft: Draft, token: string | null): { url: string; init: RequestInit } {
  const headers: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
  const query = new URLSearchParams();
  let address = path;
  for (const { name, in: place, schema } of operation.parameters ?? []) {
    const value = draft.parameters[name]?.trim();
    if (!value) continue;
    if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(value));
    else if (place === "header") headers[name] = value;
    // A list is entered with commas.
    else for (const one of schema?.type === "array" ? value.split(",") : [value]) query.append(name, one.trim());
  }
  const init: RequestInit = { method: method.toUpperCase(), headers };
  if (draft.kind === "json") {
    headers["Content-Type"] = JSON_TYPE;
    init.body = draft.json;
  } else if (draft.kind === "form") {
    init.body = formOf(draft);
  } else if (draft.kind === "file") {
    const file = Object.values(draft.files)[0]?.[0];
    headers["Content-Type"] = file?.type || "application/octet-stream";
    init.body = file ?? "";
  }
  const text = query.toString();
  return { url: text ? `${address}?${text}` : address, init };
}

function formOf({ fields, files }: Draft): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== "") form.append(name, value);
  for (const [name, chosen] of Object.entries(files)) for (const file of chosen) form.append(name, file);
  return form;
}
