// Generates example values and curl commands from schemas.
import { type Document, type Placed, type Schema, nameOf, withoutNull } from "./openapi";

const MAX_DEPTH = 4;

/** Returns an example value for a schema. The field name helps to choose a plausible value. */
export function exampleOf(document: Document, original: Schema, name = "", depth = 0): unknown {
  const { schema } = withoutNull(original);
  if (schema.$ref) {
    const found = document.components.schemas[nameOf(schema.$ref)];
    return found && depth < MAX_DEPTH ? exampleOf(document, found, name, depth + 1) : null;
  }
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.properties) {
    return Object.fromEntries(
      Object.entries(schema.properties).map(([key, value]) => [key, exampleOf(document, value, key, depth + 1)]),
    );
  }
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "string":
      return text(name, schema.format);
    case "integer":
      return name === "page_size" ? 50 : 1;
    case "number":
      return 1.5;
    case "boolean":
      return true;
    case "array":
      return depth < MAX_DEPTH && schema.items ? [exampleOf(document, schema.items, name.replace(/s$/, ""), depth + 1)] : [];
    case "object":
      return typeof schema.additionalProperties === "object" && depth < MAX_DEPTH
        ? { name: exampleOf(document, schema.additionalProperties, "", depth + 1) }
        : {};
    default:
      return null;
  }
}

export function curlOf(document: Document, { method, path, operation }: Placed): string {
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}-H "Authorization: Bearer $RUNYARD_TOKEN"`];
  const address = path.replace(/\{([^}]+)\}/g, (_all, name: string) => `$${name.toUpperCase()}`);
  const needed = (operation.parameters ?? []).filter((parameter) => parameter.in === "query" && parameter.required);
  const query = needed.map(({ name }) => `${name}=…`).join("&");
  lines.push(`"$RUNYARD_SERVER${address}${query ? `?${query}` : ""}"`);
  const streams = Object.values(operation.responses).some((answer) => "text/event-stream" in (answer.content ?? {}));
  if (streams) lines[0] = lines[0]!.replace("curl ", "curl -N ");
  const content = operation.requestBody?.content ?? {};
  const form = content["multipart/form-data"];
  const json = content["application/json"];
  if (form?.schema?.properties?.["files"]) lines.push('-F "prompt=Analyze data.csv and create visualizations"', '-F "files=@data.csv"');
  else if (json?.schema) {
    const schema = json.schema.$ref ? document.components.schemas[nameOf(json.schema.$ref)] : json.schema;
    const keys = schema?.required?.length ? schema.required : Object.keys(schema?.properties ?? {}).slice(0, 2);
    const body = Object.fromEntries(keys.map((key) => [key, exampleOf(document, schema?.properties?.[key] ?? {}, key)]));
    lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(body)}'`);
  }
  return lines.join(" \\\n  ");
}

function text(name: string, format: string | undefined): string {
  if (format === "date-time") return "2026-01-31T10:30:00.000Z";
  if (format === "binary") return "…";
  if (name.endsWith("_id")) return "01a20050-c1be-76d7-b592-ba985a8be29d";
  if (/colou?r|background/.test(name)) return "#0F766E";
  if (name === "path") return "output/chart.svg";
  return "…";
}
