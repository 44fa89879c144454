// Parses the first rows of a CSV or TSV file for a preview.

export interface Table {
  header: string[];
  rows: string[][];
  more: boolean;
}

/** The separator is the candidate that occurs most often in the first line. */
export function readTable(text: string, maxRows: number): Table {
  const rows: string[][] = [];
  const separator = guessSeparator(text);
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const endRow = () => {
    row.push(cell);
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
    cell = "";
  };
  for (; at < text.length && rows.length <= maxRows; at += 1) {
    const letter = text[at]!;
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (letter === '"' && cell === "") quoted = true;
    else if (letter === separator) {
      row.push(cell);
      cell = "";
    } else if (letter === "\n") endRow();
    else if (letter !== "\r") cell += letter;
  }
  if (rows.length <= maxRows && (cell !== "" || row.length > 0)) endRow();
  const header = rows.shift() ?? [];
  return { header, rows: rows.slice(0, maxRows), more: at < text.length || rows.length > maxRows };
}

/** Whether a column contains only numbers, which are aligned right. */
export function isNumeric(table: Table, column: number): boolean {
  const cells = table.rows.map((row) => row[column] ?? "").filter((cell) => cell !== "");
  return cells.length > 0 && cells.every((cell) => /^[-+]?[\d.,\s]+%?$/.test(cell));
}

function guessSeparator(text: string): string {
  const line = text.slice(0, 4096).split("\n", 1)[0] ?? "";
  const candidates = [",", ";", "\t", "|"];
  const times = (letter: string) => line.split(letter).length - 1;
  return candidates.reduce((best, letter) => (times(letter) > times(best) ? letter : best));
}
