// An editor for an agent's approvals: the rules about tool calls, and the expiry of unanswered inputs.
import { ArrowDown, ArrowUp, Plus, Trash2 } from "lucide";
import { useId } from "preact/hooks";
import type { AgentTool, ApprovalSettings } from "@runyard/client";
import { Field } from "./basic";
import { Icon } from "./icon";

export type Approvals = ApprovalSettings;
type Rule = Approvals["rules"][number];

const MAX_RULES = 64;
const HOUR = 3_600;
/** Choices of the expiry: seconds and words. The server's default is a day. */
const EXPIRY: [number, string][] = [
  [HOUR, "An hour"],
  [24 * HOUR, "A day"],
  [7 * 24 * HOUR, "A week"],
  [30 * 24 * HOUR, "30 days"],
];

export function ApprovalEditor({ approvals, tools, onChange }: { approvals: Approvals; tools: readonly AgentTool[]; onChange: (approvals: Approvals) => void }) {
  const names = useId();
  const { rules } = approvals;
  const setRules = (next: Rule[]) => onChange({ ...approvals, rules: next });
  const expiry = approvals.expiresAfterSeconds ?? 24 * HOUR;
  return (
    <>
      <datalist id={names}>
        {["*", ...tools.map((tool) => tool.name)].map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {rules.length > 0 && (
        <ol class="rules" aria-label="Rules, in order">
          {rules.map((rule, at) => (
            <li key={at}>
              <RuleRow
                rule={rule}
                number={at + 1}
                names={names}
                onChange={(next) => setRules(rules.map((each, place) => (place === at ? next : each)))}
                onRemove={() => setRules(rules.filter((_, place) => place !== at))}
                onUp={at > 0 ? () => setRules(swapped(rules, at - 1)) : undefined}
                onDown={at < rules.length - 1 ? () => setRules(swapped(rules, at)) : undefined}
              />
            </li>
          ))}
        </ol>
      )}
      <p>
        <button
          type="button"
          class="button button-small"
          disabled={rules.length >= MAX_RULES}
          onClick={() => setRules([...rules, { tool: "bash", decision: "ask", commands: [] }])}
        >
          <Icon of={Plus} size={15} />
          Add rule
        </button>
      </p>
      <Field label="A request expires after" hint="Also for questions and client tools.">
        <select value={String(expiry)} onChange={(event) => onChange({ ...approvals, expiresAfterSeconds: Number(event.currentTarget.value) })}>
          {!EXPIRY.some(([seconds]) => seconds === expiry) && <option value={String(expiry)}>{expiry} seconds</option>}
          {EXPIRY.map(([seconds, words]) => (
            <option key={seconds} value={String(seconds)}>
              {words}
            </option>
          ))}
        </select>
      </Field>
      <Field label="When a request expires">
        <select value={approvals.failOnExpiry ? "fail" : "go on"} onChange={(event) => onChange({ ...approvals, failOnExpiry: event.currentTarget.value === "fail" })}>
          <option value="go on">The model is told that no answer arrived</option>
          <option value="fail">The run fails</option>
        </select>
      </Field>
    </>
  );
}

function RuleRow({
  rule,
  number,
  names,
  onChange,
  onRemove,
  onUp,
  onDown,
}: {
  rule: Rule;
  number: number;
  names: string;
  onChange: (rule: Rule) => void;
  onRemove: () => void;
  onUp: (() => void) | undefined;
  onDown: (() => void) | undefined;
}) {
  return (
    <div class="rule" role="group" aria-label={`Rule ${number}`}>
      <div class="rule-row">
        <Field label="Tool">
          <input
            required
            class="code"
            maxLength={512}
            list={names}
            value={rule.tool}
            onInput={(event) => {
              const tool = event.currentTarget.value;
              onChange({ ...rule, tool, commands: tool === "bash" ? rule.commands : [] });
            }}
          />
        </Field>
        <Field label="A call">
          <select value={rule.decision} onChange={(event) => onChange({ ...rule, decision: event.currentTarget.value as Rule["decision"] })}>
            <option value="auto">runs at once</option>
            <option value="ask">waits for approval</option>
            <option value="deny">is refused</option>
          </select>
        </Field>
        <div class="rule-buttons">
          <button type="button" class="button-icon" aria-label={`Move rule ${number} up`} disabled={!onUp} onClick={onUp}>
            <Icon of={ArrowUp} size={16} />
          </button>
          <button type="button" class="button-icon" aria-label={`Move rule ${number} down`} disabled={!onDown} onClick={onDown}>
            <Icon of={ArrowDown} size={16} />
          </button>
          <button type="button" class="button-icon" aria-label={`Remove rule ${number}`} onClick={onRemove}>
            <Icon of={Trash2} size={16} />
          </button>
        </div>
      </div>
      {rule.tool === "bash" && (
        <Field label="Commands" hint="One pattern per line; * stands for any characters. Leave empty for all commands.">
          <textarea
            class="code"
            rows={2}
            value={rule.commands.join("\n")}
            onInput={(event) => onChange({ ...rule, commands: event.currentTarget.value === "" ? [] : event.currentTarget.value.split("\n") })}
            onBlur={(event) => onChange({ ...rule, commands: patternsOf(event.currentTarget.value) })}
          />
        </Field>
      )}
    </div>
  );
}

/** Returns the rules with the rule at a position and the next one swapped. */
function swapped(rules: readonly Rule[], at: number): Rule[] {
  const next = [...rules];
  [next[at], next[at + 1]] = [next[at + 1]!, next[at]!];
  return next;
}

function patternsOf(text: string): string[] {
  return [...new Set(text.split("\n").map((line) => line.trim()).filter(Boolean))];
}
