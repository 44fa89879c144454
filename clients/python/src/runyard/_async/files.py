"""File uploads and downloads, both in chunks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runyard import _methods as methods
from runyard._retry import Backoff, may_reconnect
from runyard._sources import FileLike, Source
from runyard.errors import ConflictError, RunyardError
from runyard.models import File, Upload, to_message, to_model

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard
    from runyard._async.transport import AsyncTransport


class AsyncFiles:
    """Uploads files, in chunks that are retried after a failure."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._client = client

    async def upload(self, file: FileLike) -> Upload:
        """Uploads a file. You can then attach the upload to a run or write it to a workspace.

        Args:
            file: A path, an open binary file, a (name, bytes) tuple or an upload.
        """
        if isinstance(file, Upload):
            return file
        call = self._client._transport.call
        source = await asyncio.to_thread(Source, file)
        try:
            announced = to_message(methods.CREATE_UPLOAD.request, name=source.name, size=source.size)
            upload = await call(methods.CREATE_UPLOAD, announced)
            while not upload.complete:
                before = upload.received
                data = await asyncio.to_thread(source.read_at, before)
                if not data:
                    raise ConflictError(
                        f"{source.name} became smaller during the upload; upload it again when it no longer changes",
                        error_code="CONFLICT",
                    )
                chunk = to_message(methods.UPLOAD_CHUNK.request, upload_id=upload.upload_id, offset=before, data=data)
                upload = await call(methods.UPLOAD_CHUNK, chunk)
                if upload.received <= before:
                    raise ConflictError("the server accepts no more data for this upload", error_code="CONFLICT")
            return to_model(upload, Upload)
        finally:
            source.close()

    async def upload_all(self, files: Iterable[FileLike]) -> list[Upload]:
        """Uploads files one after the other.

        Args:
            files: Paths, open binary files, (name, bytes) tuples or uploads.
        """
        if isinstance(files, str | bytes):
            raise TypeError("files must be a list")
        return [await self.upload(file) for file in files]


class AsyncRemoteFile:
    """A file or folder in a workspace, with methods to read its content."""

    def __init__(self, transport: AsyncTransport, sandbox_id: str, file: File) -> None:
        self._transport = transport
        self.sandbox_id = sandbox_id
        self.path = file.path
        """The path relative to /workspace, such as "output/chart.svg"."""
        self.name = file.name
        self.is_dir = file.is_dir
        self.size = file.size
        self.content_type = file.content_type
        self.modified_at = file.modified_at

    def __repr__(self) -> str:
        return f"<RemoteFile {self.path} {self.size} bytes>"

    def pieces(self) -> AsyncIterator[bytes]:
        """Streams the content in chunks."""
        return read_pieces(self._transport, self.sandbox_id, self.path)

    async def read(self) -> bytes:
        """Returns the whole content."""
        return b"".join([piece async for piece in self.pieces()])

    async def save(self, target: str | os.PathLike[str]) -> str:
        """Downloads the file atomically and returns its path. If `target` is a folder, the file keeps its name.

        Args:
            target: Path of the new file, or of a folder for it.
        """
        path = os.fspath(target)
        if await asyncio.to_thread(os.path.isdir, path):
            path = os.path.join(path, self.name)
        part = path + ".part"
        try:
            with open(part, "wb") as file:  # noqa: ASYNC230 - writes run in threads
                async for piece in self.pieces():
                    await asyncio.to_thread(file.write, piece)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.remove(part)
            raise
        return path


async def read_pieces(transport: AsyncTransport, sandbox_id: str, path: str) -> AsyncIterator[bytes]:
    """Streams the content of a file. After a connection failure, resumes the download if the file has not changed."""
    backoff = Backoff(transport.options.timeout, transport.options.max_retries)
    received = 0
    etag = ""
    while True:
        error: RunyardError
        resumed: dict[str, Any] = {"range": f"bytes={received}-", "if_range": etag} if received else {}
        request = to_message(methods.READ_FILE.request, sandbox_id=sandbox_id, path=path, **resumed)
        try:
            async with transport.stream(methods.READ_FILE, request, None) as stream:
                metadata = await stream.metadata()
                if received and (not etag or metadata.get("etag") != etag):
                    raise ConflictError(f"{path} changed during the download", error_code="CONFLICT")
                etag = metadata.get("etag", "")
                async for message in stream.messages():
                    if message.data:
                        received += len(message.data)
                        backoff.succeeded()
                        yield message.data
            return
        except RunyardError as raised:
            if not may_reconnect(raised):
                raise
            error = raised
        await transport.pause(backoff, error, None)
