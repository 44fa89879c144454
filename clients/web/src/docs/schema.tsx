// A schema as a list of its fields, each of which opens what it is made of.
import type { ComponentChild } from "preact";
import { useState } from "preact/hooks";
import { Markdown } from "../parts/markdown";
import { type Document, type Schema, inner, typeOf } from "./openapi";

/** The fields of a schema, or its values. */
export function SchemaView({
  document,
  schema,
  asked,
  above = [],
}: {
  document: Document;
  schema: Schema;
  /** Whether it is sent, so that it matters which fields are required. */
  asked: boolean;
  above?: readonly string[];
}) {
  const found = inner(document, schema);
  if (!found) {
    return (
      <p>
        <code class="type">{typeOf(schema)}</code> {schema.description && <Markdown text={schema.description} />}
      </p>
    );
  }
  if (found.schema.enum) return <Values schema={found.schema} />;
  return (
    <dl class="fields">
      {Object.entries(found.schema.properties ?? {}).map(([name, field]) => (
        <Field
          key={name}
          document={document}
          name={name}
          schema={field}
          asked={asked}
          required={asked && (found.schema.required?.includes(name) ?? false)}
          above={found.name ? [...above, found.name] : above}
        />
      ))}
    </dl>
  );
}

function Values({ schema }: { schema: Schema }) {
  return <div class="values">{schema.description ? <Markdown text={schema.description} /> : schema.enum?.map((value) => <code key={value}>{value}</code>)}</div>;
}

/** A field with its type and what it means. */
export function Field({
  document,
  name,
  schema,
  asked,
  required,
  above,
  note,
}: {
  document: Document;
  name: string;
  schema: Schema;
  asked: boolean;
  required: boolean;
  above: readonly string[];
  note?: ComponentChild;
}) {
  const [open, setOpen] = useState(false);
  const found = inner(document, schema);
  // What contains itself is not opened again inside itself.
  const opens = found !== null && !(found.name && above.includes(found.name));
  return (
    <>
      <dt>
        <code class="field-name">{name}</code>
        {opens ? (
          <button type="button" class="type type-open" aria-expanded={open} aria-label={`${name}: ${typeOf(schema)}`} onClick={() => setOpen(!open)}>
            {typeOf(schema)}
          </button>
        ) : (
          <code class="type">{typeOf(schema)}</code>
        )}
        {required && <span class="small required">required</span>}
        {note}
      </dt>
      <dd>
        {schema.description && <Markdown text={schema.description} />}
        {opens && open && (
          <div class="inner">
            <SchemaView document={document} schema={schema} asked={asked} above={above} />
          </div>
        )}
      </dd>
    </>
  );
}
