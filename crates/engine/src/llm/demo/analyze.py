# Usage: python3 analyze.py FILE TASK
# Analyzes a table (CSV or TSV) with pandas: writes output/report.md and output/chart.png, and prints a summary. Columns
# that the task names are preferred.
import os
import sys
import warnings

import matplotlib

matplotlib.use("Agg")
warnings.simplefilter("ignore")
import matplotlib.pyplot as plt
import pandas as pd
from pandas.api import types

file, task = sys.argv[1], sys.argv[2].lower()
os.makedirs("output", exist_ok=True)

data = pd.read_csv(file, sep="\t" if file.lower().endswith((".tsv", ".tab")) else None, engine="python", nrows=1_000_000)
data.columns = [str(name).strip() for name in data.columns]
if data.empty:
    sys.exit(f"{file} has no rows")


def preferred(columns):
    """Returns the column that the task names, or the first one."""
    named = [name for name in columns if name.lower() in task]
    return (named or list(columns) or [None])[0]


numbers = [name for name in data.columns if types.is_numeric_dtype(data[name]) and data[name].notna().any()]
others = [name for name in data.columns if name not in numbers]
times = {}
for name in others:
    as_times = pd.to_datetime(data[name].astype(str), errors="coerce")
    if data[name].notna().any() and as_times.notna().mean() > 0.9:
        times[name] = as_times
groups = [name for name in others if name not in times and data[name].nunique() <= 100]

# The last number of a row is usually its result: a total, a price, a measurement.
value = preferred([name for name in numbers if name.lower() in task] or numbers[::-1])
group = preferred(groups)
time = preferred(times)

width, height = (10, 4.8) if value and (time or group) else (8, 4.8)
figure, axes = plt.subplots(figsize=(width, height))
if value is None:
    column = preferred(others)
    points = data[column].astype(str).value_counts().head(20)[::-1]
    title = f"Rows by {column}"
    points.plot.barh(ax=axes, color="#2f6fb5")
    axes.set_xlabel("rows")
    axes.set_ylabel("")
elif time and (group is None or time.lower() in task or group.lower() not in task):
    frame = data.assign(**{time: times[time]})
    title = f"{value} by {time}"
    points = frame.groupby(time)[value].sum().sort_index()
    if group and 1 < data[group].nunique() <= 8:
        title += f" and {group}"
        frame.pivot_table(index=time, columns=group, values=value, aggfunc="sum").plot(ax=axes, marker="o", markersize=3)
    else:
        points.plot(ax=axes, color="#2f6fb5", marker="o", markersize=3)
    axes.set_ylabel(value)
elif group:
    points = data.groupby(group)[value].sum().sort_values().tail(20)
    title = f"{value} by {group}"
    points.plot.barh(ax=axes, color="#2f6fb5")
    axes.set_xlabel(value)
    axes.set_ylabel("")
else:
    points = data[value].dropna()
    title = f"Distribution of {value}"
    points.plot.hist(ax=axes, bins=20, color="#2f6fb5")
    axes.set_xlabel(value)
axes.set_title(title)
axes.grid(alpha=0.3)
figure.tight_layout()
figure.savefig("output/chart.png", dpi=120)


def cell(text):
    return str(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


lines = [f"**{cell(file)}** has {len(data)} rows and {len(data.columns)} columns: {', '.join(map(cell, data.columns))}.", ""]
if value is not None:
    named = points.index.strftime("%Y-%m-%d") if isinstance(points.index, pd.DatetimeIndex) else points.index
    if title.startswith("Distribution"):
        lines.append(f"- {cell(value)}: {points.min():,.6g} to {points.max():,.6g}, mean {points.mean():,.6g}.")
    else:
        lines.append(f"- Highest: {cell(named[points.argmax()])} with {points.max():,.6g}.")
        lines.append(f"- Lowest: {cell(named[points.argmin()])} with {points.min():,.6g}.")
        lines.append(f"- Total of {cell(value)}: {data[value].sum():,.10g}.")
missing = int(data.isna().sum().sum())
lines.append(f"- Missing values: {missing}.")

columns = ["| column | kind | filled | different |", "| --- | --- | ---: | ---: |"]
for name in data.columns:
    kind = "number" if name in numbers else "date" if name in times else "text"
    columns.append(f"| {cell(name)} | {kind} | {data[name].notna().sum()} | {data[name].nunique()} |")
with open("output/report.md", "w") as report:
    report.write(f"# {cell(file)}\n\n" + "\n".join(lines) + f"\n\n## {cell(title)}\n\n![{cell(title)}](chart.png)\n\n## Columns\n\n")
    report.write("\n".join(columns) + f"\n\nCreated by `{sys.argv[0]}` with pandas {pd.__version__} from the whole file.\n")
print("\n".join(lines) + f"\n\nFiles: `output/report.md`, `output/chart.png`, `{sys.argv[0]}`.")
