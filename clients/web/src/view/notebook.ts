// Reads Jupyter notebooks (nbformat 4) for a preview. HTML and scripts in outputs are never rendered.
import { type Json, readJson } from "./json";

export interface Notebook {
  /** The language of the code cells, such as "python"; empty if the notebook does not name it. */
  language: string;
  cells: readonly Cell[];
}

export type Cell = { kind: "markdown"; text: string; pictures: ReadonlyMap<string, string> } | { kind: "raw"; text: string } | CodeCell;

export interface CodeCell {
  kind: "code";
  text: string;
  /** The number in brackets beside the cell; null if it has not run. */
  count: number | null;
  outputs: readonly Output[];
}

export type Output =
  | { kind: "text"; text: string; isError: boolean }
  | { kind: "markdown"; text: string }
  /** `address` is a data URL. */
  | { kind: "picture"; address: string; text: string }
  | { kind: "json"; value: Json }
  | { kind: "hidden"; type: string };

type Fields = { [name: string]: Json };

/** Returns null if the text is not a notebook of version 4. */
export function readNotebook(text: string): Notebook | null {
  const whole = fieldsOf(readJson(text, false));
  if (!whole || !Array.isArray(whole["cells"]) || typeof whole["nbformat"] !== "number" || whole["nbformat"] < 4) return null;
  const about = fieldsOf(whole["metadata"]) ?? {};
  const named = fieldsOf(about["language_info"])?.["name"] ?? fieldsOf(about["kernelspec"])?.["language"];
  return { language: typeof named === "string" ? named.toLowerCase() : "", cells: whole["cells"].flatMap((each) => cellOf(fieldsOf(each)) ?? []) };
}

function cellOf(cell: Fields | null): Cell | null {
  if (!cell) return null;
  const text = textOf(cell["source"]);
  switch (cell["cell_type"]) {
    case "markdown":
      return { kind: "markdown", text, pictures: attached(fieldsOf(cell["attachments"])) };
    case "raw":
      return { kind: "raw", text };
    case "code": {
      const count = cell["execution_count"];
      const outputs = Array.isArray(cell["outputs"]) ? cell["outputs"] : [];
      return { kind: "code", text, count: typeof count === "number" ? count : null, outputs: outputs.flatMap((each) => outputOf(fieldsOf(each)) ?? []) };
    }
    default:
      return null;
  }
}

function outputOf(output: Fields | null): Output | null {
  switch (output?.["output_type"]) {
    case "stream":
      return { kind: "text", text: withoutColours(textOf(output["text"])), isError: output["name"] === "stderr" };
    case "error": {
      const trace = Array.isArray(output["traceback"]) ? output["traceback"].map(textOf).join("\n") : "";
      return { kind: "text", text: withoutColours(trace || `${textOf(output["ename"])}: ${textOf(output["evalue"])}`), isError: true };
    }
    case "display_data":
    case "execute_result":
      return dataOf(fieldsOf(output["data"]) ?? {});
    default:
      return null;
  }
}

// The same result in several types. The first type that the console can show is used.
function dataOf(data: Fields): Output | null {
  const plain = textOf(data["text/plain"]);
  const address = pictureIn(data);
  if (address) return { kind: "picture", address, text: plain };
  if (data["text/markdown"] !== undefined) return { kind: "markdown", text: textOf(data["text/markdown"]) };
  if (data["application/json"] !== undefined) return { kind: "json", value: data["application/json"] };
  if (plain !== "") return { kind: "text", text: withoutColours(plain), isError: false };
  const type = Object.keys(data)[0];
  return type === undefined ? null : { kind: "hidden", type };
}

/** Returns the image of a result as a data URL; null if there is none. An SVG cannot run scripts in an image element. */
function pictureIn(data: Fields): string | null {
  for (const type of ["image/png", "image/jpeg", "image/gif", "image/webp"]) {
    const encoded = textOf(data[type]).replace(/\s/g, "");
    if (encoded !== "" && /^[A-Za-z0-9+/]+=*$/.test(encoded)) return `data:${type};base64,${encoded}`;
  }
  const drawing = textOf(data["image/svg+xml"]);
  return drawing === "" ? null : `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}

function attached(files: Fields | null): ReadonlyMap<string, string> {
  const pictures = new Map<string, string>();
  for (const [name, data] of Object.entries(files ?? {})) {
    const address = pictureIn(fieldsOf(data) ?? {});
    if (address) pictures.set(name, address);
  }
  return pictures;
}

function fieldsOf(value: Json | undefined): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
}

/** A text of a notebook is a string, or a list of lines with their line breaks. */
function textOf(value: Json | undefined): string {
  if (Array.isArray(value)) return value.map(textOf).join("");
  return typeof value === "string" ? value : "";
}

/** Removes the escape sequences with which programs colour their output in a terminal. */
function withoutColours(text: string): string {
  return text.replace(/\u001b\[[0-9;]*[A-Za-z]/g, "");
}
