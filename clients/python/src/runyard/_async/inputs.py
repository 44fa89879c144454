"""Inputs: what waiting runs ask of people and programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from runyard import _methods as methods
from runyard._lists import pages
from runyard.models import AnsweredInputs, InputAnswer, Page, RunInput, to_message

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard

Answer = InputAnswer | Mapping[str, Any]


class AsyncInputs:
    """Lists and answers the inputs that runs wait for."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._transport = client._transport

    async def answer(self, agent_run_id: str, answers: Answer | Iterable[Answer]) -> AnsweredInputs:
        """Answers inputs of a run. All answers take effect, or none. An input that already has a decision keeps it.

        Args:
            agent_run_id: The run's UUID.
            answers: The answer to one input, or the answers to several inputs of the run.
        """
        each = [answers] if isinstance(answers, InputAnswer | Mapping) else list(answers)
        request = to_message(methods.ANSWER_INPUT.request, agent_run_id=agent_run_id, answers=each)
        return await self._transport.load(methods.ANSWER_INPUT, request, AnsweredInputs)

    async def list_pending(self, *, agent_run_id: str = "", page_size: int = 0, page_token: str = "") -> Page[RunInput]:
        """Returns one page of the pending inputs of the caller's runs, oldest first.

        Args:
            agent_run_id: Lists only inputs of this run.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_PENDING_INPUTS.request,
            agent_run_id=agent_run_id,
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._transport.call(methods.LIST_PENDING_INPUTS, request)
        return pages(answer.inputs, RunInput, answer.next_page_token)

    async def list_pending_all(self, *, agent_run_id: str = "") -> AsyncIterator[RunInput]:
        """Iterates over all pending inputs.

        Args:
            agent_run_id: Lists only inputs of this run.
        """
        token = ""
        while True:
            page = await self.list_pending(agent_run_id=agent_run_id, page_size=200, page_token=token)
            for each in page:
                yield each
            token = page.next_page_token
            if not token:
                return

    async def get(self, input_id: str) -> RunInput:
        """Returns an input with its decision, if it has one.

        Args:
            input_id: The input's UUID.
        """
        request = to_message(methods.GET_INPUT.request, input_id=input_id)
        return await self._transport.load(methods.GET_INPUT, request, RunInput)
