// An editor for an agent's MCP servers: their transports, their tools, and a connection test.
import { useSignal } from "@preact/signals";
import { Plug, Plus, Trash2 } from "lucide";
import type { AgentVersion } from "@runyard/client";
import { runyard } from "../client";
import { explainError } from "../errors";
import { Field, Note } from "./basic";
import { counted } from "../view/format";
import { Icon } from "./icon";

export type McpServer = AgentVersion["customMcps"][number];

export function blankServer(): McpServer {
  return { name: "", type: "http", url: "", command: "", args: [], headers: {}, enabledTools: [] };
}

export function McpEditor({
  label,
  agentId,
  servers,
  onChange,
  onAdd,
}: {
  label: string;
  /** The agent whose stored headers the connection test uses. */
  agentId?: string | undefined;
  servers: readonly McpServer[];
  onChange: (servers: McpServer[]) => void;
  onAdd: () => McpServer;
}) {
  const set = (at: number, change: Partial<McpServer>) => onChange(servers.map((server, place) => (place === at ? { ...server, ...change } : server)));
  return (
    <section class="mcp" aria-label={label}>
      <div class="section-head">
        <h2>{label}</h2>
        <button type="button" class="button button-small" onClick={() => onChange([...servers, onAdd()])}>
          <Icon of={Plus} size={15} />
          Add server
        </button>
      </div>
      {servers.length === 0 && <p class="small dim">None.</p>}
      {servers.map((server, at) => (
        <div key={at} class="mcp-server" role="group" aria-label={server.name || `Server ${at + 1}`}>
          <div class="mcp-row">
            <Field label="Name">
              <input required maxLength={64} value={server.name} onInput={(event) => set(at, { name: event.currentTarget.value })} />
            </Field>
            <Field label="Transport">
              <select value={server.type} onChange={(event) => set(at, reachedBy(event.currentTarget.value as McpServer["type"]))}>
                <option value="http">Streamable HTTP</option>
                <option value="sse">Server-sent events (SSE)</option>
                <option value="stdio">Command in the sandbox (stdio)</option>
              </select>
            </Field>
            <button type="button" class="button-icon" aria-label={`Remove ${server.name || `server ${at + 1}`}`} onClick={() => onChange(servers.filter((_server, place) => place !== at))}>
              <Icon of={Trash2} size={16} />
            </button>
          </div>
          {server.type === "stdio" ? (
            <>
              <Field label="Command">
                <input required value={server.command} onInput={(event) => set(at, { command: event.currentTarget.value })} />
              </Field>
              <Field label="Arguments" hint="One per line.">
                <textarea class="code" rows={2} value={server.args.join("\n")} onInput={(event) => set(at, { args: linesOf(event.currentTarget.value) })} />
              </Field>
            </>
          ) : (
            <>
              <Field label="URL">
                <input required type="url" placeholder="https://…" value={server.url} onInput={(event) => set(at, { url: event.currentTarget.value })} />
              </Field>
              <Field label="Headers" hint="One per line, as Name: value. ${secret:NAME} inserts a secret of the account. Stored values are shown as ***.">
                <textarea
                  class="code"
                  rows={2}
                  value={Object.entries(server.headers)
                    .map(([name, value]) => (value === "" ? name : `${name}: ${value}`))
                    .join("\n")}
                  onInput={(event) => set(at, { headers: headersOf(event.currentTarget.value) })}
                />
              </Field>
            </>
          )}
          <Field label="Enabled tools" hint="One per line. Leave empty to enable all tools.">
            <textarea
              class="code"
              rows={2}
              value={server.enabledTools.join("\n")}
              onInput={(event) => set(at, { enabledTools: linesOf(event.currentTarget.value) })}
              onBlur={(event) => set(at, { enabledTools: toolsOf(event.currentTarget.value) })}
            />
          </Field>
          <Trial server={server} agentId={agentId} />
        </div>
      ))}
    </section>
  );
}

function Trial({ server, agentId }: { server: McpServer; agentId: string | undefined }) {
  const busy = useSignal(false);
  const result = useSignal<{ kind: "good" | "error"; text: string } | null>(null);
  const test = async () => {
    busy.value = true;
    result.value = null;
    try {
      const { connected, reason, tools } = await runyard().agents.testMcpServer(server, agentId);
      result.value = connected ? { kind: "good", text: `Connected, ${counted(tools.length, "tool")}.` } : { kind: "error", text: `Not connected: ${reason}.` };
    } catch (error) {
      const explained = explainError(error);
      result.value = explained && { kind: "error", text: explained.text };
    } finally {
      busy.value = false;
    }
  };
  const shown = result.value;
  return (
    <div class="mcp-trial">
      <button type="button" class="button button-small" disabled={busy.value} onClick={() => void test()}>
        <Icon of={Plug} size={15} />
        {busy.value ? "Testing" : "Test"}
      </button>
      {shown && <Note kind={shown.kind}>{shown.text}</Note>}
    </div>
  );
}

// Clears the fields of other transports: the form hides these fields, and the server would refuse them.
function reachedBy(type: McpServer["type"]): Partial<McpServer> {
  return type === "stdio" ? { type, url: "", headers: {} } : { type, command: "", args: [] };
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.split("\n");
}

// Parses tool names, one per line. The server refuses empty and duplicate names.
function toolsOf(text: string): string[] {
  return [...new Set(linesOf(text).map((line) => line.trim()).filter(Boolean))];
}

function headersOf(text: string): Record<string, string> {
  const pairs = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line): [string, string] => {
      const at = line.indexOf(":");
      return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).replace(/^ /, "")];
    });
  return Object.fromEntries(pairs);
}
