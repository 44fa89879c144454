// Reads JSON for a tree or a table: a document, or one value per line.
import type { Table } from "./table";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Maximum number of values of a file with one value per line. */
const MAX_LINES = 2_000;

/** Returns null if the text is not JSON. `isLines` reads one value per line; an incomplete last line is dropped. */
export function readJson(text: string, isLines: boolean): Json | null {
  try {
    if (!isLines) return JSON.parse(text) as Json;
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    return lines.slice(0, MAX_LINES).map((line) => JSON.parse(line) as Json);
  } catch {
    return null;
  }
}

/** The named children of a list or an object; null for a plain value. */
export function entriesOf(value: Json): [string, Json][] | null {
  if (Array.isArray(value)) return value.map((each, at) => [String(at), each]);
  return typeof value === "object" && value !== null ? Object.entries(value) : null;
}

/** For example `[3 items]` or `{2 fields}`; a plain value as JSON. */
export function summaryOf(value: Json): string {
  const entries = entriesOf(value);
  if (!entries) return JSON.stringify(value);
  const noun = Array.isArray(value) ? "item" : "field";
  const size = `${entries.length} ${noun}${entries.length === 1 ? "" : "s"}`;
  return Array.isArray(value) ? `[${size}]` : `{${size}}`;
}

/** Maximum length of a result that is read as JSON, in characters. */
const MAX_RESULT = 256 * 1024;

/** Reads a list or an object from the result of a tool; null for any other text. */
export function readResult(text: string): Json | null {
  if (text.length > MAX_RESULT || !/^\s*[[{]/.test(text)) return null;
  const value = readJson(text, false);
  return value !== null && (entriesOf(value)?.length ?? 0) > 0 ? value : null;
}

/** A list, or the list in an object without other fields: the outputs of runs and of MCP servers are objects. */
export function listIn(value: Json): Json {
  const entries = Array.isArray(value) ? null : entriesOf(value);
  return entries?.length === 1 && Array.isArray(entries[0]![1]) ? entries[0]![1] : value;
}

/** Whether a value is a list of objects without lists and objects in them. A table shows such a list completely. */
export function isFlat(value: Json): boolean {
  const isPlain = (each: Json) => typeof each !== "object" || each === null;
  return Array.isArray(value) && value.length > 0 && value.every((each) => !isPlain(each) && !Array.isArray(each) && Object.values(each!).every(isPlain));
}

/** Maximum number of columns of a table of JSON values. */
const MAX_COLUMNS = 50;

/** Returns a list of objects as a table; null for any other value. */
export function tableOf(value: Json): Table | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const objects = value.filter((each) => typeof each === "object" && each !== null && !Array.isArray(each)) as { [name: string]: Json }[];
  if (objects.length < value.length) return null;
  const header = [...new Set(objects.flatMap(Object.keys))].slice(0, MAX_COLUMNS);
  if (header.length === 0) return null;
  const cell = (each: Json | undefined) => (each === undefined || each === null ? "" : typeof each === "string" ? each : JSON.stringify(each));
  return { header, rows: objects.map((each) => header.map((name) => cell(Object.hasOwn(each, name) ? each[name] : undefined))), more: false };
}
