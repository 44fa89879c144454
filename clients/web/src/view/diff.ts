// Line diffs: compares two texts, and parses a unified diff from a tool.

/** A line of kind "place" is a hunk header, or stands for skipped lines. */
export interface DiffLine {
  kind: "same" | "added" | "removed" | "place";
  text: string;
}

/**
 * Limits the cost of a comparison, which grows with the product of the two line counts. If the product exceeds the
 * square of this limit, all lines between the first and the last change are shown as changed.
 */
const MAX_LINES = 2_000;
/** Number of unchanged lines around a change. */
const CONTEXT = 3;

export function difference(before: string, after: string): DiffLine[] {
  // `split` would return one line for an empty text.
  const left = before === "" ? [] : before.split("\n");
  const right = after === "" ? [] : after.split("\n");
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (
    end < left.length - start &&
    end < right.length - start &&
    left[left.length - 1 - end] === right[right.length - 1 - end]
  ) {
    end += 1;
  }
  const middle = compare(left.slice(start, left.length - end), right.slice(start, right.length - end));
  const same = (text: string): DiffLine => ({ kind: "same", text });
  return shorten([...left.slice(0, start).map(same), ...middle, ...left.slice(left.length - end).map(same)]);
}

export function unified(text: string): DiffLine[] {
  return text.split("\n").map((line) => {
    if (line.startsWith("@@")) return { kind: "place", text: line };
    if (line.startsWith("+")) return { kind: "added", text: line.slice(1) };
    if (line.startsWith("-")) return { kind: "removed", text: line.slice(1) };
    return { kind: "same", text: line.startsWith(" ") ? line.slice(1) : line };
  });
}

// Finds the longest common subsequence with a table of lengths.
function compare(left: string[], right: string[]): DiffLine[] {
  const removed = (text: string): DiffLine => ({ kind: "removed", text });
  const added = (text: string): DiffLine => ({ kind: "added", text });
  if (left.length * right.length > MAX_LINES * MAX_LINES) return [...left.map(removed), ...right.map(added)];
  const width = right.length + 1;
  const lengths = new Uint32Array((left.length + 1) * width);
  for (let row = left.length - 1; row >= 0; row -= 1) {
    for (let column = right.length - 1; column >= 0; column -= 1) {
      lengths[row * width + column] =
        left[row] === right[column]
          ? lengths[(row + 1) * width + column + 1]! + 1
          : Math.max(lengths[(row + 1) * width + column]!, lengths[row * width + column + 1]!);
    }
  }
  const lines: DiffLine[] = [];
  let row = 0;
  let column = 0;
  while (row < left.length && column < right.length) {
    if (left[row] === right[column]) {
      lines.push({ kind: "same", text: left[row]! });
      row += 1;
      column += 1;
    } else if (lengths[(row + 1) * width + column]! >= lengths[row * width + column + 1]!) {
      lines.push(removed(left[row]!));
      row += 1;
    } else {
      lines.push(added(right[column]!));
      column += 1;
    }
  }
  return [...lines, ...left.slice(row).map(removed), ...right.slice(column).map(added)];
}

function shorten(lines: DiffLine[]): DiffLine[] {
  const near = new Array<boolean>(lines.length).fill(false);
  lines.forEach((line, at) => {
    if (line.kind === "same") return;
    for (let place = at - CONTEXT; place <= at + CONTEXT; place += 1) near[place] = true;
  });
  const kept: DiffLine[] = [];
  let left = 0;
  lines.forEach((line, at) => {
    if (near[at]) {
      if (left > 0) kept.push({ kind: "place", text: left === 1 ? "1 unchanged line" : `${left} unchanged lines` });
      left = 0;
      kept.push(line);
    } else left += 1;
  });
  if (left > 0 && kept.length > 0) kept.push({ kind: "place", text: left === 1 ? "1 unchanged line" : `${left} unchanged lines` });
  return kept;
}
