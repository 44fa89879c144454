# Made from runyard/_async by make_sync.py: change it there.
"""Files: up in chunks, down in pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runyard import _methods as methods
from runyard._retry import Backoff, may_reconnect
from runyard._sources import FileLike, Source
from runyard.errors import ConflictError, RunyardError
from runyard.models import File, Upload, to_message, to_model

if TYPE_CHECKING:
    from runyard._sync.client import Runyard
    from runyard._sync.transport import Transport


class Files:
    """Uploads."""

    def __init__(self, client: Runyard) -> None:
        self._client = client

    def upload(self, file: FileLike) -> Upload:
        """Sends a file; the upload can then be given to a run, or written into a workspace."""
        if isinstance(file, Upload):
            return file
        call = self._client._transport.call
        source = Source(file)
        try:
            announced = to_message(methods.CREATE_UPLOAD.request, name=source.name, size=source.size)
            upload = call(methods.CREATE_UPLOAD, announced)
            while not upload.complete:
                before = upload.received
                data = source.read_at(before)
                if not data:
                    raise ConflictError(f"{source.name} became shorter while it was sent", error_code="CONFLICT")
                chunk = to_message(methods.UPLOAD_CHUNK.request, upload_id=upload.upload_id, offset=before, data=data)
                upload = call(methods.UPLOAD_CHUNK, chunk)
                if upload.received <= before:
                    raise ConflictError("the server takes no more of the upload", error_code="CONFLICT")
            return to_model(upload, Upload)
        finally:
            source.close()

    def upload_all(self, files: Iterable[FileLike]) -> list[Upload]:
        """Sends files, one after the other."""
        if isinstance(files, str | bytes):
            raise TypeError("files is a list")
        return [self.upload(file) for file in files]


class RemoteFile:
    """A file or folder in a workspace, with its content at hand."""

    def __init__(self, transport: Transport, sandbox_id: str, file: File) -> None:
        self._transport = transport
        self.sandbox_id = sandbox_id
        self.path = file.path
        """Below /workspace, such as "output/chart.svg"."""
        self.name = file.name
        self.is_dir = file.is_dir
        self.size = file.size
        self.content_type = file.content_type
        self.modified_at = file.modified_at

    def __repr__(self) -> str:
        return f"<RemoteFile {self.path} {self.size} bytes>"

    def pieces(self) -> Iterator[bytes]:
        """The content as it comes."""
        return read_pieces(self._transport, self.sandbox_id, self.path)

    def read(self) -> bytes:
        """The content, whole."""
        return b"".join([piece for piece in self.pieces()])

    def save(self, target: str | os.PathLike[str]) -> str:
        """Writes the content to a path, or under its own name into a folder, whole or not at all; returns the path."""
        path = os.fspath(target)
        if os.path.isdir(path):
            path = os.path.join(path, self.name)
        part = path + ".part"
        try:
            with open(part, "wb") as file:
                for piece in self.pieces():
                    file.write(piece)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.remove(part)
            raise
        return path


def read_pieces(transport: Transport, sandbox_id: str, path: str) -> Iterator[bytes]:
    """The content of a file. After a break it goes on where it was, if the file is still the same."""
    backoff = Backoff(transport.options.timeout)
    received = 0
    etag = ""
    while True:
        error: RunyardError
        resumed: dict[str, Any] = {"range": f"bytes={received}-", "if_range": etag} if received else {}
        request = to_message(methods.READ_FILE.request, sandbox_id=sandbox_id, path=path, **resumed)
        try:
            with transport.stream(methods.READ_FILE, request, None) as stream:
                metadata = stream.metadata()
                if received and (not etag or metadata.get("etag") != etag):
                    raise ConflictError(f"{path} changed while it was read", error_code="CONFLICT")
                etag = metadata.get("etag", "")
                for message in stream.messages():
                    if message.data:
                        received += len(message.data)
                        backoff.succeeded()
                        yield message.data
            return
        except RunyardError as raised:
            if not may_reconnect(raised):
                raise
            error = raised
        transport.pause(backoff, error, None)
