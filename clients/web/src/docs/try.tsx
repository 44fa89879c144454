// "Try it": sends a request to this server and shows the response, also while it streams.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Field, Note, Spinner } from "../parts/basic";
import { freshToken, keepRenewing } from "../renewal";
import { resume, token as consoleToken } from "../session";
import { download } from "../stores/download";
import { bytes } from "../view/format";
import type { Document, Parameter, Placed } from "./openapi";
import { type BodyKind, type Draft, type FormField, draftOf, fieldsOf, isNeeded, isPublic, kindsOf, problemOf, requestOf } from "./request";
import { entered } from "./token";

/** Maximum number of characters of a response on the page. */
const MAX_SHOWN = 200_000;

interface Received {
  status: number;
  words: string;
  tookMs: number;
  requestId: string | null;
  text: string;
  isCut: boolean;
  /** A body that is no text. */
  file: { content: Blob; name: string } | null;
  isOpen: boolean;
}

let session: Promise<void> | null = null;

/** Takes over the sign-in of the console, once. */
function signedIn(): Promise<void> {
  session ??= resume().then(keepRenewing);
  return session;
}

export function TryIt({ document, placed }: { document: Document; placed: Placed }) {
  const draft = useSignal<Draft>(draftOf(document, placed));
  const problem = useSignal<string | null>(null);
  const received = useSignal<Received | null>(null);
  const sending = useSignal<AbortController | null>(null);
  const ready = useSignal(false);
  useEffect(() => {
    void signedIn().then(() => (ready.value = true));
    return () => sending.peek()?.abort();
  }, []);
  const change = (part: Partial<Draft>) => {
    draft.value = { ...draft.value, ...part };
    problem.value = null;
  };
  const send = async () => {
    problem.value = problemOf(placed, draft.value) ?? (isPublic(placed) || usesConsole() || entered.value?.trim() ? null : "Enter a token or an API key.");
    if (problem.value !== null || sending.value) return;
    const abort = new AbortController();
    sending.value = abort;
    received.value = null;
    try {
      const token = isPublic(placed) ? null : usesConsole() ? await freshToken() : entered.value!.trim();
      const { url, init } = requestOf(placed, draft.value, token);
      await receive(await timed(url, { ...init, signal: abort.signal }), (now) => (received.value = now));
    } catch (error) {
      const last = received.peek();
      if (abort.signal.aborted) received.value = last === null ? null : { ...last, isOpen: false };
      else problem.value = `The request failed: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      sending.value = null;
    }
  };
  const kinds = kindsOf(document, placed);
  const parameters = placed.operation.parameters ?? [];
  return (
    <form
      class="try"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {ready.value && !isPublic(placed) && <Credential onChange={() => (problem.value = null)} />}
      {parameters.length > 0 && (
        <div class="try-fields">
          {parameters.map((parameter) => (
            <ParameterField
              key={parameter.name}
              parameter={parameter}
              value={draft.value.parameters[parameter.name] ?? ""}
              onValue={(value) => change({ parameters: { ...draft.value.parameters, [parameter.name]: value } })}
            />
          ))}
        </div>
      )}
      {kinds.length > 1 && (
        <Field label="Send the body as">
          <select value={draft.value.kind ?? ""} onChange={(event) => change({ kind: event.currentTarget.value as BodyKind })}>
            {kinds.map((kind) => (
              <option key={kind} value={kind}>
                {KIND_WORDS[kind]}
              </option>
            ))}
          </select>
        </Field>
      )}
      {draft.value.kind === "json" && (
        <Field label="Body (JSON)" wide>
          <textarea class="try-json" rows={8} spellcheck={false} value={draft.value.json} onInput={(event) => change({ json: event.currentTarget.value })} />
        </Field>
      )}
      {draft.value.kind === "form" && <FormFields fields={fieldsOf(document, placed)} draft={draft.value} onChange={change} />}
      {draft.value.kind === "file" && (
        <Field label="Body (file)">
          <input type="file" onChange={(event) => change({ files: { body: [...(event.currentTarget.files ?? [])] } })} />
        </Field>
      )}
      {problem.value !== null && <Note kind="error">{problem.value}</Note>}
      <div class="try-actions">
        <button type="submit" class={placed.method === "delete" ? "button button-danger" : "button button-primary"} disabled={sending.value !== null}>
          Send the request
        </button>
        {sending.value && (
          <button type="button" class="button" onClick={() => sending.value?.abort()}>
            Stop
          </button>
        )}
        <span class="small dim">{placed.method === "get" ? "Reads from this server." : "Changes real data of your account on this server."}</span>
      </div>
      {sending.value && !received.value && <Spinner label="Waiting for the response" />}
      {received.value && <ResponseView of={received.value} />}
    </form>
  );
}

const KIND_WORDS: Record<BodyKind, string> = { json: "JSON", form: "form with files", file: "file" };

/** Whether requests are sent with the sign-in of the console. */
function usesConsole(): boolean {
  return consoleToken.value !== null && entered.value === null;
}

function Credential({ onChange }: { onChange: () => void }) {
  const enter = (value: string | null) => {
    entered.value = value;
    onChange();
  };
  if (usesConsole()) {
    return (
      <p class="small dim">
        Uses your sign-in of the console.{" "}
        <button type="button" class="try-link" onClick={() => enter("")}>
          Use another token
        </button>
      </p>
    );
  }
  const hint = "This page forgets the token when you leave it.";
  return (
    <>
      <Field label="Token or API key" hint={consoleToken.value === null ? `You are not signed in to the console. ${hint}` : hint}>
        <input type="password" autocomplete="off" spellcheck={false} value={entered.value ?? ""} onInput={(event) => enter(event.currentTarget.value)} />
      </Field>
      {consoleToken.value !== null && (
        <p class="small dim">
          <button type="button" class="try-link" onClick={() => enter(null)}>
            Use your sign-in of the console
          </button>
        </p>
      )}
    </>
  );
}

function ParameterField({ parameter, value, onValue }: { parameter: Parameter; value: string; onValue: (value: string) => void }) {
  const label = `${parameter.name}${isNeeded(parameter) ? "" : " (optional)"}`;
  const choices = parameter.schema?.type === "boolean" ? ["true", "false"] : parameter.schema?.enum;
  if (choices) {
    return (
      <Field label={label}>
        <select value={value} onChange={(event) => onValue(event.currentTarget.value)}>
          <option value="" />
          {choices.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      </Field>
    );
  }
  return (
    <Field label={label}>
      <input autocomplete="off" spellcheck={false} value={value} onInput={(event) => onValue(event.currentTarget.value)} />
    </Field>
  );
}

/** Number of a form's fields that are always shown. */
const SHOWN_FIELDS = 2;

function FormFields({ fields, draft, onChange }: { fields: readonly FormField[]; draft: Draft; onChange: (part: Partial<Draft>) => void }) {
  const view = (field: FormField) => {
    const { name, takes, schema } = field;
    if (takes !== "text") {
      return (
        <Field key={name} label={name}>
          <input type="file" multiple={takes === "files"} onChange={(event) => onChange({ files: { ...draft.files, [name]: [...(event.currentTarget.files ?? [])] } })} />
        </Field>
      );
    }
    const parameter: Parameter = { name, in: "query", schema };
    const onValue = (value: string) => onChange({ fields: { ...draft.fields, [name]: value } });
    return <ParameterField key={name} parameter={parameter} value={draft.fields[name] ?? ""} onValue={onValue} />;
  };
  const [first, rest] = [fields.filter(isFirst), fields.filter((field) => !isFirst(field))];
  return (
    <>
      <div class="try-fields">{first.map(view)}</div>
      {rest.length > 0 && (
        <details>
          <summary>More fields</summary>
          <div class="try-fields">{rest.map(view)}</div>
        </details>
      )}
    </>
  );

  function isFirst(field: FormField): boolean {
    return fields.indexOf(field) < SHOWN_FIELDS || field.takes !== "text";
  }
}

function ResponseView({ of: { status, words, tookMs, requestId, text, isCut, file, isOpen } }: { of: Received }) {
  return (
    <section class="try-response" aria-label="Response">
      <p class="try-status">
        <strong class={`status status-${String(status)[0]}`}>
          {status} {words}
        </strong>
        <span class="small dim numbers">{Math.round(tookMs)} ms</span>
        {requestId && <code class="small dim">{requestId}</code>}
        {isOpen && <span class="small dim">streaming</span>}
      </p>
      {file ? (
        <button type="button" class="button" onClick={() => download(file.name, file.content)}>
          Download {file.name} ({bytes(file.content.size)})
        </button>
      ) : (
        text !== "" && (
          <div class="code-block">
            <pre tabIndex={0}>
              <code>{text}</code>
            </pre>
          </div>
        )
      )}
      {isCut && <p class="small dim">The response is longer than this page shows.</p>}
    </section>
  );
}

async function timed(url: string, init: RequestInit): Promise<{ response: Response; tookMs: number }> {
  const began = performance.now();
  const response = await fetch(url, { ...init, credentials: "omit", cache: "no-store" });
  return { response, tookMs: performance.now() - began };
}

async function receive({ response, tookMs }: { response: Response; tookMs: number }, show: (now: Received) => void): Promise<void> {
  const type = response.headers.get("Content-Type") ?? "";
  const head = { status: response.status, words: response.statusText, tookMs, requestId: response.headers.get("X-Request-Id"), text: "", isCut: false, file: null, isOpen: false };
  if (!/^(text\/|application\/json)/.test(type) && response.ok) {
    const content = await response.blob();
    show({ ...head, file: content.size > 0 ? { content, name: "response" } : null });
    return;
  }
  if (!type.startsWith("text/event-stream") || !response.body) {
    const text = await response.text();
    const isCut = text.length > MAX_SHOWN;
    show({ ...head, text: type.startsWith("application/json") && !isCut ? indented(text) : text.slice(0, MAX_SHOWN), isCut });
    return;
  }
  let text = "";
  let isCut = false;
  show({ ...head, isOpen: true });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    isCut ||= text.length + piece.value.length > MAX_SHOWN;
    // The newest events stay.
    text = (text + piece.value).slice(-MAX_SHOWN);
    show({ ...head, text, isCut, isOpen: true });
  }
  show({ ...head, text, isCut });
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
