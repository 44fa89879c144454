"""Tests client tools: schemas from type hints, and the answers of a run's handle."""

import asyncio
import dataclasses
import io
import threading
import unittest
from typing import Annotated, Any, Literal, Optional, TypedDict

import grpc
import runyard
from runyard import AsyncRunyard, ClientTool, Runyard
from runyard._proto import events_pb2
from runyard.events import InputAnswered, InputRequested, StatusChanged
from runyard.models import InputAnswer
from runyard.tools import begin, declared, text_of

from scripted import Scripted

APPROVAL, QUESTION = events_pb2.INPUT_KIND_APPROVAL, events_pb2.INPUT_KIND_QUESTION
RESULT = events_pb2.INPUT_DECISION_RESULT


@dataclasses.dataclass
class Place:
    city: str
    days: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)


class Filter(TypedDict, total=False):
    field: str
    values: list[float]


@dataclasses.dataclass
class Tree:
    inner: "list[Tree]"


def forecast(
    place: Place,
    unit: Literal["celsius", "kelvin"] = "celsius",
    limit: Optional[int] = None,
    filters: "list[Filter] | None" = None,
    extra: dict[str, Any] = {},
    note: Annotated[str, "Shown to the user."] = "",
) -> dict[str, Any]:
    """Returns the forecast of a place.

    Uses the newest data.

    Args:
        place: The place, and
            the number of days.
        unit (str): The unit of temperatures.

    Returns:
        The temperatures.
    """
    return {"place": place, "unit": unit, "limit": limit, "filters": filters, "extra": extra, "note": note}


class SchemaTest(unittest.TestCase):
    def test_hints_and_docstrings_become_a_schema(self):
        tool = ClientTool.of(forecast)
        self.assertEqual((tool.name, tool.description), ("forecast", "Returns the forecast of a place.\n\nUses the newest data."))
        place = {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "additionalProperties": False,
            "required": ["city"],
            "description": "The place, and the number of days.",
        }
        filters = {
            "type": "object",
            "properties": {"field": {"type": "string"}, "values": {"type": "array", "items": {"type": "number"}}},
            "additionalProperties": False,
        }
        expected = {
            "place": place,
            "unit": {
                "type": "string", "enum": ["celsius", "kelvin"], "default": "celsius", "description": "The unit of temperatures.",
            },
            "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "filters": {"anyOf": [{"type": "array", "items": filters}, {"type": "null"}]},
            "extra": {"type": "object", "additionalProperties": {}},
            "note": {"type": "string", "description": "Shown to the user.", "default": ""},
        }
        self.assertEqual(tool.parameters["properties"], expected)
        self.assertEqual((tool.parameters["type"], tool.parameters["required"]), ("object", ["place"]))

    def test_parameters_documented_for_sphinx_and_methods_are_understood(self):
        class Service:
            def find(self, text: str, exact: bool) -> str:
                """Finds it.

                :param text: The text
                    to find.
                :param bool exact: Whether the case counts.
                :returns: The place.
                """

        tool = ClientTool.of(Service().find)
        described = {name: schema.get("description") for name, schema in tool.parameters["properties"].items()}
        self.assertEqual(described, {"text": "The text to find.", "exact": "Whether the case counts."})
        self.assertEqual(tool.description, "Finds it.")

    def test_arguments_are_converted_to_the_hinted_types(self):
        tool = ClientTool.of(forecast)
        arguments = {
            "place": {"city": "Rome", "days": 3.0}, "unit": "kelvin", "limit": 2, "filters": [{"field": "t", "values": [1, 2.5]}],
        }
        result = begin(tool, arguments)
        self.assertEqual(result["place"], Place("Rome", 3, []))
        self.assertIs(type(result["place"].days), int)
        self.assertEqual((result["unit"], result["limit"]), ("kelvin", 2))
        self.assertEqual(result["filters"], [{"field": "t", "values": [1.0, 2.5]}])
        self.assertEqual(
            text_of(begin(tool, {"place": {"city": "Rome"}})),
            '{"place": {"city": "Rome", "days": 1, "tags": []}, "unit": "celsius", "limit": null, "filters": null, '
            '"extra": {}, "note": ""}',
        )
        for wrong, reason in (
            ({"place": "Rome"}, "place must be an object"),
            ({"place": {}}, "place lacks the field city"),
            ({"place": {"city": "Rome", "days": 1.5}}, "place.days must be an integer"),
            ({"place": {"city": "Rome", "days": True}}, "place.days must be an integer"),
            ({"place": {"city": "Rome", "country": "IT"}}, "place has an unknown field: country"),
            ({"place": {"city": "Rome"}, "unit": "f"}, "unit must be one of: 'celsius', 'kelvin'"),
            ({"place": {"city": "Rome"}, "filters": [{"values": ["x"]}]}, r"filters\[0\].values\[0\] must be a number"),
            ({"place": {"city": "Rome"}, "day": 1}, "unknown argument: day"),
        ):
            with self.subTest(reason), self.assertRaisesRegex(ValueError, reason):
                begin(tool, wrong)

    def test_functions_that_cannot_be_tools_are_refused(self):
        def none(value): ...
        def many(*values: str): ...
        def other(value: set[str]): ...
        def keys(value: dict[int, str]): ...
        def tree(value: Tree): ...
        async def later(value: str): ...

        for function, reason in (
            (none, "the parameter 'value' of the tool 'none' has no type hint"),
            (many, "the parameter 'values' of the tool 'many' cannot be passed by name"),
            (other, r"the parameter 'value' of the tool 'other' has the type set\[str\], which has no JSON schema"),
            (keys, r"has the type dict\[int, str\]; the keys of a dict must be str"),
            (tree, "the field 'inner' of the parameter 'value' of the tool 'tree' has the type Tree, which contains itself"),
            (lambda: None, "has no name that a tool may have"),
            (later, "the tool 'later' is an async function; only AsyncRunyard can run it"),
        ):
            with self.subTest(reason), self.assertRaisesRegex(TypeError, reason):
                declared([function], may_await=False)
        self.assertEqual(list(declared([later, forecast], may_await=True)), ["later", "forecast"])
        with self.assertRaisesRegex(ValueError, "two tools have the name 'forecast'"):
            declared([forecast, ClientTool(name="forecast")], may_await=False)


class CallsTest(unittest.TestCase):
    def setUp(self):
        self.scripted = Scripted()
        self.addCleanup(self.scripted.close)
        self.called = []

    def weather(self, city: str) -> str:
        """Returns the weather."""
        self.called.append(city)
        return f"Sunny in {city}"

    def client(self, **options):
        client = Runyard(self.scripted.url, "token", **options)
        self.addCleanup(client.close)
        return client

    def answers(self):
        return [(one.input_id, one.decision, one.text, one.is_error) for one in self.scripted.answers]

    def test_a_run_answers_the_calls_of_its_tools(self):
        run = self.client().agents.run(prompt="x", tools=[self.weather, ClientTool(name="left", description="By hand.")])
        self.assertEqual([(one.name, one.description) for one in self.scripted.started.tools], [("weather", "Returns the weather."), ("left", "By hand.")])
        self.assertEqual(dict(self.scripted.started.tools[0].parameters)["type"], "object")
        self.assertFalse(self.scripted.started.tools[1].HasField("parameters"))
        self.scripted.status("running")
        self.scripted.ask("one", "weather", {"city": "Rome"})
        self.scripted.status("waiting")
        self.scripted.end_after(1)
        events = list(run)
        self.assertEqual(self.answers(), [("one", RESULT, "Sunny in Rome", False)])
        self.assertEqual([type(event) for event in events], [StatusChanged, InputRequested, StatusChanged, InputAnswered, StatusChanged])
        self.assertEqual((events[1].input_kind, events[1].arguments), ("client_tool", {"city": "Rome"}))
        self.assertEqual((events[2].status, events[2].is_terminal, events[3].decision), ("waiting", False, "result"))
        self.assertEqual(run.wait().status, "completed")
        self.assertEqual(list(run), events)
        self.assertEqual(self.called, ["Rome"])

    def test_errors_of_a_function_become_failed_results(self):
        def broken() -> str:
            raise KeyError("no such city")

        def huge() -> str:
            return "é" * 200_000

        def strange() -> object:
            return object()

        def binary() -> str:
            return "a\0b\ud800"

        run = self.client().agents.run(prompt="x", tools=[broken, huge, strange, binary, self.weather])
        for name in ("broken", "huge", "strange", "binary", "weather"):
            self.scripted.ask(name, name, {"city": 3} if name == "weather" else None)
        self.scripted.status("waiting")
        self.scripted.end_after(5)
        self.assertEqual(run.text(), "")
        self.assertEqual(
            self.answers(),
            [
                ("broken", RESULT, "KeyError: 'no such city'", True),
                ("huge", RESULT, "ValueError: the result has 400000 bytes; the maximum is 262144", True),
                ("strange", RESULT, "TypeError: the tool returned a object, which is not JSON", True),
                ("binary", RESULT, "a\ufffdb?", False),
                ("weather", RESULT, "ValueError: city must be a string", True),
            ],
        )

    def test_other_inputs_are_left_for_others(self):
        client = self.client()
        run = client.agents.run(prompt="x", tools=[self.weather, ClientTool(name="manual")])
        self.scripted.ask("manual", "manual")
        self.scripted.ask("unknown", "unknown")
        self.scripted.ask("approval", "weather", {"city": "Rome"}, APPROVAL)
        self.scripted.ask("question", "weather", {"city": "Rome"}, QUESTION)
        self.scripted.ask("own", "weather", {"city": "Oslo"})
        self.scripted.status("waiting")
        self.scripted.end_after(3)
        for event in run:
            if isinstance(event, InputAnswered) and event.input_id == "own":
                pending = [one.input_id for one in client.inputs.list_pending(agent_run_id=run.id)]
                self.assertEqual(pending, ["manual", "unknown", "approval", "question"])
                self.assertEqual([one.input_id for one in client.inputs.list_pending_all()], pending)
                client.inputs.answer(run.id, InputAnswer(input_id="manual", decision="result", text="done"))
                answered = client.inputs.answer(run.id, [{"input_id": "approval", "decision": "approve", "arguments": {"city": "Bern", "n": [1]}}])
                self.assertEqual((answered.status, answered.inputs[0].decision), ("running", "approve"))
        self.assertEqual(dict(self.scripted.answers[2].arguments)["city"], "Bern")
        self.assertEqual(client.inputs.get("manual").text, "done")
        self.assertIsNone(client.inputs.get("question").decision)
        self.assertEqual(self.called, ["Oslo"])

    def test_a_call_is_answered_once_across_broken_connections_and_readers(self):
        run = self.client().agents.run(prompt="x", tools=[self.weather])
        self.scripted.failures["AnswerInput"] = [grpc.StatusCode.UNAVAILABLE] * 2
        self.scripted.cut_after = 2
        self.scripted.status("running")
        self.scripted.ask("one", "weather", {"city": "Rome"})
        self.scripted.status("waiting")
        self.scripted.end_after(1)
        read = []
        readers = [threading.Thread(target=lambda: read.append(list(run))) for _ in range(2)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        self.assertEqual(read[0], read[1])
        self.assertEqual((self.called, len(self.scripted.answers)), (["Rome"], 1))
        self.assertEqual(self.scripted.calls.count("AnswerInput"), 3)

    def test_a_function_does_not_run_again_after_a_failed_answer(self):
        run = self.client(timeout=0.3, reconnect_for=0.3).agents.run(prompt="x", tools=[self.weather])
        self.scripted.failures["AnswerInput"] = [grpc.StatusCode.UNAVAILABLE] * 50
        self.scripted.ask("one", "weather", {"city": "Rome"})
        self.scripted.status("waiting")
        with self.assertRaises(runyard.UnavailableError):
            list(run)
        self.scripted.failures.clear()
        self.scripted.end_after(1)
        self.assertEqual(run.wait().status, "completed")
        self.assertEqual((self.called, len(self.scripted.answers)), (["Rome"], 1))

    def test_a_reopened_run_answers_pending_calls_only(self):
        self.scripted.ask("old", "weather", {"city": "Rome"})
        self.scripted.decided["old"] = InputAnswer(input_id="old", decision=RESULT, text="known")
        self.scripted.ask("new", "weather", {"city": "Oslo"})
        self.scripted.status("waiting")
        run = self.client().runs.get("run", tools=[self.weather])
        self.scripted.end_after(1)
        # The cursor is after both requests.
        list(run.events(after_sequence=3))
        self.assertEqual(self.called, ["Oslo"])
        list(self.client().runs.get("run", tools=[self.weather]))
        self.assertEqual(self.called, ["Oslo"])

    def test_an_answer_to_a_run_that_has_ended_is_no_error_and_a_refused_answer_is(self):
        run = self.client().agents.run(prompt="x", tools=[self.weather])
        self.scripted.failures["AnswerInput"] = [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT]
        self.scripted.ask("one", "weather", {"city": "Rome"})
        self.scripted.ask("two", "weather", {"city": "Oslo"})
        self.scripted.status("waiting")
        with self.assertRaises(runyard.InvalidRequestError):
            list(run)
        self.assertEqual(self.called, ["Rome", "Oslo"])

    def test_the_progress_shows_what_a_run_waits_for(self):
        run = self.client().agents.run(prompt="x")
        self.scripted.ask("one", "bash", {"command": "ls"}, APPROVAL)
        client = self.client()
        client.inputs.answer(run.id, {"input_id": "one", "decision": "deny", "text": "Too risky."})
        self.scripted.status("completed")
        shown = io.StringIO()
        run.show(shown)
        self.assertIn("  waiting: Run bash?\n  denied: Too risky.\n", shown.getvalue())

    def test_async_and_plain_functions_with_asyncio(self):
        loops = []

        called = threading.Event()

        async def later(city: str) -> dict[str, str]:
            loops.append(asyncio.get_running_loop())
            # The other function is called while this one runs.
            await asyncio.to_thread(called.wait, 60)
            return {"city": city}

        def weather(city: str) -> str:
            called.set()
            return self.weather(city)

        async def job():
            async with AsyncRunyard(self.scripted.url, "token") as client:
                run = await client.agents.run(prompt="x", tools=[later, weather])
                self.scripted.ask("one", "later", {"city": "Rome"})
                self.scripted.ask("two", "weather", {"city": "Oslo"})
                self.scripted.status("waiting")
                self.scripted.end_after(2)
                self.assertEqual((await run.wait()).status, "completed")
                self.assertEqual(loops, [asyncio.get_running_loop()])
                self.assertEqual([one.input_id async for one in client.inputs.list_pending_all()], [])

        asyncio.run(job())
        self.assertEqual(sorted(self.answers()), [("one", RESULT, '{"city": "Rome"}', False), ("two", RESULT, "Sunny in Oslo", False)])


if __name__ == "__main__":
    unittest.main()
