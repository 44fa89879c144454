"""Tests streams that end early, with a scripted gRPC server."""

import asyncio
import time
import unittest

import runyard
from runyard import AsyncRunyard, Runyard
from runyard._proto import events_pb2

from scripted import RUN, Scripted


class StreamTest(unittest.TestCase):
    def setUp(self):
        self.scripted = Scripted()
        self.addCleanup(self.scripted.close)
        self.scripted.status("running")
        for number in range(5):
            self.scripted.add(message_delta=events_pb2.MessageDelta(message_id="m", text=str(number)))

    def test_a_stream_that_ends_before_its_run_resumes(self):
        self.scripted.status("completed")
        self.scripted.ends_before = {1, 2, 5}
        with Runyard(self.scripted.url, "token") as client:
            self.assertEqual([event.sequence for event in client.runs.get(RUN)], list(range(1, 8)))
        self.assertEqual(self.scripted.calls.count("StreamRun"), 4)

    def test_a_stream_that_ends_before_its_run_resumes_with_asyncio(self):
        self.scripted.status("completed")
        self.scripted.ends_before = {1, 4, 7}

        async def read():
            async with AsyncRunyard(self.scripted.url, "token") as client:
                return [event.sequence async for event in await client.runs.get(RUN)]

        self.assertEqual(asyncio.run(read()), list(range(1, 8)))
        self.assertEqual(self.scripted.calls.count("StreamRun"), 4)

    def test_a_stream_that_always_ends_early_is_given_up(self):
        self.scripted.always_ends = True
        for options, streams in (({"reconnect_for": 1}, range(2, 20)), ({"max_retries": 3}, range(4, 5))):
            self.scripted.calls.clear()
            with Runyard(self.scripted.url, "token", **options) as client:
                run = client.runs.get(RUN)
                begun = time.monotonic()
                with self.assertRaises(runyard.UnavailableError) as raised:
                    list(run)
                self.assertIn("ended before the run did", str(raised.exception))
                self.assertLess(time.monotonic() - begun, 60)
            self.assertIn(self.scripted.calls.count("StreamRun"), streams)

    def test_a_run_that_has_ended_at_the_cursor_needs_no_event(self):
        self.scripted.status("completed")
        self.scripted.ends_before = {8}
        with Runyard(self.scripted.url, "token") as client:
            self.assertEqual(list(client.runs.stream(RUN, after_sequence=7)), [])
            self.assertEqual(self.scripted.calls, ["ListModes", "StreamRun", "StreamRun"])
            # At an earlier cursor, an early end does not hide the events that follow.
            self.scripted.ends_before = {7}
            self.assertEqual([event.sequence for event in client.runs.stream(RUN, after_sequence=6)], [7])


if __name__ == "__main__":
    unittest.main()
