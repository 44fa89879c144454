// Tables for previews: reads CSV and TSV files, and sorts rows by a column.
import Papa from "papaparse";

export interface Table {
  header: string[];
  rows: string[][];
  /** Whether the file has more rows than the table. */
  more: boolean;
}

export interface Order {
  column: number;
  direction: "ascending" | "descending";
}

/** Reads up to `maxRows` rows after the header. The separator is guessed from the first lines. */
export function readTable(text: string, maxRows: number): Table {
  const { data } = Papa.parse<string[]>(text, { delimitersToGuess: [",", ";", "\t", "|"], skipEmptyLines: true, preview: maxRows + 2 });
  const [header = [], ...rows] = data;
  return { header, rows: rows.slice(0, maxRows), more: rows.length > maxRows };
}

/** Whether a column contains only numbers, which are aligned right and sorted by value. */
export function isNumeric(table: Pick<Table, "rows">, column: number): boolean {
  const cells = table.rows.map((row) => row[column] ?? "").filter((cell) => cell !== "");
  return cells.length > 0 && cells.every((cell) => /^[-+]?[\d.,\s]+%?$/.test(cell));
}

/** Returns the order after a click on the head of a column: ascending, descending, then the order of the file. */
export function nextOrder(order: Order | null, column: number): Order | null {
  if (order?.column !== column) return { column, direction: "ascending" };
  return order.direction === "ascending" ? { column, direction: "descending" } : null;
}

/** Sorts a copy of the rows. Rows with equal cells keep their order, and empty cells come last in both directions. */
export function sorted(table: Pick<Table, "rows">, order: Order | null): readonly string[][] {
  if (!order) return table.rows;
  const { column, direction } = order;
  const numeric = isNumeric(table, column);
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const sign = direction === "ascending" ? 1 : -1;
  return [...table.rows].sort((left, right) => {
    const [a, b] = [left[column] ?? "", right[column] ?? ""];
    if (a === "" || b === "") return Number(a === "") - Number(b === "");
    return sign * (numeric ? valueOf(a) - valueOf(b) : collator.compare(a, b));
  });
}

// Commas and spaces separate thousands, except a comma that a point does not follow and that ends with one or two digits.
function valueOf(cell: string): number {
  const plain = cell.replace(/[\s%]/g, "");
  return Number(/^[-+]?\d+,\d{1,2}$/.test(plain) ? plain.replace(",", ".") : plain.replaceAll(",", "")) || 0;
}
