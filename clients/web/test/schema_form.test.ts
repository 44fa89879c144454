// Tests of the forms for the questions of MCP servers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dayAndTime } from "../src/view/format";
import { type FormField, argumentsOf, formOf, initialValues, labelled } from "../src/view/schema_form";

const JOURNEY = {
  type: "object",
  properties: {
    day: { type: "string", title: "Day", description: "Day of the journey.", enum: ["mo", "tu"], enumNames: ["Monday", "Tuesday"], default: "tu" },
    seat: { oneOf: [{ const: "a", title: "Aisle" }, { const: "w", title: "Window" }], type: "string" },
    meals: { type: "array", minItems: 1, maxItems: 2, items: { anyOf: [{ const: "fish", title: "Fish" }, { const: "rice" }, { const: "none" }] }, default: ["rice"] },
    tags: { type: "array", items: { type: "string", enum: ["x", "y"] } },
    seats: { type: "integer", minimum: 1, maximum: 9, default: 2 },
    price: { type: "number" },
    insured: { type: "boolean", default: true },
    email: { type: "string", format: "email" },
    site: { type: "string", format: "uri" },
    born: { type: "string", format: "date" },
    at: { type: "string", format: "date-time" },
    code: { type: "string", minLength: 2, maxLength: 3 },
    extra: { type: "object" },
  },
  required: ["day", "seats", "seat"],
};

function form(properties: Record<string, unknown>, required: string[] = []): FormField[] {
  return formOf({ type: "object", properties, required })!;
}

/** Fills in one field. */
function filled(property: Record<string, unknown>, value: string | boolean | readonly number[], required = false) {
  const read = argumentsOf(form({ a: property }, required ? ["a"] : []), { a: value });
  return "args" in read ? read.args["a"] : read.mistakes;
}

test("each property of a schema becomes a field of its kind, with its texts and its default", () => {
  const fields = formOf(JOURNEY)!;
  assert.deepEqual(
    fields.map(({ name, kind, isRequired, initial }) => [name, kind, isRequired, initial]),
    [
      ["day", "choice", true, "1"],
      ["seat", "choice", true, ""],
      ["seats", "number", true, "2"],
      ["meals", "choices", false, [1]],
      ["tags", "choices", false, []],
      ["price", "number", false, ""],
      ["insured", "check", false, true],
      ["email", "text", false, ""],
      ["site", "text", false, ""],
      ["born", "text", false, ""],
      ["at", "text", false, ""],
      ["code", "text", false, ""],
      ["extra", "json", false, ""],
    ],
  );
  const [day, seat, , meals] = fields;
  assert.deepEqual([day!.label, day!.hint, seat!.label], ["Day", "Day of the journey.", "seat"]);
  const labels = [day, seat, meals].map((field) => (field && "options" in field ? field.options.map((option) => option.label) : null));
  assert.deepEqual(labels, [["Monday", "Tuesday"], ["Aisle", "Window"], ["Fish", "rice", "none"]]);
});

test("a schema without properties has no form, and an object without fields has an empty one", () => {
  assert.equal(formOf({}), null);
  assert.equal(formOf({ type: "string" }), null);
  assert.equal(formOf({ type: "object", properties: [] }), null);
  assert.deepEqual(formOf({ type: "object", properties: {} }), []);
  assert.deepEqual(argumentsOf([], {}), { args: {} });
});

test("the values become arguments of their types, and empty fields are left out", () => {
  const fields = formOf(JOURNEY)!;
  const values = { ...initialValues(fields), seat: "0", meals: [2, 0], price: "9.5", code: "ab", extra: '{"a":1}' };
  assert.deepEqual(argumentsOf(fields, values), {
    args: { day: "tu", seat: "a", meals: ["fish", "none"], seats: 2, price: 9.5, insured: true, code: "ab", extra: { a: 1 } },
  });
  assert.equal(filled({ type: "boolean" }, false), false);
  assert.equal(filled({ enum: [1, 2] }, "1"), 2);
  assert.deepEqual(filled({ type: "array", items: { enum: ["x"] } }, [], true), []);
});

test("a required field without a value is a mistake", () => {
  const fields = formOf(JOURNEY)!;
  assert.deepEqual(argumentsOf(fields, { ...initialValues(fields), seats: " " }), {
    mistakes: { seat: "Choose a value.", seats: "Fill in this field." },
  });
});

test("values outside the limits of the schema are mistakes", () => {
  const wrong = (property: Record<string, unknown>, value: string | readonly number[]) => {
    const read = filled(property, value);
    return typeof read === "object" && read !== null ? (read as { a?: string }).a : read;
  };
  assert.equal(wrong({ type: "number" }, "many"), "Enter a number.");
  assert.equal(wrong({ type: "integer" }, "1.5"), "Enter a whole number.");
  assert.equal(wrong({ type: "integer", minimum: 1 }, "0"), "Enter 1 or more.");
  assert.equal(wrong({ type: "number", maximum: 0.5 }, "0.6"), "Enter 0.5 or less.");
  assert.equal(wrong({ type: "string", minLength: 2 }, "🦀"), "Enter 2 characters or more.");
  assert.equal(wrong({ type: "string", maxLength: 1 }, "ab"), "Enter 1 character or fewer.");
  assert.equal(wrong({ type: "object" }, "{"), "This is not valid JSON.");
  const several = { type: "array", items: { enum: ["x", "y", "z"] }, minItems: 2, maxItems: 2 };
  assert.equal(wrong(several, [0]), "Choose 2 or more.");
  assert.equal(wrong(several, [0, 1, 2]), "Choose 2 or fewer.");
});

test("texts with a format are checked, and a time becomes a time in UTC", () => {
  const read = (format: string, text: string) => filled({ type: "string", format }, text);
  assert.equal(read("email", "ada@example.com"), "ada@example.com");
  assert.deepEqual(read("email", "ada"), { a: "Enter an email address." });
  assert.equal(read("uri", "https://example.com/a"), "https://example.com/a");
  assert.deepEqual(read("uri", "example.com"), { a: "Enter an address, such as https://example.com." });
  assert.equal(read("date", "2026-11-29"), "2026-11-29");
  assert.deepEqual(read("date", "29 November"), { a: "Enter a date." });
  assert.equal(read("date-time", "2026-11-29T10:00"), new Date("2026-11-29T10:00").toISOString());
  assert.deepEqual(read("date-time", "soon"), { a: "Enter a date and a time." });
  assert.equal(read("unknown", "as it is"), "as it is");
});

test("a default time is shown in the time zone of the browser", () => {
  const at = new Date("2026-11-29T10:00:00.000Z");
  const [field] = form({ a: { type: "string", format: "date-time", default: at.toISOString() } });
  assert.equal(new Date(String(field!.initial)).getTime(), at.getTime());
});

test("an answer is shown with the labels of the form", () => {
  assert.deepEqual(labelled(JOURNEY, { other: { a: 1 }, insured: false, meals: ["fish", "rice"], day: "mo", seats: 3 }), [
    ["Day", "Monday"],
    ["seats", "3"],
    ["meals", "Fish, rice"],
    ["insured", "no"],
    ["other", '{"a":1}'],
  ]);
  const now = new Date();
  assert.deepEqual(labelled(JOURNEY, { at: now.toISOString(), born: "2026-11-29" }), [["born", "2026-11-29"], ["at", dayAndTime(now)]]);
  assert.deepEqual(labelled(null, { a: "b" }), [["a", "b"]]);
});
