// Formats numbers, sizes and times for display.

const whole = new Intl.NumberFormat("en-US");
const money = new Intl.NumberFormat("en-US", { minimumFractionDigits: 0, maximumFractionDigits: 2 });
const fine = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 2 });

/** For example 12,459. */
export function count(value: number | bigint): string {
  return whole.format(value);
}

/** For example "1 run" or "3 runs". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** For example 19.7k. */
export function short(value: number): string {
  if (value < 1000) return String(value);
  if (value < 999_950) return `${trim(value / 1000)}k`;
  return `${trim(value / 1_000_000)}M`;
}

/** For example 12.5. Amounts below 0.01 have two significant digits. */
export function credits(value: number): string {
  return value > 0 && value < 0.01 ? fine.format(value) : money.format(value);
}

/** For example 12.5 kB. */
export function bytes(value: number | bigint): string {
  const size = Number(value);
  if (size < 1000) return `${size} B`;
  if (size < 999_950) return `${trim(size / 1000)} kB`;
  if (size < 999_950_000) return `${trim(size / 1_000_000)} MB`;
  return `${trim(size / 1_000_000_000)} GB`;
}

/** For example 40 ms, 0.3 s, 12 s or 3 min 20 s. */
export function duration(ms: number): string {
  if (ms < 100) return ms < 1 ? "< 1 ms" : `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** For example "3 min ago". After 24 hours, returns the date. */
export function ago(then: number | Date, now: number): string {
  const seconds = Math.round((now - Number(then)) / 1000);
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return day(then);
}

/** For example 21 Nov 2026. */
export function day(at: number | Date): string {
  return new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** For example 21 Nov: the UTC day, as the axis of a chart shows it. */
export function dayOfMonth(at: number): string {
  return new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
}

/** For example 21 Nov 2026, 22:53. */
export function dayAndTime(at: number | Date): string {
  return new Date(at).toLocaleString("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  });
}

export function excerpt(text: string, maxLength: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1).trimEnd()}…`;
}

function trim(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
}

/** A text without the most frequent marks of Markdown, for one line of a list. */
export function withoutMarks(text: string): string {
  return text.replace(/\*\*|`/g, "");
}
