"""Generates runyard/_sync from runyard/_async, so that both clients share one source.

`--check` only reports whether runyard/_sync is up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "src" / "runyard"

RULES = [
    (r"await asyncio\.to_thread\(([\w.]+)(?:, )?", r"\1("),
    (r"asyncio\.sleep", "time.sleep"),
    (r"^import asyncio\n(?=(?:.*\n)*?import time\n)", ""),
    (r"^import asyncio\n", ""),
    # The synchronous client refuses async functions.
    (r"^ *if inspect\.isawaitable\(value\):\n *value = await value\n", ""),
    (r"^import inspect\n", ""),
    (r"may_await=True", "may_await=False"),
    (r"import together\b", "import one_by_one"),
    (r"await together\(", "one_by_one("),
    (r"^import grpc\.aio\n", ""),
    (r"grpc\.aio\.", "grpc."),
    (r"\baiter_bytes\b", "iter_bytes"),
    (r"\baclose\b", "close"),
    (r"runyard\._async", "runyard._sync"),
    (r"\bAsync(?=[A-Z])(?!IO)", ""),
    (r"\basync (def|for|with) ", r"\1 "),
    (r"\bawait ", ""),
    (r"__a(iter|next|enter|exit)__", r"__\1__"),
    (r"  # noqa: ASYNC\d+.*", ""),
    (r"an asyncio channel belongs to the running event loop", "creating a client sends nothing"),
    (
        r'"""The asyncio client\. make_sync\.py generates runyard/_sync from this folder\."""',
        '"""The synchronous client."""',
    ),
]
HEADER = "# Generated from runyard/_async by make_sync.py: edit the source there.\n"


def converted(text: str) -> str:
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return HEADER + text


def main() -> int:
    wanted = {path.name: converted(path.read_text()) for path in sorted((SOURCE / "_async").glob("*.py"))}
    target = SOURCE / "_sync"
    present = {path.name: path.read_text() for path in target.glob("*.py")}
    if "--check" in sys.argv:
        old = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        print(f"not up to date, run make_sync.py: {', '.join(old)}" if old else "runyard/_sync is up to date")
        return bool(old)
    target.mkdir(exist_ok=True)
    for name in present.keys() - wanted.keys():
        (target / name).unlink()
    for name, text in wanted.items():
        (target / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
