// The form for a question whose answer is a JSON object: the fields of its schema, their values, and their mistakes.
//
// The schemas of MCP servers have no nested objects. A property of another kind is edited as JSON. The server checks the
// answer against the whole schema, so this checks only what a form can explain.
import { dayAndTime } from "./format";

/** A value that the user can choose. */
export interface Option {
  value: unknown;
  label: string;
}

export type TextFormat = "email" | "uri" | "date" | "date-time";

type Kind =
  | { kind: "text"; format: TextFormat | null; min: number | null; max: number | null }
  | { kind: "number"; isInteger: boolean; min: number | null; max: number | null }
  | { kind: "check" }
  | { kind: "choice"; options: readonly Option[] }
  | { kind: "choices"; options: readonly Option[]; min: number | null; max: number | null }
  | { kind: "json" };

export type FormField = Kind & {
  name: string;
  label: string;
  hint: string;
  isRequired: boolean;
  initial: FormValue;
};

/** A chosen option is its position. */
export type FormValue = string | boolean | readonly number[];
export type FormValues = Readonly<Record<string, FormValue>>;

type Schema = Record<string, unknown>;

/**
 * The required fields, then the other ones: the API does not keep the order of the properties. Returns null if the schema does
 * not describe an object with named properties.
 */
export function formOf(schema: Schema): FormField[] | null {
  const properties = objectOf(schema["properties"]);
  if (!properties || typeOf(schema) !== "object") return null;
  const required = listOf(schema["required"]);
  const fields = Object.entries(properties).map(([name, property]) => fieldOf(name, objectOf(property) ?? {}, required.includes(name)));
  return fields.sort((left, right) => Number(right.isRequired) - Number(left.isRequired));
}

function fieldOf(name: string, schema: Schema, isRequired: boolean): FormField {
  const kind = kindOf(schema);
  const common = { name, label: textOf(schema["title"]) || name, hint: textOf(schema["description"]), isRequired };
  return { ...kind, ...common, initial: initialOf(kind, schema["default"]) };
}

function kindOf(schema: Schema): Kind {
  const options = optionsOf(schema, "oneOf");
  if (options) return { kind: "choice", options };
  switch (typeOf(schema)) {
    case "boolean":
      return { kind: "check" };
    case "number":
    case "integer":
      return { kind: "number", isInteger: typeOf(schema) === "integer", min: numberOf(schema["minimum"]), max: numberOf(schema["maximum"]) };
    case "string":
      return { kind: "text", format: formatOf(schema["format"]), min: numberOf(schema["minLength"]), max: numberOf(schema["maxLength"]) };
    case "array": {
      const items = optionsOf(objectOf(schema["items"]) ?? {}, "anyOf");
      return items ? { kind: "choices", options: items, min: numberOf(schema["minItems"]), max: numberOf(schema["maxItems"]) } : { kind: "json" };
    }
    default:
      return { kind: "json" };
  }
}

/** The values that a schema allows, if it lists them. Titles are in the list, or beside it as `enumNames`. */
function optionsOf(schema: Schema, listName: "oneOf" | "anyOf"): Option[] | null {
  const values = schema["enum"];
  if (Array.isArray(values) && values.length > 0) {
    const names = listOf(schema["enumNames"]);
    return values.map((value, at) => ({ value, label: textOf(names[at]) || labelOf(value) }));
  }
  const listed = [schema[listName], schema["oneOf"], schema["anyOf"]].find(Array.isArray)?.map(objectOf);
  if (!listed?.length || !listed.every((each) => each && "const" in each)) return null;
  return listed.map((each) => ({ value: each!["const"], label: textOf(each!["title"]) || labelOf(each!["const"]) }));
}

function initialOf(kind: Kind, value: unknown): FormValue {
  switch (kind.kind) {
    case "check":
      return value === true;
    case "choice": {
      const at = kind.options.findIndex((option) => option.value === value);
      return value === undefined || at < 0 ? "" : String(at);
    }
    case "choices":
      return listOf(value).map((each) => kind.options.findIndex((option) => option.value === each)).filter((at) => at >= 0);
    case "number":
      return typeof value === "number" ? String(value) : "";
    case "text":
      return kind.format === "date-time" ? localTime(textOf(value)) : textOf(value);
    case "json":
      return value === undefined ? "" : JSON.stringify(value);
  }
}

export function initialValues(fields: readonly FormField[]): FormValues {
  return Object.fromEntries(fields.map((field) => [field.name, field.initial]));
}

/** The answer, without the fields that are empty, or the mistake of each field that has one. */
export type Filled = { args: Record<string, unknown> } | { mistakes: Record<string, string> };

export function argumentsOf(fields: readonly FormField[], values: FormValues): Filled {
  const given: [string, unknown][] = [];
  const mistakes: [string, string][] = [];
  for (const field of fields) {
    const read = readField(field, values[field.name] ?? field.initial);
    if ("mistake" in read) mistakes.push([field.name, read.mistake]);
    else if (read.value !== undefined) given.push([field.name, read.value]);
  }
  return mistakes.length > 0 ? { mistakes: Object.fromEntries(mistakes) } : { args: Object.fromEntries(given) };
}

type Read = { value: unknown } | { mistake: string };

function readField(field: FormField, value: FormValue): Read {
  if (field.kind === "check") return { value: value === true };
  if (typeof value === "object") return field.kind === "choices" ? readChoices(field, value) : { value: undefined };
  const text = String(value);
  // Spaces alone fill in a text, but not a number or a date.
  if ((field.kind === "text" ? text : text.trim()) === "") {
    if (!field.isRequired) return { value: undefined };
    return { mistake: field.kind === "choice" ? "Choose a value." : "Fill in this field." };
  }
  switch (field.kind) {
    case "choice":
      return { value: field.options[Number(text)]?.value };
    case "number":
      return readNumber(field, text);
    case "text":
      return readText(field, text);
    default:
      try {
        return { value: JSON.parse(text) as unknown };
      } catch {
        return { mistake: "This is not valid JSON." };
      }
  }
}

function readChoices({ options, min, max, isRequired }: Extract<FormField, { kind: "choices" }>, chosen: readonly number[]): Read {
  if (chosen.length === 0 && !isRequired) return { value: undefined };
  if (min !== null && chosen.length < min) return { mistake: `Choose ${min} or more.` };
  if (max !== null && chosen.length > max) return { mistake: `Choose ${max} or fewer.` };
  return { value: options.filter((_, at) => chosen.includes(at)).map((option) => option.value) };
}

function readNumber({ isInteger, min, max }: Extract<FormField, { kind: "number" }>, text: string): Read {
  const value = Number(text);
  if (!Number.isFinite(value)) return { mistake: "Enter a number." };
  if (isInteger && !Number.isInteger(value)) return { mistake: "Enter a whole number." };
  if (min !== null && value < min) return { mistake: `Enter ${min} or more.` };
  if (max !== null && value > max) return { mistake: `Enter ${max} or less.` };
  return { value };
}

function readText({ format, min, max }: Extract<FormField, { kind: "text" }>, text: string): Read {
  const characters = [...text].length;
  const noun = (limit: number) => (limit === 1 ? "1 character" : `${limit} characters`);
  if (min !== null && characters < min) return { mistake: `Enter ${noun(min)} or more.` };
  if (max !== null && characters > max) return { mistake: `Enter ${noun(max)} or fewer.` };
  switch (format) {
    case "email":
      return /^[^\s@]+@[^\s@]+$/.test(text) ? { value: text } : { mistake: "Enter an email address." };
    case "uri":
      return /^[a-z][a-z0-9+.-]*:\S+$/i.test(text) ? { value: text } : { mistake: "Enter an address, such as https://example.com." };
    case "date":
      return /^\d{4}-\d\d-\d\d$/.test(text) ? { value: text } : { mistake: "Enter a date." };
    case "date-time": {
      const at = new Date(text);
      return Number.isNaN(at.getTime()) ? { mistake: "Enter a date and a time." } : { value: at.toISOString() };
    }
    case null:
      return { value: text };
  }
}

/** The values of an answer with the labels of the form, in the order of the schema. */
export function labelled(schema: Schema | null, args: Record<string, unknown>): [label: string, value: string][] {
  const fields = (schema && formOf(schema)) ?? [];
  const known = fields.filter((field) => Object.hasOwn(args, field.name)).map((field) => field.name);
  const others = Object.keys(args).filter((name) => !known.includes(name));
  return [...known, ...others].map((name) => {
    const field = fields.find((each) => each.name === name);
    return [field?.label ?? name, wordsOf(field, args[name])];
  });
}

function wordsOf(field: FormField | undefined, value: unknown): string {
  const labelFor = (each: unknown) => (field && "options" in field ? field.options.find((option) => option.value === each)?.label : undefined) ?? labelOf(each);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (field?.kind === "text" && field.format === "date-time") return Number.isNaN(Date.parse(textOf(value))) ? labelOf(value) : dayAndTime(new Date(textOf(value)));
  return Array.isArray(value) ? value.map(labelFor).join(", ") : labelFor(value);
}

/** An input for a date and a time has no time zone: it shows the time of the browser. */
function localTime(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

// A type can be a list of types, such as a text or null.
function typeOf(schema: Schema): string {
  const type = schema["type"];
  return textOf(Array.isArray(type) ? type.find((each) => each !== "null") : type);
}

function formatOf(value: unknown): TextFormat | null {
  return value === "email" || value === "uri" || value === "date" || value === "date-time" ? value : null;
}

function labelOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function objectOf(value: unknown): Schema | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Schema) : null;
}
