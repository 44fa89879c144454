"""Plays the scenario of tests/foreign/scenario.py with grpclib (asyncio)."""

import asyncio
import os
import urllib.parse

from google.rpc import error_details_pb2, status_pb2  # noqa: F401 - grpclib decodes the details with these messages
from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.exceptions import GRPCError, StreamTerminatedError
from runyard.v1 import agents_grpc, agents_pb2, errors_pb2, events_pb2, runs_grpc, runs_pb2

# Without keepalive, a client does not notice that the network drops all packets. By default, grpclib stops pinging
# after two pings without data. `_http2_max_pings_without_data` 0 removes this limit.
KEEPALIVE = Configuration(_keepalive_time=10, _keepalive_timeout=5, _http2_max_pings_without_data=0)
TERMINAL = (events_pb2.RUN_STATUS_COMPLETED, events_pb2.RUN_STATUS_FAILED, events_pb2.RUN_STATUS_STOPPED)

caller = {"authorization": f"Bearer {os.environ['RUNYARD_TOKEN']}"}


def say(*words):
    print(*words, flush=True)


class Progress:
    def __init__(self, run_id):
        self.run_id, self.sequence, self.text, self.end = run_id, 0, "", None

    def next_events(self):
        return runs_pb2.StreamRunRequest(agent_run_id=self.run_id, after_sequence=self.sequence)

    def take(self, event):
        """Returns false for a heartbeat."""
        kind = event.WhichOneof("event")
        if kind is None:
            return False
        self.sequence = event.sequence
        if kind == "message_delta":
            self.text += event.message_delta.text
        elif kind == "tool_call":
            say("tool", event.tool_call.name, event.tool_call.arguments["path"])
        elif kind == "status" and event.status.status in TERMINAL:
            self.end = events_pb2.RunStatus.Name(event.status.status)
        return True


async def stream(runs, run, timeout=None):
    async with runs.StreamRun.open(timeout=timeout, metadata=caller) as call:
        await call.send_message(run.next_events(), end=True)
        async for event in call:
            if run.take(event):
                yield event


async def refused(call):
    try:
        await call
    except GRPCError as error:
        words = [error.status.name]
        for detail in error.details:
            if isinstance(detail, error_details_pb2.ErrorInfo):
                words.append(detail.reason)
            elif isinstance(detail, error_details_pb2.BadRequest):
                words += [f"field={violation.field}" for violation in detail.field_violations]
            elif isinstance(detail, errors_pb2.Refusal):
                words.append(f"plan={detail.tier_name} {detail.current_count}/{detail.limit}")
        say("refused", *words)


async def follow(runs, run):
    while run.end is None:
        code = "OK"
        try:
            async for event in stream(runs, run):
                say("event", event.sequence)
        except GRPCError as error:
            code = error.status.name
        except (StreamTerminatedError, OSError) as error:
            # grpclib reports a lost connection without a gRPC status.
            code = type(error).__name__
        if run.end is None:
            say("broken", code)
            await asyncio.sleep(0.2)


async def main():
    server = urllib.parse.urlsplit(os.environ["RUNYARD_SERVER"])
    async with Channel(server.hostname, server.port, config=KEEPALIVE) as channel:
        runs = runs_grpc.RunServiceStub(channel)
        agents = agents_grpc.AgentServiceStub(channel)

        await refused(agents.ListAgents(agents_pb2.ListAgentsRequest(), metadata={"authorization": "Bearer a.b.c"}))
        await refused(agents.GetAgent(agents_pb2.GetAgentRequest(agent_id="nonsense"), metadata=caller))
        await refused(agents.CreateAgent(agents_pb2.CreateAgentRequest(name="One more"), metadata=caller))

        request = runs_pb2.StartRunRequest(prompt=os.environ["RUNYARD_PROMPT"])
        started = await runs.StartRun(request, metadata=caller)
        say("started", events_pb2.RunStatus.Name(started.status))
        run = Progress(started.agent_run_id)
        await follow(runs, run)
        say("text", run.text)
        say("ended", run.end)

        request = runs_pb2.StartRunRequest(prompt=os.environ["RUNYARD_SLOW_PROMPT"])
        started = await runs.StartRun(request, metadata=caller)
        run = Progress(started.agent_run_id)
        try:
            async for _ in stream(runs, run, timeout=2):
                pass
        except asyncio.TimeoutError:
            # grpclib raises asyncio's exception if the deadline expires in the client first.
            say("deadline", "TimeoutError")
        except GRPCError as error:
            say("deadline", error.status.name)

        events = stream(runs, Progress(run.run_id))
        await anext(events)
        reading = asyncio.create_task(collect(events))
        await asyncio.sleep(0)
        reading.cancel()
        try:
            await reading
        except asyncio.CancelledError:
            say("cancelled", "CancelledError")

        await runs.StopRun(runs_pb2.StopRunRequest(agent_run_id=run.run_id), metadata=caller)
        async for _ in stream(runs, run):
            pass
        say("stopped", run.end)


async def collect(events):
    return [event async for event in events]


asyncio.run(main())
