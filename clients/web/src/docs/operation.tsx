// One operation of the API, with an example command and a form that sends a request.
import { ChevronRight } from "lucide";
import { useState } from "preact/hooks";
import { CopyButton } from "../parts/copy";
import { Icon } from "../parts/icon";
import { Markdown } from "../parts/markdown";
import { curlOf, exampleOf } from "./example";
import { type Content, type Document, type Placed, inner, nameOf } from "./openapi";
import { Field, SchemaView } from "./schema";
import { TryIt } from "./try";

export function OperationView({ document, placed, open, onToggle }: { document: Document; placed: Placed; open: boolean; onToggle: () => void }) {
  const { method, path, operation } = placed;
  return (
    <article class="operation" id={operation.operationId}>
      <h3>
        <button type="button" class="operation-head" aria-expanded={open} onClick={onToggle}>
          <Icon of={ChevronRight} size={15} />
          <span class={`method method-${method}`}>{method}</span>
          <code class="path">{path}</code>
          <span class="operation-summary">{operation.summary}</span>
        </button>
      </h3>
      {open && <Body document={document} placed={placed} />}
    </article>
  );
}

function Body({ document, placed }: { document: Document; placed: Placed }) {
  const { operation } = placed;
  const parameters = operation.parameters ?? [];
  const [tries, setTries] = useState(false);
  return (
    <div class="operation-body">
      {operation.description && <Markdown text={operation.description} />}
      <Code label="Command" text={curlOf(document, placed)} language="sh" />
      <section>
        <button type="button" class="button button-small" aria-expanded={tries} onClick={() => setTries(!tries)}>
          {tries ? "Close the form" : "Try it"}
        </button>
        {tries && <TryIt document={document} placed={placed} />}
      </section>
      {parameters.length > 0 && (
        <section>
          <h4>Parameters</h4>
          <dl class="fields">
            {parameters.map((parameter) => (
              <Field
                key={`${parameter.in}-${parameter.name}`}
                document={document}
                name={parameter.name}
                schema={{ ...parameter.schema, ...(parameter.description ? { description: parameter.description } : {}) }}
                isRequest
                required={parameter.required ?? false}
                above={[]}
                note={<span class="small dim">in the {parameter.in}</span>}
              />
            ))}
          </dl>
        </section>
      )}
      {operation.requestBody && (
        <section>
          <h4>Body</h4>
          <Bodies document={document} content={operation.requestBody.content} />
        </section>
      )}
      <section>
        <h4>Responses</h4>
        <Answers document={document} placed={placed} />
      </section>
    </div>
  );
}

function Answers({ document, placed }: { document: Document; placed: Placed }) {
  return (
    <ul class="answers">
      {Object.entries(placed.operation.responses).map(([status, response]) => {
        const resolved = response.$ref ? document.components.responses[nameOf(response.$ref)] : response;
        if (!resolved) return null;
        return <AnswerView key={status} document={document} status={status} description={resolved.description ?? ""} content={resolved.content ?? {}} />;
      })}
    </ul>
  );
}

function AnswerView({ document, status, description, content }: { document: Document; status: string; description: string; content: Content }) {
  const [open, setOpen] = useState(status.startsWith("2"));
  const has = Object.keys(content).length > 0;
  return (
    <li class="answer">
      <h5>
        {has ? (
          <button type="button" class="answer-head" aria-expanded={open} onClick={() => setOpen(!open)}>
            <Icon of={ChevronRight} size={14} />
            <AnswerWords status={status} description={description} />
          </button>
        ) : (
          <span class="answer-head">
            <AnswerWords status={status} description={description} />
          </span>
        )}
      </h5>
      {has && open && <Bodies document={document} content={content} example />}
    </li>
  );
}

function AnswerWords({ status, description }: { status: string; description: string }) {
  return (
    <>
      <span class={`status status-${status[0]}`}>{status}</span>
      <span class="answer-words">{description}</span>
    </>
  );
}

/** The types of a request body have nearly the same fields, so only the first one is open. */
function Bodies({ document, content, example = false }: { document: Document; content: Content; example?: boolean }) {
  const all = Object.entries(content);
  return (
    <>
      {all.map(([type, { schema }], at) => {
        const name = (
          <>
            <code>{type}</code>
            {schema?.$ref && ` · ${nameOf(schema.$ref)}`}
          </>
        );
        const fields = schema && <SchemaView document={document} schema={schema} isRequest={!example} />;
        if (!example && all.length > 1) {
          return (
            <details key={type} class="body body-folded" open={at === 0}>
              <summary class="small dim">{name}</summary>
              {fields}
            </details>
          );
        }
        return (
          <div key={type} class="body">
            <p class="small dim">{name}</p>
            {fields}
            {example && schema && type === "application/json" && inner(document, schema)?.name && (
              <Code label="Example" text={JSON.stringify(exampleOf(document, schema), null, 2)} language="json" />
            )}
          </div>
        );
      })}
    </>
  );
}

function Code({ label, text, language }: { label: string; text: string; language: string }) {
  return (
    <div class="code-block">
      <div class="code-head">
        <span>
          {label} · {language}
        </span>
        <CopyButton text={text} what={`the ${label.toLowerCase()}`} />
      </div>
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </div>
  );
}
