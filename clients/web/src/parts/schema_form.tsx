// The form for a question of an MCP server: a control for each field of the schema.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type FormField, type FormValue, type FormValues, argumentsOf, initialValues } from "../view/schema_form";
import { Field } from "./basic";
import { Foot } from "./form_foot";

/** Texts that may be longer than this get a field with several lines. */
const LONG_TEXT = 200;
const INPUT_TYPES = { email: "email", uri: "url", date: "date", "date-time": "datetime-local" } as const;

export function SchemaForm({
  fields,
  sending,
  onAnswer,
  onDecline,
}: {
  fields: readonly FormField[];
  sending: boolean;
  onAnswer: (args: Record<string, unknown>) => void;
  onDecline: () => void;
}) {
  const [values, setValues] = useState<FormValues>(() => initialValues(fields));
  const [mistakes, setMistakes] = useState<Record<string, string>>({});
  const [attempts, setAttempts] = useState(0);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [attempts]);
  const send = () => {
    const filled = argumentsOf(fields, values);
    // The value of a number or a date that the browser cannot read is empty.
    const unread = [...form.current!.elements].filter((each) => each instanceof HTMLInputElement && each.validity.badInput);
    const wrong = Object.fromEntries(unread.map((each) => [(each as HTMLInputElement).name, "This is not a complete value."]));
    if ("args" in filled && unread.length === 0) onAnswer(filled.args);
    else {
      setMistakes({ ...("mistakes" in filled ? filled.mistakes : {}), ...wrong });
      setAttempts(attempts + 1);
    }
  };
  return (
    <form
      ref={form}
      class="asks-form"
      aria-label="Answer the question"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {fields.map((field) => (
        <Control
          key={field.name}
          field={field}
          value={values[field.name] ?? field.initial}
          mistake={mistakes[field.name]}
          onChange={(value) => {
            setValues({ ...values, [field.name]: value });
            const { [field.name]: _corrected, ...others } = mistakes;
            setMistakes(others);
          }}
        />
      ))}
      <Foot send="Send answer" other="Decline" otherClass="button-deny" sending={sending} onOther={onDecline} />
    </form>
  );
}

interface ControlProps {
  field: FormField;
  value: FormValue;
  mistake: string | undefined;
  onChange: (value: FormValue) => void;
}

function Control(props: ControlProps) {
  const { field, value, onChange } = props;
  switch (field.kind) {
    case "check":
      return (
        <label class="check">
          <input type="checkbox" checked={value === true} onChange={(event) => onChange(event.currentTarget.checked)} />
          <span>
            {field.label}
            {field.hint && <span class="field-hint"> {field.hint}</span>}
          </span>
        </label>
      );
    case "choices":
      return <Choices {...props} options={field.options} chosen={Array.isArray(value) ? value : []} />;
    default:
      return <Line {...props} text={String(value)} />;
  }
}

/** A field with one value. */
function Line({ field, text, mistake, onChange }: ControlProps & { text: string }) {
  const common = {
    name: field.name,
    value: text,
    "aria-invalid": mistake !== undefined,
    "aria-required": field.isRequired,
    onInput: (event: { currentTarget: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement }) => onChange(event.currentTarget.value),
  };
  return (
    <Field label={field.label} hint={hintOf(field, mistake)}>
      {field.kind === "choice" ? (
        <select {...common}>
          {(!field.isRequired || field.initial === "") && <option value="">{field.isRequired ? "Choose a value" : "No answer"}</option>}
          {field.options.map((option, at) => (
            <option key={at} value={String(at)}>
              {option.label}
            </option>
          ))}
        </select>
      ) : field.kind === "number" ? (
        <input type="number" step={field.isInteger ? 1 : "any"} min={field.min ?? undefined} max={field.max ?? undefined} {...common} />
      ) : field.kind === "text" && field.format ? (
        <input {...({ ...common, type: INPUT_TYPES[field.format] } as object)} />
      ) : field.kind === "text" && (field.max === null || field.max <= LONG_TEXT) ? (
        <input type="text" autocomplete="off" {...common} />
      ) : (
        <textarea class={field.kind === "text" ? undefined : "code"} rows={3} {...common} />
      )}
    </Field>
  );
}

function Choices({ field, options, chosen, mistake, onChange }: ControlProps & { options: readonly { label: string }[]; chosen: readonly number[] }) {
  const id = useId();
  return (
    <fieldset class="asks-choices" aria-describedby={id}>
      <legend class="field-label">{field.label}</legend>
      {options.map((option, at) => (
        <label key={at} class="check">
          <input
            type="checkbox"
            aria-invalid={at === 0 && mistake !== undefined}
            checked={chosen.includes(at)}
            onChange={(event) => onChange(event.currentTarget.checked ? [...chosen, at] : chosen.filter((each) => each !== at))}
          />
          <span>{option.label}</span>
        </label>
      ))}
      <span class="field-hint" id={id}>
        {hintOf(field, mistake)}
      </span>
    </fieldset>
  );
}

function hintOf(field: FormField, mistake: string | undefined): ComponentChildren {
  const words = [field.hint, field.isRequired ? "" : "Optional.", field.kind === "json" ? "Enter JSON." : ""].filter(Boolean).join(" ");
  if (!mistake) return words;
  return (
    <>
      <span class="bad">{mistake}</span> {words}
    </>
  );
}
