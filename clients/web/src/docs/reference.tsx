// The page of the API reference: a filter, the services and their operations.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Note, Spinner } from "../parts/basic";
import { Brand } from "../parts/brand";
import { Markdown } from "../parts/markdown";
import { announcement } from "../stores/announce";
import { type Document, type Placed, services } from "./openapi";
import { OperationView } from "./operation";

export function Reference() {
  const document = useSignal<Document | null>(null);
  const failed = useSignal(false);
  useEffect(() => {
    fetch("/openapi.json")
      .then((answer) => (answer.ok ? (answer.json() as Promise<Document>) : Promise.reject(new Error(answer.statusText))))
      .then(
        (read) => (document.value = read),
        () => (failed.value = true),
      );
  }, []);
  return (
    <>
      {document.value ? (
        <Pages document={document.value} />
      ) : (
        <main class="reference-main">
          <h1>Runyard API</h1>
          {failed.value ? <Note kind="error">The API description could not be loaded. Reload this page in a moment.</Note> : <Spinner label="Loading the reference" />}
        </main>
      )}
      <div class="unseen" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </>
  );
}

function Pages({ document }: { document: Document }) {
  const query = useSignal("");
  const open = useSignal<ReadonlySet<string>>(new Set(location.hash ? [location.hash.slice(1)] : []));
  useEffect(() => {
    const show = () => {
      const name = decodeURIComponent(location.hash.slice(1));
      if (!name) return;
      open.value = new Set(open.value).add(name);
      requestAnimationFrame(() => globalThis.document.getElementById(name)?.scrollIntoView());
    };
    show();
    addEventListener("hashchange", show);
    return () => removeEventListener("hashchange", show);
  }, []);
  const needle = query.value.trim().toLowerCase();
  const matches = ({ method, path, operation }: Placed) => `${method} ${path} ${operation.operationId} ${operation.summary ?? ""}`.toLowerCase().includes(needle);
  const shown = services(document)
    .map((service) => ({ ...service, operations: service.operations.filter(matches) }))
    .filter(({ operations }) => operations.length > 0);
  const toggle = (name: string) => {
    const next = new Set(open.value);
    if (!next.delete(name)) {
      next.add(name);
      history.replaceState(null, "", `#${name}`);
    }
    open.value = next;
  };
  return (
    <div class="reference">
      <header class="reference-side">
        <a class="side-brand" href="/" aria-label="Runyard console">
          <Brand />
        </a>
        <nav aria-label="Services">
          <ul>
            {shown.map(({ name, operations }) => (
              <li key={name}>
                <a href={`#${name}`}>
                  {title(name)} <span class="badge">{operations.length}</span>
                </a>
              </li>
            ))}
          </ul>
        </nav>
      </header>
      <main class="reference-main">
        <div>
          <h1>
            {document.info.title} API <span class="small dim numbers">{document.info.version}</span>
          </h1>
          {document.info.description && <Markdown text={document.info.description} />}
          <p class="small">
            <a href="/openapi.json">openapi.json</a> · base URL <code>{location.origin}</code>
            {document.servers?.some(({ url }) => url === "/v1") && (
              <>
                {" "}
                or <code>{location.origin}/v1</code>
              </>
            )}{" "}
            · authenticate with a token or an API key in <code>Authorization: Bearer …</code>, or an API key in <code>X-API-Key</code>
          </p>
        </div>
        <input
          type="search"
          class="search"
          aria-label="Find an operation"
          placeholder="Find an operation"
          value={query.value}
          onInput={(event) => (query.value = event.currentTarget.value)}
        />
        {shown.length === 0 && <p class="dim">No matching operations.</p>}
        {shown.map(({ name, description, operations }) => (
          <section key={name} id={name} class="service" aria-labelledby={`${name}-title`}>
            <h2 id={`${name}-title`}>{title(name)}</h2>
            <Markdown text={description} />
            {operations.map((placed) => (
              <OperationView
                key={placed.operation.operationId}
                document={document}
                placed={placed}
                open={open.value.has(placed.operation.operationId)}
                onToggle={() => toggle(placed.operation.operationId)}
              />
            ))}
          </section>
        ))}
      </main>
    </div>
  );
}

// For example, `AccountService` becomes "Accounts", and `MemoryService` "Memories".
function title(name: string): string {
  const noun = name.replace(/Service$/, "").replace(/([a-z])([A-Z])/g, "$1 $2");
  if (noun === "Admin") return "Administration";
  return /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}${/[sx]$/.test(noun) ? "es" : "s"}`;
}
