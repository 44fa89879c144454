# Generated from runyard/_async by make_sync.py: edit the source there.
"""Projects and the files in their sandboxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._sync.files import RemoteFile, read_pieces
from runyard._lists import pages
from runyard._sources import FileLike
from runyard.models import File, Page, Project, Sandbox, to_message, to_model

if TYPE_CHECKING:
    from runyard._sync.client import Runyard


class Projects:
    """Fetches, lists and deletes projects."""

    def __init__(self, client: Runyard) -> None:
        self._transport = client._transport

    def get(self, project_id: str) -> Project:
        """Returns the project with this id.

        Args:
            project_id: The project's UUID.
        """
        request = to_message(methods.GET_PROJECT.request, project_id=project_id)
        return self._transport.load(methods.GET_PROJECT, request, Project)

    def list(self, *, page_size: int = 0, page_token: str = "") -> Page[Project]:
        """Returns one page of the caller's projects, most recently active first.

        Args:
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(methods.LIST_PROJECTS.request, page_size=page_size, page_token=page_token)
        answer = self._transport.call(methods.LIST_PROJECTS, request)
        return pages(answer.projects, Project, answer.next_page_token)

    def list_all(self) -> Iterator[Project]:
        """Iterates over all of the caller's projects."""
        token = ""
        while True:
            page = self.list(page_size=200, page_token=token)
            for project in page:
                yield project
            token = page.next_page_token
            if not token:
                return

    def delete(self, project_id: str) -> None:
        """Deletes a project with its threads, runs and files.

        Args:
            project_id: The project's UUID.
        """
        request = to_message(methods.DELETE_PROJECT.request, project_id=project_id)
        self._transport.call(methods.DELETE_PROJECT, request)


class Sandboxes:
    """Sandboxes: access to the files under /workspace."""

    def __init__(self, client: Runyard) -> None:
        self._client = client
        self._transport = client._transport

    def get(self, sandbox_id: str) -> Sandbox:
        """Returns the sandbox with this id.

        Args:
            sandbox_id: The sandbox's UUID.
        """
        request = to_message(methods.GET_SANDBOX.request, sandbox_id=sandbox_id)
        return self._transport.load(methods.GET_SANDBOX, request, Sandbox)

    def files(
        self, sandbox_id: str, path: str = "", *, recursive: bool = False, page_size: int = 0, page_token: str = ""
    ) -> Page[RemoteFile]:
        """Returns one page of the files and folders in a folder, ordered by path.

        Args:
            sandbox_id: The sandbox's UUID.
            path: Path of the folder below /workspace; default: the workspace itself.
            recursive: If true, list subfolders recursively.
            page_size: Page size: default 200, maximum 1000.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_FILES.request,
            sandbox_id=sandbox_id,
            path=path,
            recursive=recursive,
            page_size=page_size,
            page_token=page_token,
        )
        answer = self._transport.call(methods.LIST_FILES, request)
        found = [RemoteFile(self._transport, sandbox_id, to_model(file, File)) for file in answer.files]
        return Page(found, answer.next_page_token)

    def files_all(
        self, sandbox_id: str, path: str = "", *, recursive: bool = False
    ) -> Iterator[RemoteFile]:
        """Iterates over all files and folders in a folder, ordered by path.

        Args:
            sandbox_id: The sandbox's UUID.
            path: Path of the folder below /workspace; default: the workspace itself.
            recursive: If true, list subfolders recursively.
        """
        token = ""
        while True:
            page = self.files(sandbox_id, path, recursive=recursive, page_size=1000, page_token=token)
            for file in page:
                yield file
            token = page.next_page_token
            if not token:
                return

    def read(self, sandbox_id: str, path: str) -> bytes:
        """Returns the content of a file. A folder is returned as a tar archive.

        Args:
            sandbox_id: The sandbox's UUID.
            path: Path below /workspace.
        """
        return b"".join([piece for piece in read_pieces(self._transport, sandbox_id, path)])

    def write(self, sandbox_id: str, path: str, file: FileLike) -> RemoteFile:
        """Uploads a file and writes it to a path.

        Args:
            sandbox_id: The sandbox's UUID.
            path: Path below /workspace.
            file: A path, an open binary file, a (name, bytes) tuple or an upload.
        """
        upload = self._client.files.upload(file)
        request = to_message(methods.WRITE_FILE.request, sandbox_id=sandbox_id, path=path, upload_id=upload.upload_id)
        written = self._transport.load(methods.WRITE_FILE, request, File)
        return RemoteFile(self._transport, sandbox_id, written)

    def delete_file(self, sandbox_id: str, path: str) -> None:
        """Deletes a file or an empty folder.

        Args:
            sandbox_id: The sandbox's UUID.
            path: Path below /workspace.
        """
        request = to_message(methods.DELETE_FILE.request, sandbox_id=sandbox_id, path=path)
        self._transport.call(methods.DELETE_FILE, request)
