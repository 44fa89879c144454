"""Progress output of a run. A terminal shows it live, a notebook updates one output, and other outputs get lines.

`Progress` collects events, and a view displays them. In text from models and tools, control characters are removed for
a terminal and HTML is escaped for a notebook.
"""

from __future__ import annotations

import html
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from runyard.events import (
    InputAnswered,
    InputRequested,
    MessageDelta,
    MessageFinished,
    ModelUsage,
    Notice,
    RunEvent,
    StatusChanged,
    ToolCall,
    ToolResult,
    UserMessage,
)
from runyard.models import ENDED

SHOWN_ARGUMENT = 100
SHOWN_STEPS = 200
# Minimum seconds between updates of a notebook.
DRAW_EVERY = 0.1


@dataclass
class Step:
    """A tool call for display."""

    what: str
    outcome: str = "…"
    is_error: bool = False


@dataclass
class Progress:
    """The state of a run so far."""

    run_id: str
    status: str = "running"
    reason: str = ""
    text: str = ""
    """The message that is being received, or the last complete message."""
    is_text_whole: bool = True
    steps: dict[str, Step] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    model_calls: int = 0
    credits: float = 0.0

    def take(self, event: RunEvent) -> None:
        match event:
            case MessageDelta(text=text):
                self.text = text if self.is_text_whole else self.text + text
                self.is_text_whole = False
            case MessageFinished(text=text):
                # A message that contains only tool calls has no text. Keep the previous text.
                self.text = text or self.text
                self.is_text_whole = True
            case ToolCall():
                self.steps[event.tool_call_id] = Step(_call_in_words(event))
            case ToolResult():
                step = self.steps.setdefault(event.tool_call_id, Step(event.name))
                step.outcome = f"{event.duration_ms / 1000:.1f} s"
                step.is_error = event.is_error
            case ModelUsage():
                self.model_calls += 1
                self.credits += event.credits
            case InputRequested():
                step = self.steps.setdefault(event.tool_call_id, Step(event.name))
                step.outcome = "waiting for an answer"
            case InputAnswered():
                step = self.steps.setdefault(event.tool_call_id, Step("input"))
                step.outcome = _answered_in_words(event)
            case Notice(message=message):
                self.notices.append(message)
            case StatusChanged():
                self.status = event.status
                self.reason = event.message or event.error_code or _why_stopped(event)

    def ending(self) -> str:
        calls = f"{self.model_calls} model call{'' if self.model_calls == 1 else 's'}"
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.status}{reason} ({calls}, {self.credits:.2f} credits)"


class View(Protocol):
    """A display of a run's progress."""

    def draw(self, progress: Progress, event: RunEvent) -> None:
        """Displays the change caused by an event."""

    def close(self, progress: Progress) -> None:
        """Completes the display. Also called after an exception."""


class TextView:
    """Text output. A terminal shows the model's text while it arrives. Other outputs show complete messages."""

    def __init__(self, file: TextIO, is_live: bool) -> None:
        self.file = file
        self.is_live = is_live
        self.is_in_line = False
        encoding = getattr(file, "encoding", None) or "utf-8"
        try:
            "▸✓✗".encode(encoding)
            self.call, self.good, self.bad = "▸", "✓", "✗"
        except UnicodeEncodeError:
            self.call, self.good, self.bad = ">", "ok", "failed"
        self.encoding = encoding

    def draw(self, progress: Progress, event: RunEvent) -> None:
        match event:
            case MessageDelta(text=text) if self.is_live:
                self._write(text)
                self.is_in_line = True
            case MessageFinished(text=text):
                if not self.is_live and text:
                    self._line(text)
                self._end_line()
            case ToolCall():
                self._line(f"{self.call} {progress.steps[event.tool_call_id].what}")
            case ToolResult():
                first = (event.text.strip().splitlines() or [""])[0] if event.is_error else ""
                self._line(
                    f"  {self.bad if event.is_error else self.good} {event.duration_ms / 1000:.1f} s {first}".rstrip()
                )
            case InputRequested():
                self._line(f"  waiting: {event.message or event.name}")
            case InputAnswered():
                self._line(f"  {_answered_in_words(event)}")
            case UserMessage(text=text):
                self._line(f"message read: {text}")
            case Notice(message=message):
                self._line(f"note: {message}")
            case StatusChanged() if event.is_terminal:
                self._line(progress.ending())

    def close(self, progress: Progress) -> None:  # noqa: ARG002 - signature of the protocol
        self._end_line()

    def _end_line(self) -> None:
        if self.is_in_line:
            self._write("\n")
            self.is_in_line = False

    def _line(self, text: str) -> None:
        self._end_line()
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        self.file.write(plain(text).encode(self.encoding, "replace").decode(self.encoding))
        self.file.flush()


class NotebookView:
    """A notebook output that is updated in place."""

    def __init__(self, display: Any, html_class: Any) -> None:
        self.html_class = html_class
        self.drawn_at = time.monotonic()
        self.handle = display(html_class("<i>running</i>"), display_id=True)

    def draw(self, progress: Progress, event: RunEvent) -> None:  # noqa: ARG002 - signature of the protocol
        if time.monotonic() - self.drawn_at >= DRAW_EVERY:
            self._redraw(progress)

    def close(self, progress: Progress) -> None:
        self._redraw(progress)

    def _redraw(self, progress: Progress) -> None:
        self.drawn_at = time.monotonic()
        self.handle.update(self.html_class(page_of(progress)))


def page_of(progress: Progress) -> str:
    """Renders progress as HTML. All text from the run is escaped."""
    steps = list(progress.steps.values())
    rows = [f"<li><i>{len(steps) - SHOWN_STEPS} earlier calls</i></li>"] if len(steps) > SHOWN_STEPS else []
    for step in steps[-SHOWN_STEPS:]:
        mark = "✗" if step.is_error else "▸"
        rows.append(f"<li>{mark} <code>{html.escape(step.what)}</code> {html.escape(step.outcome)}</li>")
    notes = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in progress.notices)
    text = f'<pre style="white-space: pre-wrap">{html.escape(progress.text)}</pre>' if progress.text else ""
    done = progress.ending() if progress.status in ENDED else progress.status
    return (
        f'{notes}<ul style="list-style: none; padding: 0">{"".join(rows)}</ul>{text}<p><b>{html.escape(done)}</b></p>'
    )


def pick_view(file: TextIO | None) -> View:
    """Picks the view: in a notebook without a `file`, a notebook output; otherwise, text output to `file` or stdout."""
    if file is None and (notebook := _notebook()) is not None:
        return notebook
    file = file or sys.stdout
    return TextView(file, is_live=bool(getattr(file, "isatty", lambda: False)()))


def _notebook() -> NotebookView | None:
    # A notebook always imports IPython first.
    if "IPython" not in sys.modules:
        return None
    from IPython import display, get_ipython

    shell = get_ipython()  # type: ignore[no-untyped-call, unused-ignore]
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return NotebookView(display.display, display.HTML)


def _call_in_words(call: ToolCall) -> str:
    arguments = call.arguments or {}
    first = next((arguments[name] for name in ("command", "path", "pattern") if name in arguments), None)
    if first is None:
        first = ", ".join(f"{name}={value}" for name, value in arguments.items())
    words = " ".join(str(first).split())
    return f"{call.name}: {words if len(words) <= SHOWN_ARGUMENT else words[: SHOWN_ARGUMENT - 1] + '…'}"


def _answered_in_words(event: InputAnswered) -> str:
    words = {"approve": "approved", "deny": "denied", "result": "answered", "answer": "answered"}
    reason = f": {event.text}" if event.decision == "deny" and event.text else ""
    return words.get(event.decision, event.decision) + reason


def _why_stopped(event: StatusChanged) -> str:
    if event.stop_reason == "budget":
        return "budget used"
    return f"by {event.stopped_by}" if event.stopped_by else ""


def plain(text: str) -> str:
    """Removes unprintable characters except newline and tab. Control characters could manipulate a terminal."""
    return "".join(character for character in text if character in "\n\t" or character.isprintable())
