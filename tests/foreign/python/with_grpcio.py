"""Plays the scenario of tests/foreign/scenario.py with grpcio."""

import os
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from runyard.v1 import agents_pb2, agents_pb2_grpc, errors_pb2, events_pb2, runs_pb2, runs_pb2_grpc

# Without keepalive, a client does not notice that the network drops all packets. By default, grpcio stops pinging
# after two pings without data. `max_pings_without_data` 0 removes this limit. grpcio 1.85 ignores the keepalive
# timeout and uses the ping timeout, a minute by default.
OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.ping_timeout_ms", 5_000),
]
TERMINAL = (events_pb2.RUN_STATUS_COMPLETED, events_pb2.RUN_STATUS_FAILED, events_pb2.RUN_STATUS_STOPPED)

channel = grpc.insecure_channel(os.environ["RUNYARD_SERVER"].removeprefix("http://"), OPTIONS)
runs = runs_pb2_grpc.RunServiceStub(channel)
agents = agents_pb2_grpc.AgentServiceStub(channel)
caller = (("authorization", f"Bearer {os.environ['RUNYARD_TOKEN']}"),)


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


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        words = [error.code().name]
        for detail in rpc_status.from_call(error).details:
            info, request, refusal = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), errors_pb2.Refusal()
            if detail.Unpack(info):
                words.append(info.reason)
            elif detail.Unpack(request):
                words += [f"field={violation.field}" for violation in request.field_violations]
            elif detail.Unpack(refusal):
                words.append(f"plan={refusal.tier_name} {refusal.current_count}/{refusal.limit}")
        say("refused", *words)


def follow(run):
    while run.end is None:
        code = "OK"
        try:
            for event in runs.StreamRun(run.next_events(), metadata=caller):
                if run.take(event):
                    say("event", run.sequence)
        except grpc.RpcError as error:
            code = error.code().name
        if run.end is None:
            say("broken", code)
            time.sleep(0.2)


refused(lambda: agents.ListAgents(agents_pb2.ListAgentsRequest(), metadata=(("authorization", "Bearer a.b.c"),)))
refused(lambda: agents.GetAgent(agents_pb2.GetAgentRequest(agent_id="nonsense"), metadata=caller))
refused(lambda: agents.CreateAgent(agents_pb2.CreateAgentRequest(name="One more"), metadata=caller))

started = runs.StartRun(runs_pb2.StartRunRequest(prompt=os.environ["RUNYARD_PROMPT"]), metadata=caller)
say("started", events_pb2.RunStatus.Name(started.status))
run = Progress(started.agent_run_id)
follow(run)
say("text", run.text)
say("ended", run.end)

started = runs.StartRun(runs_pb2.StartRunRequest(prompt=os.environ["RUNYARD_SLOW_PROMPT"]), metadata=caller)
run = Progress(started.agent_run_id)
try:
    for event in runs.StreamRun(run.next_events(), metadata=caller, timeout=2):
        run.take(event)
except grpc.RpcError as error:
    say("deadline", error.code().name)

stream = runs.StreamRun(runs_pb2.StreamRunRequest(agent_run_id=run.run_id), metadata=caller)
try:
    next(stream)
    stream.cancel()
    next(stream)
except grpc.RpcError as error:
    say("cancelled", error.code().name)

runs.StopRun(runs_pb2.StopRunRequest(agent_run_id=run.run_id), metadata=caller)
for event in runs.StreamRun(run.next_events(), metadata=caller):
    run.take(event)
say("stopped", run.end)
channel.close()
