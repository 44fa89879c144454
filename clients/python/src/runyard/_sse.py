"""A parser of server-sent events, as far as the API uses them: the fields `event` and `data`, and comments."""

from __future__ import annotations

from collections.abc import Iterator

# The same maximum size as that of a gRPC message.
MAX_EVENT_BYTES = 64 * 1024 * 1024


class EventParser:
    """Splits the chunks of a stream into events. Lines end with LF or CRLF."""

    def __init__(self) -> None:
        self.rest = bytearray()
        self.name = ""
        self.data: list[bytes] = []
        self.size = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """Yields the name and the data of each event that is complete. Raises ValueError if an event is too large."""
        searched = len(self.rest)
        self.rest += chunk
        begin = 0
        while (end := self.rest.find(b"\n", max(begin, searched))) >= 0:
            line = bytes(self.rest[begin:end]).removesuffix(b"\r")
            begin = end + 1
            if line:
                self._take(line)
                continue
            name, data = self.name, b"\n".join(self.data)
            has_data = bool(self.data)
            self.name, self.data, self.size = "", [], 0
            if has_data:
                yield name, data
        del self.rest[:begin]
        if len(self.rest) + self.size > MAX_EVENT_BYTES:
            raise ValueError(f"an event has more than {MAX_EVENT_BYTES} bytes")

    def _take(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self.data.append(value)
            self.size += len(value) + 1
        elif field == b"event":
            self.name = value.decode("utf-8", "replace")
