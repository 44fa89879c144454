"""Tests the output of a run: its schema from a type, and the answer as an instance of the type."""

import asyncio
import dataclasses
import enum
import unittest
from typing import Optional, TypedDict

import pydantic
from runyard import AsyncRunyard, Runyard

from google.protobuf import json_format
from scripted import Scripted


@dataclasses.dataclass
class City:
    name: str
    people: int
    mayor: Optional[str] = None


@dataclasses.dataclass
class Country:
    cities: list[City]


class Place(TypedDict):
    name: str


class Colour(enum.Enum):
    RED = "red"


class Car(pydantic.BaseModel):
    colour: Colour
    doors: int = pydantic.Field(ge=1, description="How many.")


SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


class OutputTest(unittest.TestCase):
    def setUp(self):
        self.scripted = Scripted()
        self.addCleanup(self.scripted.close)
        self.client = Runyard(self.scripted.url, "token")
        self.addCleanup(self.client.close)

    def ended(self, output, answer):
        self.scripted.events.clear()
        run = self.client.agents.run(prompt="x", output=output)
        self.assertIsNone(run.output)
        self.scripted.complete(answer)
        for _ in run:
            pass
        sent = json_format.MessageToDict(self.scripted.started.output_schema)
        seen = run.output
        self.assertEqual(self.client.runs.get(run.id, output=output).output, seen)
        run.wait(check=True)
        self.assertEqual(run.output, seen)
        return sent, seen

    def test_a_pydantic_model(self):
        sent, output = self.ended(Car, {"colour": "red", "doors": 3})
        self.assertEqual(output, Car(colour=Colour.RED, doors=3))
        self.assertEqual(sent["properties"]["doors"], {"description": "How many.", "minimum": 1, "title": "Doors", "type": "integer"})
        self.assertEqual(sent["$defs"]["Colour"]["enum"], ["red"])

    def test_a_dataclass(self):
        sent, output = self.ended(Country, {"cities": [{"name": "Rome", "people": 2800000}]})
        self.assertEqual(output, Country([City("Rome", 2800000)]))
        self.assertEqual(sent["properties"]["cities"]["items"]["required"], ["name", "people"])
        self.assertIs(type(output.cities[0].people), int)

    def test_a_typed_dict_and_a_schema(self):
        sent, output = self.ended(Place, {"name": "Rome"})
        self.assertEqual((output, sent["required"]), ({"name": "Rome"}, ["name"]))
        sent, output = self.ended(SCHEMA, {"name": "Rome"})
        self.assertEqual((output, sent), ({"name": "Rome"}, SCHEMA))

    def test_a_run_without_output(self):
        run = self.client.agents.run(prompt="x")
        self.assertFalse(self.scripted.started.HasField("output_schema"))
        self.scripted.status("completed")
        run.wait()
        self.assertIsNone(run.output)
        self.assertIsNone(run.record.output)

    def test_an_answer_that_the_type_refuses(self):
        run = self.client.agents.run(prompt="x", output=Car)
        self.scripted.complete({"colour": "blue", "doors": 3})
        run.wait()
        with self.assertRaises(pydantic.ValidationError):
            _ = run.output

    def test_types_without_an_object_schema_are_refused(self):
        for wrong in (int, list[City], dict[str, int], Colour):
            with self.assertRaises(TypeError, msg=wrong):
                self.client.agents.run(prompt="x", output=wrong)
        self.assertEqual(self.scripted.calls, [])

    def test_with_asyncio(self):
        async def main():
            async with AsyncRunyard(self.scripted.url, "token") as client:
                run = await client.agents.run(prompt="x", output=City)
                self.scripted.complete({"name": "Rome", "people": 1.0})
                await run.wait(check=True)
                return run.output

        self.assertEqual(asyncio.run(main()), City("Rome", 1))
