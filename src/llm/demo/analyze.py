"""Summarizes a table into output/report.md and output/chart.svg, using only Python's standard library."""
import csv
import math
import os
from xml.sax.saxutils import escape

PLAN = __PLAN__

MISSING = {"", "-", "na", "n/a", "nan", "null", "none"}
MAX_DISTINCT = 10000
COLORS = ["#2f6fb5", "#dce9f6"]
FONT = "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\""


def number(text):
    text = text.strip().strip("$€£¥%").replace("\u00a0", "").replace(" ", "").replace("'", "")
    text = text.replace(".", "").replace(",", ".") if PLAN["decimal"] == "," else text.replace(",", "")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def show(value):
    if abs(value) >= 1e15:
        return "%g" % value
    text = "{:,.2f}".format(value).rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def rows():
    csv.field_size_limit(10_000_000)
    with open(PLAN["file"], encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = (line.replace("\0", "") for line in file)
        reader = csv.reader(lines, delimiter=PLAN["delimiter"])
        for position, row in enumerate(row for row in reader if any(cell.strip() for cell in row)):
            if position >= PLAN["header"]:
                yield row


def cell(row, column):
    return row[column - 1].strip() if 0 < column <= len(row) else ""


class Column:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.filled = self.missing = 0
        self.total, self.low, self.high = 0.0, math.inf, -math.inf
        self.counts = {}

    def add(self, text):
        if text.lower() in MISSING:
            self.missing += 1
            return
        if self.kind == "number":
            value = number(text)
            if value is None:
                self.missing += 1
                return
            self.total += value
            self.low, self.high = min(self.low, value), max(self.high, value)
        elif text in self.counts or len(self.counts) < MAX_DISTINCT:
            self.counts[text] = self.counts.get(text, 0) + 1
        self.filled += 1

    def describe(self):
        if not self.filled:
            return "empty"
        if self.kind == "number":
            mean = self.total / self.filled
            return f"{show(self.low)} to {show(self.high)}, mean {show(mean)}, sum {show(self.total)}"
        more = "at least " if len(self.counts) >= MAX_DISTINCT else ""
        top = max(self.counts, key=lambda key: self.counts[key])
        return f"{more}{len(self.counts)} different, most often {clean(top)} ({self.counts[top]})"


def clean(text):
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def read():
    columns = [Column(name, kind) for name, kind in PLAN["columns"]]
    groups, count = {}, 0
    for row in rows():
        count += 1
        for position, column in enumerate(columns):
            column.add(cell(row, position + 1))
        if not PLAN["group"]:
            continue
        key = cell(row, PLAN["group"]) or "(empty)"
        if PLAN["shape"] == "line":
            key = key[:10].replace("/", "-")
            if not key[:4].isdigit():
                continue
        value = number(cell(row, PLAN["value"])) if PLAN["value"] else 1.0
        if value is None or (key not in groups and len(groups) >= MAX_DISTINCT):
            continue
        group = groups.setdefault(key, [0.0, 0])
        group[0] += value
        group[1] += 1
    return columns, groups, count


def series(columns, groups):
    """Returns the points of the chart in drawing order."""
    if PLAN["shape"] == "histogram":
        return histogram(columns[PLAN["value"] - 1])
    for length in (7, 4):
        if PLAN["shape"] == "line" and len(groups) > 60:
            merged = {}
            for key, (total, count) in groups.items():
                group = merged.setdefault(key[:length], [0.0, 0])
                group[0] += total
                group[1] += count
            groups = merged
    points = [(key, total / count if PLAN["how"] == "mean" else total) for key, (total, count) in groups.items()]
    if PLAN["shape"] == "line":
        return sorted(points)[-240:]
    if PLAN["order"] == "seen":
        return points[:24]
    points.sort(key=lambda point: (-point[1], point[0]))
    rest = points[12:]
    if rest and PLAN["how"] != "mean":
        return points[:12] + [(f"{len(rest)} others", sum(value for _, value in rest))]
    return points[:12]


def histogram(column):
    if not column.filled:
        return []
    bins = 10 if column.high > column.low else 1
    width = (column.high - column.low) / bins or 1.0
    counts = [0] * bins
    for row in rows():
        value = number(cell(row, PLAN["value"]))
        if value is not None:
            counts[min(bins - 1, int((value - column.low) / width))] += 1
    if bins == 1:
        return [(show(column.low), counts[0])]
    edge = column.low
    return [(f"{show(edge + n * width)} – {show(edge + (n + 1) * width)}", count) for n, count in enumerate(counts)]


def ticks(low, high):
    low, high = min(0.0, low), max(0.0, high)
    if high == low:
        high = low + 1.0
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [step * n for n in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def text(x, y, content, size=12, anchor="start", fill="#333", more=""):
    content = escape("".join(c for c in content if c >= " "))
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"{more}>{content}</text>'


def short(label, limit):
    return label if len(label) <= limit else label[: limit - 1] + "…"


def frame(width, height, parts):
    title = escape(PLAN["title"])
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" {FONT}>',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(24, 34, PLAN["title"], 19, fill="#111", more=' font-weight="600"'),
        text(24, 54, PLAN["subtitle"], 12, fill="#666"),
    ]
    return "\n".join(head + parts + ["</svg>", ""])


def bars(points):
    names = [short(name, 26) for name, _ in points]
    left = 44 + 7 * max(len(name) for name in names)
    width, top, step = 860, 76, 30
    right, bottom = width - 90, top + step * len(points)
    marks = ticks(min(value for _, value in points), max(value for _, value in points))

    def x(value):
        return left + (right - left) * (value - marks[0]) / (marks[-1] - marks[0])

    parts = []
    for mark in marks:
        parts.append(f'<line x1="{x(mark):.1f}" y1="{top}" x2="{x(mark):.1f}" y2="{bottom}" stroke="#e3e6ea"/>')
        parts.append(text(x(mark), bottom + 18, show(mark), 11, "middle", "#666"))
    for position, (name, value) in enumerate(points):
        y, start = top + step * position + 5, min(x(0), x(value))
        length = abs(x(value) - x(0))
        parts.append(
            f'<rect x="{start:.1f}" y="{y}" width="{length:.1f}" height="20" rx="2" fill="{COLORS[0]}">'
            f"<title>{escape(name)}: {show(value)}</title></rect>"
        )
        parts.append(text(left - 10, y + 15, names[position], 12, "end"))
        parts.append(text(max(x(0), x(value)) + 6, y + 15, show(value), 11, fill="#444"))
    parts.append(f'<line x1="{x(0):.1f}" y1="{top}" x2="{x(0):.1f}" y2="{bottom}" stroke="#888"/>')
    parts.append(text((left + right) / 2, bottom + 40, PLAN["axis"], 12, "middle"))
    return frame(width, bottom + 56, parts)


def line(points):
    width, height, left, top = 860, 460, 90, 76
    right, bottom = width - 46, height - 70
    marks = ticks(min(value for _, value in points), max(value for _, value in points))

    def x(position):
        return left + (right - left) * position / max(1, len(points) - 1)

    def y(value):
        return bottom - (bottom - top) * (value - marks[0]) / (marks[-1] - marks[0])

    parts = []
    for mark in marks:
        parts.append(f'<line x1="{left}" y1="{y(mark):.1f}" x2="{right}" y2="{y(mark):.1f}" stroke="#e3e6ea"/>')
        parts.append(text(left - 10, y(mark) + 4, show(mark), 11, "end", "#666"))
    path = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, (_, value) in enumerate(points))
    zero = f"{y(0):.1f}"
    parts.append(f'<polygon points="{x(0):.1f},{zero} {path} {x(len(points) - 1):.1f},{zero}" fill="{COLORS[1]}"/>')
    parts.append(f'<polyline points="{path}" fill="none" stroke="{COLORS[0]}" stroke-width="2.5"/>')
    every = max(1, math.ceil(len(points) / 9))
    for n, (name, value) in enumerate(points):
        if len(points) <= 60:
            parts.append(
                f'<circle cx="{x(n):.1f}" cy="{y(value):.1f}" r="3.5" fill="{COLORS[0]}">'
                f"<title>{escape(name)}: {show(value)}</title></circle>"
            )
        if n % every == 0:
            parts.append(text(x(n), bottom + 20, name, 11, "middle", "#666"))
    parts.append(f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#888"/>')
    parts.append(text((left + right) / 2, bottom + 46, PLAN["across"], 12, "middle"))
    turn = f' transform="rotate(-90 22 {(top + bottom) / 2:.1f})"'
    parts.append(text(22, (top + bottom) / 2, PLAN["axis"], 12, "middle", more=turn))
    return frame(width, height, parts)


def report(columns, points, count):
    out = [f"# {clean(PLAN['file'])}", "", f"{count} rows, {len(columns)} columns.", ""]
    if points:
        out += [f"## {clean(PLAN['title'])}", "", f"![{clean(PLAN['title'])}](chart.svg)", ""]
        out += [f"| {clean(PLAN['across'])} | {clean(PLAN['axis'])} |", "| --- | ---: |"]
        out += [f"| {clean(name)} | {show(value)} |" for name, value in points[:40]]
        if len(points) > 40:
            out.append(f"| … {len(points) - 40} more | |")
        out.append("")
    else:
        out += ["There are no rows, so there is no chart.", ""]
    out += ["## Columns", "", "| column | kind | filled | missing | values |", "| --- | --- | ---: | ---: | --- |"]
    for column in columns:
        out.append(f"| {clean(column.name)} | {column.kind} | {column.filled} | {column.missing} | {column.describe()} |")
    return "\n".join(out + ["", "Created by `output/analyze.py` from the whole file.", ""])


def facts(columns, points, count):
    yield "rows", count
    for column in columns:
        if column.kind == "number" and column.filled:
            mean = column.total / column.filled
            yield "number", column.name, show(column.low), show(mean), show(column.high), show(column.total)
    if PLAN["shape"] == "line" and points:
        yield ("first",) + points[0]
        yield ("last",) + points[-1]
    for name, value in sorted(points, key=lambda point: -point[1])[:3]:
        yield "top", name, value
    if points and PLAN["how"] != "mean":
        yield "total", sum(value for _, value in points)
    yield "wrote", "output/report.md"
    if points:
        yield "wrote", "output/chart.svg"


def main():
    os.makedirs("output", exist_ok=True)
    columns, groups, count = read()
    points = series(columns, groups) if count else []
    if points:
        drawing = line(points) if PLAN["shape"] == "line" and len(points) > 1 else bars(points)
        with open("output/chart.svg", "w", encoding="utf-8") as file:
            file.write(drawing)
    with open("output/report.md", "w", encoding="utf-8") as file:
        file.write(report(columns, points, count))
    print("@@ facts")
    for fact in facts(columns, points, count):
        print("\t".join(show(part) if isinstance(part, float) else clean(str(part)) for part in fact))
    print("@@ end")


main()
