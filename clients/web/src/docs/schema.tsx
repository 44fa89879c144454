// A schema as a list of fields. A field with an object type expands.
import type { ComponentChild } from "preact";
import { useState } from "preact/hooks";
import { Markdown } from "../parts/markdown";
import { type Document, type Schema, inner, typeOf } from "./openapi";

export function SchemaView({
  document,
  schema,
  isRequest,
  above = [],
}: {
  document: Document;
  schema: Schema;
  /** Whether the schema belongs to a request. Only request fields are marked as required. */
  isRequest: boolean;
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
          isRequest={isRequest}
          required={isRequest && (found.schema.required?.includes(name) ?? false)}
          above={found.name ? [...above, found.name] : above}
        />
      ))}
    </dl>
  );
}

function Values({ schema }: { schema: Schema }) {
  return <div class="values">{schema.description ? <Markdown text={schema.description} /> : schema.enum?.map((value) => <code key={value}>{value}</code>)}</div>;
}

export function Field({
  document,
  name,
  schema,
  isRequest,
  required,
  above,
  note,
}: {
  document: Document;
  name: string;
  schema: Schema;
  isRequest: boolean;
  required: boolean;
  above: readonly string[];
  note?: ComponentChild;
}) {
  const [open, setOpen] = useState(false);
  const found = inner(document, schema);
  // A recursive type does not expand inside itself.
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
            <SchemaView document={document} schema={schema} isRequest={isRequest} above={above} />
          </div>
        )}
      </dd>
    </>
  );
}
