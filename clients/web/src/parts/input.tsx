// An input that a run waits for: what is asked, the controls to answer it, and then the decision.
import { Check, CircleSlash, Clock, Hand, MessageCircleQuestion, Plug } from "lucide";
import type { IconNode } from "lucide";
import type { InputAnswer } from "@runyard/client";
import { useId, useRef, useState } from "preact/hooks";
import { explainError } from "../errors";
import { useNow } from "../stores/clock";
import { answer as send } from "../stores/inputs";
import { duration } from "../view/format";
import { type ArgumentField, type InputKind, type InputView, answered, argsOf, choicesOf, decisionWords, fieldsOf, serverOf, titleOf } from "../view/input";
import type { Explained } from "../view/refusal";
import { formOf, labelled } from "../view/schema_form";
import { Arguments } from "./arguments";
import { Field, RefusalNote } from "./basic";
import { Foot } from "./form_foot";
import { Icon } from "./icon";
import { SchemaForm } from "./schema_form";

const SIGNS: Record<InputKind, IconNode> = { approval: Hand, client_tool: Plug, question: MessageCircleQuestion };

type Given = Omit<InputAnswer, "inputId">;
/** Sends an answer. */
type Answer = (given: Given) => void;

/**
 * `args` are the arguments with which the call runs: those of the model, or the edited ones. With `withCall`, a question
 * of an MCP server also shows its call; in a thread, the call is shown above the question.
 */
export function InputCard({ input: asked, ended, args, withCall = false }: { input: InputView; ended: boolean; args: Record<string, unknown>; withCall?: boolean }) {
  // The answer is shown as soon as the server has accepted it, before its event arrives.
  const [accepted, setAccepted] = useState<InputView | null>(null);
  const [sending, setSending] = useState(false);
  const [refused, setRefused] = useState<Explained | null>(null);
  const card = useRef<HTMLDivElement>(null);
  const title = useId();
  const input = asked.answer ? asked : (accepted ?? asked);
  const answer: Answer = async (given) => {
    setSending(true);
    setRefused(null);
    try {
      const decided = await send(input.runId, { ...given, inputId: input.inputId });
      const { decision = "unspecified", text, isError, editedArguments } = decided;
      setAccepted(answered(asked, { decision, text, isError, arguments: editedArguments }));
      // The controls disappear, so the card takes over the focus.
      card.current?.focus();
    } catch (error) {
      setRefused(explainError(error));
    } finally {
      setSending(false);
    }
  };
  const isOpen = input.answer === null && !ended;
  return (
    <div ref={card} class={isOpen ? "asks asks-open" : "asks"} tabIndex={-1} role="group" aria-labelledby={title}>
      <div class="asks-head">
        <Icon of={SIGNS[input.kind]} size={16} />
        <strong id={title}>{titleOf(input.kind, isOpen)}</strong>
        {isOpen && input.expiresAt !== null && <Expiry at={input.expiresAt} />}
      </div>
      <p class="asks-message">{isOpen && input.kind === "approval" && input.name === "bash" ? "The agent wants to run this command:" : input.message}</p>
      {isOpen && serverOf(input) && (
        <p class="small dim">
          The MCP server <strong>{serverOf(input)}</strong> asks this and receives your answer. Do not enter passwords or keys.
        </p>
      )}
      {withCall && serverOf(input) && Object.keys(args).length > 0 && (
        <details class="asks-call small">
          <summary>Arguments of the call</summary>
          <Shown name={input.name} args={args} />
        </details>
      )}
      {input.kind !== "question" && !(isOpen && input.kind === "approval") && <Shown name={input.name} args={args} />}
      {refused && <RefusalNote explained={refused} onClose={() => setRefused(null)} />}
      {isOpen ? <Controls input={input} sending={sending} onAnswer={answer} /> : <Decision input={input} />}
    </div>
  );
}

/** The arguments. A diff shows no path, so the path of a changed file is shown above it. */
function Shown({ name, args }: { name: string; args: Record<string, unknown> }) {
  const path = args["path"];
  return (
    <>
      {(name === "write" || name === "edit") && typeof path === "string" && <code class="asks-path">{path}</code>}
      <Arguments name={name} args={args} />
    </>
  );
}

function Expiry({ at }: { at: number }) {
  const left = at - useNow();
  return <span class="asks-expiry small dim numbers">{left > 0 ? `expires in ${duration(left)}` : "expires now"}</span>;
}

function Decision({ input }: { input: InputView }) {
  const { answer } = input;
  const sign = !answer || answer.decision === "expired" || answer.decision === "cancelled" ? Clock : answer.decision === "deny" ? CircleSlash : Check;
  // The result of a client tool is the result of the call, which is shown below.
  const text = answer && answer.decision !== "result" ? answer.text : "";
  const values = input.kind === "question" && answer?.values ? labelled(input.schema, answer.values) : [];
  return (
    <>
      <p class="asks-decision">
        <Icon of={sign} size={16} />
        <span>
          <strong>{answer ? decisionWords(answer, input.kind) : "The run ended before this was answered"}</strong>
          {text && values.length === 0 && `: ${text}`}
        </span>
      </p>
      {values.length > 0 && (
        <dl class="asks-values">
          {values.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
    </>
  );
}

function Controls({ input, sending, onAnswer }: { input: InputView; sending: boolean; onAnswer: Answer }) {
  switch (input.kind) {
    case "approval":
      return <Approval input={input} sending={sending} onAnswer={onAnswer} />;
    case "question":
      return <Question input={input} sending={sending} onAnswer={onAnswer} />;
    case "client_tool":
      return <ClientResult sending={sending} onAnswer={onAnswer} />;
  }
}

function Approval({ input, sending, onAnswer }: { input: InputView; sending: boolean; onAnswer: Answer }) {
  const [open, setOpen] = useState<"edit" | "deny" | null>(null);
  const close = () => setOpen(null);
  if (open === "edit") return <Edit input={input} sending={sending} onAnswer={onAnswer} onClose={close} />;
  return (
    <>
      <Shown name={input.name} args={input.args} />
      {open === "deny" ? (
        <Deny sending={sending} onAnswer={onAnswer} onClose={close} />
      ) : (
        <div class="asks-actions">
          <button type="button" class="button button-primary" disabled={sending} onClick={() => onAnswer({ decision: "approve" })}>
            Approve
          </button>
          <button
            type="button"
            class="button"
            disabled={sending}
            title={`Later calls of ${input.name} in this thread run without asking${input.name === "bash" ? ", if the command is the same" : ""}.`}
            onClick={() => onAnswer({ decision: "approve", always: true })}
          >
            {input.name === "bash" ? "Always allow this command here" : `Always allow ${input.name} here`}
          </button>
          {Object.keys(input.args).length > 0 && (
            <button type="button" class="button" disabled={sending} onClick={() => setOpen("edit")}>
              Edit
            </button>
          )}
          <button type="button" class="button button-deny" disabled={sending} onClick={() => setOpen("deny")}>
            Deny
          </button>
        </div>
      )}
    </>
  );
}

function Edit({ input, sending, onAnswer, onClose }: { input: InputView; sending: boolean; onAnswer: Answer; onClose: () => void }) {
  const [fields, setFields] = useState<readonly ArgumentField[]>(() => fieldsOf(input.args));
  const [wrong, setWrong] = useState<string | null>(null);
  const change = (name: string, value: string) => {
    setFields(fields.map((field) => (field.name === name ? { ...field, value } : field)));
    setWrong(null);
  };
  return (
    <form
      class="asks-form"
      aria-label="Edit the arguments"
      onSubmit={(event) => {
        event.preventDefault();
        const edited = argsOf(fields);
        if ("wrong" in edited) setWrong(edited.wrong);
        else onAnswer({ decision: "approve", arguments: edited.args as NonNullable<Given["arguments"]> });
      }}
    >
      {fields.map(({ name, isText, value }, at) => (
        <Field key={name} label={name} hint={wrong === name ? "This is not valid JSON." : isText ? undefined : "JSON"}>
          <textarea
            class="code"
            rows={Math.min(12, value.split("\n").length + 1)}
            autofocus={at === 0}
            aria-invalid={wrong === name}
            value={value}
            onInput={(event) => change(name, event.currentTarget.value)}
          />
        </Field>
      ))}
      <Foot send="Approve with changes" other="Cancel" sending={sending} onOther={onClose} />
    </form>
  );
}

function Deny({ sending, onAnswer, onClose }: { sending: boolean; onAnswer: Answer; onClose: () => void }) {
  const [reason, setReason] = useState("");
  return (
    <form
      class="asks-form"
      aria-label="Deny"
      onSubmit={(event) => {
        event.preventDefault();
        onAnswer({ decision: "deny", text: reason.trim() });
      }}
    >
      <Field label="Reason" hint="Optional. The model reads it.">
        <textarea rows={2} maxLength={4000} autofocus value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
      </Field>
      <Foot send="Deny" sendClass="button-danger" other="Cancel" sending={sending} onOther={onClose} />
    </form>
  );
}

function Question({ input, sending, onAnswer }: { input: InputView; sending: boolean; onAnswer: Answer }) {
  const [text, setText] = useState("");
  const choices = choicesOf(input.args);
  const fields = input.schema && formOf(input.schema);
  if (fields) {
    return (
      <SchemaForm
        fields={fields}
        sending={sending}
        onAnswer={(args) => onAnswer({ decision: "answer", arguments: args as NonNullable<Given["arguments"]> })}
        onDecline={() => onAnswer({ decision: "deny" })}
      />
    );
  }
  return (
    <form
      class="asks-form"
      aria-label="Answer the question"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim()) onAnswer({ decision: "answer", text: text.trim() });
      }}
    >
      {choices.length > 0 && (
        <div class="asks-actions" role="group" aria-label="Choices">
          {choices.map((choice) => (
            <button key={choice} type="button" class="button asks-choice" disabled={sending} onClick={() => onAnswer({ decision: "answer", text: choice })}>
              {choice}
            </button>
          ))}
        </div>
      )}
      <Field label={choices.length > 0 ? "Another answer" : "Your answer"} hint={input.schema ? "A JSON object." : undefined}>
        <textarea rows={2} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </Field>
      <Foot send="Send answer" other="Do not answer" sending={sending} isEmpty={!text.trim()} onOther={() => onAnswer({ decision: "deny" })} />
    </form>
  );
}

function ClientResult({ sending, onAnswer }: { sending: boolean; onAnswer: Answer }) {
  const [text, setText] = useState("");
  const [isError, setIsError] = useState(false);
  return (
    <form
      class="asks-form"
      aria-label="Send the result"
      onSubmit={(event) => {
        event.preventDefault();
        onAnswer({ decision: "result", text, isError });
      }}
    >
      <Field label="Result" hint="Usually the program that started the run sends the result. You can also enter it here.">
        <textarea class="code" rows={3} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </Field>
      <label class="check">
        <input type="checkbox" checked={isError} onChange={(event) => setIsError(event.currentTarget.checked)} />
        <span>The tool failed; this text is the error.</span>
      </label>
      <Foot send="Send result" other="Deny" otherClass="button-deny" sending={sending} onOther={() => onAnswer({ decision: "deny" })} />
    </form>
  );
}
