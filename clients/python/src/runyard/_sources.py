"""Inputs for uploads: a path, an open binary file, or a name with bytes."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from io import BytesIO
from typing import Any, BinaryIO, cast

from runyard.models import Upload

FileLike = str | os.PathLike[str] | BinaryIO | tuple[str, bytes] | Upload

CHUNK_BYTES = 1024 * 1024
_SPOOL_BYTES = 8 * 1024 * 1024


class Source:
    """The name, size and content of an upload. The content starts at the current position of the file.

    `close` closes only files that this class has opened.
    """

    def __init__(self, given: str | os.PathLike[str] | BinaryIO | tuple[str, bytes]) -> None:
        self.cleanup = ExitStack()
        file: Any
        if isinstance(given, tuple):
            self.name, data = given
            file = BytesIO(data)
        elif isinstance(given, str | os.PathLike):
            self.name = os.path.basename(os.fspath(given))
            file = self.cleanup.enter_context(open(given, "rb"))  # noqa: SIM115
        elif hasattr(given, "read"):
            file = given
            name = getattr(file, "name", None)
            self.name = os.path.basename(name) if isinstance(name, str) and name else "file"
        else:
            raise TypeError(f"a file must be a path, an open binary file or (name, bytes), not {type(given).__name__}")
        try:
            if isinstance(file.read(0), str):
                raise TypeError(f"{self.name} is open in text mode; open it with 'rb'")
            if not (hasattr(file, "seekable") and file.seekable()):
                file = self._spooled(file)
            self.start = file.tell()
            self.size = file.seek(0, os.SEEK_END) - self.start
        except BaseException:
            self.close()
            raise
        self.file = file

    def _spooled(self, file: Any) -> BinaryIO:
        # The server needs the size first, so an unseekable file is buffered. Large files are buffered on disk.
        kept = cast(BinaryIO, self.cleanup.enter_context(tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)))  # noqa: SIM115
        while data := file.read(CHUNK_BYTES):
            kept.write(data)
        kept.seek(0)
        return kept

    def read_at(self, offset: int) -> bytes:
        """Returns the chunk at an offset. The same offset always gives the same chunk."""
        self.file.seek(self.start + offset)
        return cast(bytes, self.file.read(min(CHUNK_BYTES, self.size - offset)))

    def close(self) -> None:
        self.cleanup.close()
