"""Plays golden.json through a client. GOLDEN.md describes its format.

The test of each client provides an adapter, which this module calls a door. An adapter has the methods
`call(method, request)`, `upload(name, data)`, `stream(request, most)` and `read(request)`. They return JSON types or
raise `Refused`.
"""

import json
import os
import re
import uuid

TERMINAL = ("completed", "failed", "stopped")
KINDS = (
    "status", "message_delta", "reasoning_delta", "message", "tool_call", "tool_output", "tool_result", "usage", "notice",
    "input_requested", "input_answered",
)
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


# Marks a part of an error that the client does not expose. None marks an empty part.
HIDDEN = object()


class Refused(Exception):
    """The error of a failed call, raised by an adapter."""

    def __init__(self, *, code=HIDDEN, reason, http=HIDDEN, message, details, fields=HIDDEN):
        super().__init__(f"{reason}: {message}")
        self.seen = {
            "code": code, "reason": reason, "http": http, "message": message, "details": details, "fields": fields,
        }


def exchanges():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.json"), encoding="utf-8") as file:
        return json.load(file)


class Player:
    """Plays one exchange. `open_door(token)` creates an adapter. `new_token(tier)` creates an account and returns its
    token."""

    def __init__(self, open_door, new_token):
        self.open_door = open_door
        self.new_token = new_token
        self.kept = {}
        self.doors = {}

    def play(self, exchange):
        for name, wanted in exchange.get("callers", {"me": {}}).items():
            self.doors[name] = self.open_door(self.new_token(wanted.get("tier")))
        self.doors["nobody"] = self.open_door(None)
        for number, step in enumerate(exchange["steps"], 1):
            try:
                self.step(step)
            except Exception as error:
                raise AssertionError(f"{exchange['name']}, step {number}: {error}\n{json.dumps(step)}") from error

    def door(self, name):
        if name.startswith("$ref:") and name not in self.doors:
            self.doors[name] = self.open_door(self.filled(name))
        return self.doors[name]

    def step(self, step):
        door = self.door(step.get("as", "me"))
        try:
            check = self.ask(step, door)
        except Refused as refused:
            if "error" not in step:
                raise
            for key, wanted in step["error"].items():
                if refused.seen[key] is not HIDDEN:
                    self.match(wanted, refused.seen[key], key)
            return
        assert "error" not in step, "an error was expected"
        check()

    def ask(self, step, door):
        """Sends the request and returns a function that checks the response."""
        if "upload" in step:
            self.kept[step["save"]] = door.upload(step["upload"]["name"], step["upload"]["text"].encode())
            return lambda: None
        if "download" in step:
            data = door.read(self.filled(step["download"]))
            return lambda: self.match(step["text"], data.decode(), "text")
        if "stream" in step:
            request = self.filled(step["stream"])
            after = request.pop("after_sequence", 0)
            events = []
            if "cut" in step:
                events = door.stream({**request, "after_sequence": after}, step["cut"])
                assert len(events) == step["cut"], f"{len(events)} events before the cut"
            rest = door.stream({**request, "after_sequence": after + len(events)}, None)
            if "cut" in step:
                whole = door.stream({**request, "after_sequence": after}, None)
                assert events + rest == whole, "the two parts differ from the whole stream"
            return lambda: self.events(step["events"], events + rest, after)
        answer = door.call(step["call"], self.filled(step["request"]))
        return lambda: self.match(step.get("answer", {}), answer, "answer")

    def events(self, wanted, events, after):
        sequences = [int(event["sequence"]) for event in events]
        assert sequences == list(range(after + 1, after + 1 + len(events))), f"sequences {sequences}"
        ends = [event for event in events if name_of(event.get("status", {}).get("status")) in TERMINAL]
        assert ends == events[-1:], "the last event must be the only terminal one"
        kinds = [kind for event in events for kind in KINDS if event.get(kind) is not None]
        assert len(kinds) == len(events), f"events of unknown kinds: {events}"
        text = "".join(event["message_delta"]["text"] for event in events if event.get("message_delta"))
        seen = {
            "kinds": [kind for position, kind in enumerate(kinds) if kinds[position - 1 : position] != [kind]],
            "text": text,
            "status": ends[0]["status"]["status"],
            "error_code": ends[0]["status"].get("error_code"),
            "has": events,
        }
        for key, expected in wanted.items():
            self.match({"$has": expected} if key == "has" else expected, seen[key], key)

    def filled(self, value):
        """Returns the value with each reference replaced by the saved value."""
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, str) and value.startswith("$ref:"):
            return self.kept[value[5:]]
        if isinstance(value, str) and (value == "$new" or value.startswith("$new:")):
            made = str(uuid.uuid4())
            self.kept[value[5:]] = made
            return made
        return value

    def match(self, wanted, seen, where):
        if isinstance(wanted, dict) and "$has" in wanted:
            for item in wanted["$has"]:
                assert any(self.matches(item, one) for one in seen), f"{where}: nothing matches {item} in {seen}"
        elif isinstance(wanted, dict):
            assert isinstance(seen, dict), f"{where}: {seen!r} is not an object"
            for key, item in wanted.items():
                self.match(item, seen.get(key), f"{where}.{key}")
        elif isinstance(wanted, list):
            assert isinstance(seen, list) and len(seen) == len(wanted), f"{where}: {seen!r} does not have {len(wanted)} items"
            for position, item in enumerate(wanted):
                self.match(item, seen[position], f"{where}[{position}]")
        elif isinstance(wanted, str) and wanted.startswith("$"):
            word, _, rest = wanted[1:].partition(":")
            assert self.fits(word, rest, seen), f"{where}: {seen!r} is not {wanted}"
        elif isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
            # Canonical JSON encodes 64-bit integers as strings.
            assert seen is not None and not isinstance(seen, bool) and float(seen) == wanted, f"{where}: {seen!r}, not {wanted}"
        else:
            assert seen == wanted, f"{where}: {seen!r}, not {wanted!r}"

    def matches(self, wanted, seen):
        try:
            self.match(wanted, seen, "")
        except (AssertionError, TypeError, ValueError):
            return False
        return True

    def fits(self, word, rest, seen):
        match word:
            case "save":
                self.kept[rest] = seen
                return bool(seen)
            case "ref":
                return seen == self.kept[rest]
            case "uuid":
                return isinstance(seen, str) and bool(UUID.fullmatch(seen))
            case "time":
                return isinstance(seen, str) and bool(TIME.fullmatch(seen))
            case "text":
                return isinstance(seen, str) and seen != ""
            case "contains":
                return isinstance(seen, str) and rest in seen
            case "positive":
                return seen is not None and float(seen) > 0
            case "enum":
                return name_of(seen) == rest.lower()
        raise ValueError(f"unknown matcher: ${word}")


def name_of(value):
    """Returns the short name of an enum value. For example, RUN_STATUS_RUNNING and running both become running."""
    prefixes = (
        "run_status_", "message_role_", "mcp_transport_", "notice_kind_", "api_key_scope_", "memory_scope_", "input_kind_",
        "input_decision_", "tool_decision_", "stop_reason_", "message_delivery_", "webhook_delivery_status_",
        "schedule_overlap_", "schedule_run_outcome_",
    )
    name = str(value).lower()
    return next((name[len(prefix) :] for prefix in prefixes if name.startswith(prefix)), name)
