// A JSON result as a table, a tree or text. Screens load this on demand, because most results are plain text.
import { useMemo } from "preact/hooks";
import { type Json, isFlat, listIn, tableOf } from "../view/json";
import { Output } from "./arguments";
import { JsonTree } from "./json_tree";
import { TableView } from "./table_view";
import { type View, Views } from "./views";

/** A list of flat objects is shown as a table at first, and another value as text. */
export function JsonResult({ label, text, value }: { label: string; text: string; value: Json }) {
  const views = useMemo(() => viewsOf(label, text, value), [label, text, value]);
  return (
    <div class="json-result">
      <Views label="Show as" views={views} />
    </div>
  );
}

function viewsOf(label: string, text: string, value: Json): View[] {
  const list = listIn(value);
  const table = isFlat(list) ? tableOf(list) : null;
  const asText: View = { label: "Text", draw: () => <Output label={label} text={text} language="json" /> };
  const asTree: View = { label: "Tree", draw: () => <JsonTree value={value} /> };
  return table ? [{ label: "Table", draw: () => <TableView table={table} /> }, asTree, asText] : [asText, asTree];
}
