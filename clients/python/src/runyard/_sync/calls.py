# Generated from runyard/_async by make_sync.py: edit the source there.
"""Runs the client tools of one run, and answers their calls.

A function runs once per call and handle. If the stream repeats a request, or the call already has an answer, the
function does not run again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runyard import tools
from runyard._each import one_by_one
from runyard.errors import ConflictError
from runyard.events import InputRequested
from runyard.models import InputAnswer, RunInput

if TYPE_CHECKING:
    from runyard._sync.client import Runyard


class Calls:
    """The tools of a run, and the calls that this handle has answered. Several readers of the run may share it."""

    def __init__(self, client: Runyard, provided: Mapping[str, tools.ClientTool]) -> None:
        # An answer is sent again for as long as a broken stream would try to reconnect.
        options = client._transport.options
        self._inputs = client.with_timeout(max(options.timeout, options.reconnect_for)).inputs
        self._provided = {name: tool for name, tool in provided.items() if tool.run is not None}
        # Maps each request to its reader, so that one of several readers answers it.
        self._taken: dict[str, object] = {}
        # Answers that could not be sent. The function does not run again for them.
        self._unsent: dict[str, InputAnswer] = {}

    def answer_pending(self, agent_run_id: str) -> None:
        """Answers all pending calls. For a reader that skips events, which may include their requests."""
        if self._provided:
            pending = [each for each in self._inputs.list_pending_all(agent_run_id=agent_run_id)]
            one_by_one(self._answer, [each for each in pending if each.kind == "client_tool"])

    def answer(self, requested: Sequence[InputRequested]) -> None:
        """Answers the requested calls."""
        one_by_one(self._answer, [each for each in requested if each.input_kind == "client_tool"])

    def _answer(self, request: InputRequested | RunInput) -> None:
        input_id = request.input_id
        tool = self._provided.get(request.name)
        reader = object()
        if tool is None or self._taken.setdefault(input_id, reader) is not reader:
            return
        is_done = False
        try:
            # The request may be old: a run can be watched from its start after its calls were answered.
            if (self._inputs.get(input_id)).decision is None:
                answer = self._unsent.get(input_id)
                if answer is None:
                    answer = self._result(input_id, tool, request.arguments or {})
                self._unsent[input_id] = answer
                # A run that has ended refuses the answer. Its stream reports the end.
                with contextlib.suppress(ConflictError):
                    self._inputs.answer(request.agent_run_id, answer)
            is_done = True
        finally:
            if is_done:
                self._unsent.pop(input_id, None)
            else:
                del self._taken[input_id]

    def _result(self, input_id: str, tool: tools.ClientTool, arguments: Mapping[str, object]) -> InputAnswer:
        try:
            value = tools.begin(tool, arguments)
            return InputAnswer(input_id=input_id, decision="result", text=tools.text_of(value))
        except Exception as error:  # noqa: BLE001 - the model reads the errors of a tool
            return InputAnswer(input_id=input_id, decision="result", text=tools.error_text(error), is_error=True)
