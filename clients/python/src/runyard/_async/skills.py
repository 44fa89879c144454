"""Skills: folders of instructions and files that agents load."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard._sources import FileLike
from runyard.models import Page, Skill, to_message

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard

# Larger archives are sent as an upload, because the server limits the size of a message.
_MOST_BYTES_IN_A_MESSAGE = 1024 * 1024


class AsyncSkills:
    """Stores and lists skills."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._client = client
        self._transport = client._transport

    async def create(self, archive: bytes | FileLike) -> Skill:
        """Stores a zip archive as a skill, or as the next version of the skill of the same name.

        The archive is its content, a path, an open binary file, a (name, bytes) tuple or an upload.

        Args:
            archive: The content of the zip archive, a path, an open binary file, a (name, bytes) tuple or an upload.
        """
        if isinstance(archive, bytes) and len(archive) <= _MOST_BYTES_IN_A_MESSAGE:
            request = to_message(methods.CREATE_SKILL.request, archive=archive)
        else:
            file = ("skill.zip", archive) if isinstance(archive, bytes) else archive
            upload = await self._client.files.upload(file)
            request = to_message(methods.CREATE_SKILL.request, files=[upload.upload_id])
        return await self._transport.load(methods.CREATE_SKILL, request, Skill)

    async def get(self, skill_id: str, *, version: int = 0) -> Skill:
        """Returns a version of a skill, by default the current one, with its instructions and files.

        Args:
            skill_id: The skill's UUID.
            version: Number of the version; 0 for the current version.
        """
        request = to_message(methods.GET_SKILL.request, skill_id=skill_id, version=version)
        return await self._transport.load(methods.GET_SKILL, request, Skill)

    async def list(self, *, page_size: int = 0, page_token: str = "") -> Page[Skill]:
        """Returns one page of the caller's skills, newest first.

        Args:
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(methods.LIST_SKILLS.request, page_size=page_size, page_token=page_token)
        answer = await self._transport.call(methods.LIST_SKILLS, request)
        return pages(answer.skills, Skill, answer.next_page_token)

    async def list_all(self) -> AsyncIterator[Skill]:
        """Iterates over all of the caller's skills."""
        token = ""
        while True:
            page = await self.list(page_size=200, page_token=token)
            for skill in page:
                yield skill
            token = page.next_page_token
            if not token:
                return

    async def delete(self, skill_id: str, *, version: int = 0) -> None:
        """Deletes a version of a skill, or by default the skill with all its versions.

        Args:
            skill_id: The skill's UUID.
            version: Number of the version to delete; 0 for the skill with all its versions. If the skill has only this
                version, the skill is deleted.
        """
        request = to_message(methods.DELETE_SKILL.request, skill_id=skill_id, version=version)
        await self._transport.call(methods.DELETE_SKILL, request)
