"""Tests the API over gRPC, with stubs that grpcio-tools generates from the .proto files."""

import os
import unittest
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from runyard.v1 import agents_pb2, agents_pb2_grpc, errors_pb2, events_pb2, files_pb2, files_pb2_grpc
from runyard.v1 import runs_pb2, runs_pb2_grpc, sandboxes_pb2, sandboxes_pb2_grpc, threads_pb2, threads_pb2_grpc

from program import CSV, DEADLINE, Server

TERMINAL = (events_pb2.RUN_STATUS_COMPLETED, events_pb2.RUN_STATUS_FAILED, events_pb2.RUN_STATUS_STOPPED)


class Caller:
    def __init__(self, server, token):
        self.metadata = (("authorization", f"Bearer {token}"),)
        self.channel = grpc.insecure_channel(server.address)
        self.agents = agents_pb2_grpc.AgentServiceStub(self.channel)
        self.files = files_pb2_grpc.FileServiceStub(self.channel)
        self.runs = runs_pb2_grpc.RunServiceStub(self.channel)
        self.sandboxes = sandboxes_pb2_grpc.SandboxServiceStub(self.channel)
        self.threads = threads_pb2_grpc.ThreadServiceStub(self.channel)

    def call(self, method, request):
        return method(request, metadata=self.metadata, timeout=DEADLINE)

    def upload(self, path, chunk=777):
        with open(path, "rb") as file:
            data = file.read()
        name = os.path.basename(path)
        upload = self.call(self.files.CreateUpload, files_pb2.CreateUploadRequest(name=name, size=len(data)))
        for offset in range(0, len(data), chunk):
            part = files_pb2.UploadChunkRequest(
                upload_id=upload.upload_id, offset=offset, data=data[offset : offset + chunk]
            )
            upload = self.call(self.files.UploadChunk, part)
            # Sending the same chunk again changes nothing.
            again = self.call(self.files.UploadChunk, part)
            assert again.received == upload.received, (again, upload)
        assert upload.complete and upload.received == len(data), upload
        return upload.upload_id

    def events(self, run_id, after=0):
        request = runs_pb2.StreamRunRequest(agent_run_id=run_id, after_sequence=after)
        return self.call(self.runs.StreamRun, request)


class GrpcTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def caller(self):
        caller = Caller(self.server, self.server.token())
        self.addCleanup(caller.channel.close)
        return caller

    def refused(self, code, reason, call):
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        error = raised.exception
        self.assertEqual(error.code(), code, error)
        details = {}
        for detail in rpc_status.from_call(error).details:
            for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, errors_pb2.Refusal):
                if detail.Is(kind.DESCRIPTOR):
                    details[kind.DESCRIPTOR.name] = kind()
                    detail.Unpack(details[kind.DESCRIPTOR.name])
        self.assertEqual(details["ErrorInfo"].reason, reason)
        self.assertEqual(details["ErrorInfo"].domain, "runyard")
        return error.details(), details

    def test_an_agent_analyses_a_file(self):
        caller = self.caller()
        agent = caller.call(caller.agents.CreateAgent, agents_pb2.CreateAgentRequest(name="Analyst", icon_name="brain"))
        self.assertEqual((agent.version_count, agent.current_version.version_name), (1, "v1"))
        self.assertEqual(caller.call(caller.agents.GetAgent, agents_pb2.GetAgentRequest(agent_id=agent.agent_id)), agent)

        started = caller.call(
            caller.runs.StartRun,
            runs_pb2.StartRunRequest(
                prompt="Analyze data.csv and create visualizations",
                agent_id=agent.agent_id,
                files=[caller.upload(CSV)],
            ),
        )
        self.assertEqual(started.status, events_pb2.RUN_STATUS_RUNNING)
        self.assertTrue(started.HasField("sandbox_id"))

        events = list(caller.events(started.agent_run_id))
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        ends = [event for event in events if event.WhichOneof("event") == "status" and event.status.status in TERMINAL]
        self.assertEqual(ends, events[-1:])
        self.assertEqual(ends[0].status.status, events_pb2.RUN_STATUS_COMPLETED, ends)
        kinds = {event.WhichOneof("event") for event in events}
        self.assertLessEqual({"status", "message_delta", "message", "tool_call", "tool_result", "usage"}, kinds)
        calls = {event.tool_call.tool_call_id for event in events if event.WhichOneof("event") == "tool_call"}
        results = {event.tool_result.tool_call_id for event in events if event.WhichOneof("event") == "tool_result"}
        self.assertEqual(calls, results)

        # A stream after a cursor returns exactly the later events.
        for after in (1, len(events) // 2, len(events) - 1, len(events)):
            self.assertEqual(list(caller.events(started.agent_run_id, after)), events[after:])
        self.refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            "CURSOR_BEYOND_END",
            lambda: list(caller.events(started.agent_run_id, len(events) + 1)),
        )

        listing = caller.call(
            caller.sandboxes.ListFiles,
            sandboxes_pb2.ListFilesRequest(sandbox_id=started.sandbox_id, path="output", recursive=True),
        )
        sizes = {file.path: file.size for file in listing.files if not file.is_dir}
        self.assertIn("output/report.md", sizes)
        self.assertTrue(any(path.endswith(".svg") for path in sizes), sizes)
        for path, size in sizes.items():
            request = sandboxes_pb2.ReadFileRequest(sandbox_id=started.sandbox_id, path=path)
            whole = b"".join(part.data for part in caller.call(caller.sandboxes.ReadFile, request))
            self.assertEqual(len(whole), size, path)
            request.range = "bytes=2-9"
            part = b"".join(part.data for part in caller.call(caller.sandboxes.ReadFile, request))
            self.assertEqual(part, whole[2:10])

        messages = caller.call(caller.threads.ListMessages, threads_pb2.ListMessagesRequest(thread_id=started.thread_id))
        self.assertEqual(messages.messages[0].role, threads_pb2.MESSAGE_ROLE_USER)
        self.assertEqual(messages.messages[0].content, "Analyze data.csv and create visualizations")
        self.assertEqual(list(messages.messages[0].files), ["data.csv"])
        self.assertEqual(messages.messages[-1].role, threads_pb2.MESSAGE_ROLE_ASSISTANT)
        run = caller.call(caller.runs.GetRun, runs_pb2.GetRunRequest(agent_run_id=started.agent_run_id))
        self.assertEqual(run.status, events_pb2.RUN_STATUS_COMPLETED)
        listed = caller.call(caller.runs.ListRuns, runs_pb2.ListRunsRequest(thread_id=started.thread_id))
        self.assertEqual([run.agent_run_id for run in listed.agent_runs], [started.agent_run_id])
        self.assertEqual(len(caller.call(caller.runs.ListActiveRuns, runs_pb2.ListActiveRunsRequest()).active_runs), 0)

    def test_a_retried_start_returns_the_same_run(self):
        caller = self.caller()
        request = runs_pb2.StartRunRequest(prompt="Say hello", mode="chat", request_id=str(uuid.uuid4()))
        first = caller.call(caller.runs.StartRun, request)
        self.assertEqual(caller.call(caller.runs.StartRun, request).agent_run_id, first.agent_run_id)
        request.prompt = "Say something else"
        self.refused(
            grpc.StatusCode.FAILED_PRECONDITION, "REQUEST_KEY_REUSED", lambda: caller.call(caller.runs.StartRun, request)
        )
        list(caller.events(first.agent_run_id))

    def test_errors_have_typed_details(self):
        caller = self.caller()
        nobody = Caller(self.server, "a.b.c")
        self.addCleanup(nobody.channel.close)
        invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
        sentence, _ = self.refused(
            grpc.StatusCode.UNAUTHENTICATED,
            "NOT_AUTHENTICATED",
            lambda: nobody.call(nobody.agents.ListAgents, agents_pb2.ListAgentsRequest()),
        )
        self.assertEqual(sentence, "Not authenticated")
        with self.assertRaises(grpc.RpcError) as raised:
            caller.agents.ListAgents(agents_pb2.ListAgentsRequest(), timeout=DEADLINE)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
        caller.call(caller.agents.ListAgents, agents_pb2.ListAgentsRequest())

        sentence, _ = self.refused(
            invalid, "INVALID_REQUEST", lambda: caller.call(caller.runs.StartRun, runs_pb2.StartRunRequest())
        )
        self.assertEqual(sentence, "prompt required when creating new thread")
        sentence, _ = self.refused(
            invalid,
            "INVALID_REQUEST",
            lambda: caller.call(caller.runs.StartRun, runs_pb2.StartRunRequest(prompt="x", optimistic=True)),
        )
        self.assertEqual(sentence, "thread_id and project_id required for optimistic mode")
        self.refused(
            invalid,
            "INVALID_REQUEST",
            lambda: caller.call(caller.agents.GetAgent, agents_pb2.GetAgentRequest(agent_id="../etc")),
        )
        sentence, _ = self.refused(
            missing,
            "THREAD_NOT_FOUND",
            lambda: caller.call(
                caller.runs.StartRun, runs_pb2.StartRunRequest(prompt="x", thread_id=str(uuid.uuid4()))
            ),
        )
        self.assertEqual(sentence, "Thread not found")
        self.refused(
            missing,
            "RUN_NOT_FOUND",
            lambda: list(caller.events(str(uuid.uuid4()))),
        )
        for number in range(3):
            caller.call(caller.agents.CreateAgent, agents_pb2.CreateAgentRequest(name=f"Agent {number}"))
        sentence, details = self.refused(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "AGENT_LIMIT_EXCEEDED",
            lambda: caller.call(caller.agents.CreateAgent, agents_pb2.CreateAgentRequest(name="One more")),
        )
        self.assertEqual(sentence, "Maximum of 3 agents allowed for your current plan. You have 3 agents.")
        refusal = details["Refusal"]
        self.assertEqual((refusal.current_count, refusal.limit, refusal.tier_name), (3, 3, "free"))

    def test_agents_of_another_account_are_not_found(self):
        ours, theirs = self.caller(), self.caller()
        agent = ours.call(ours.agents.CreateAgent, agents_pb2.CreateAgentRequest(name="Ours"))
        said = []
        for agent_id in (agent.agent_id, str(uuid.uuid4())):
            request = agents_pb2.GetAgentRequest(agent_id=agent_id)
            said.append(
                self.refused(
                    grpc.StatusCode.NOT_FOUND, "AGENT_NOT_FOUND", lambda r=request: theirs.call(theirs.agents.GetAgent, r)
                )
            )
        self.assertEqual(said[0], said[1])
        self.assertEqual(len(theirs.call(theirs.agents.ListAgents, agents_pb2.ListAgentsRequest()).agents), 0)
        self.assertEqual(len(ours.call(ours.agents.ListAgents, agents_pb2.ListAgentsRequest()).agents), 1)

    def test_health_needs_no_token(self):
        with grpc.insecure_channel(self.server.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)


class ReflectionTest(unittest.TestCase):
    def test_reflection_lists_the_services(self):
        server = Server()
        self.addCleanup(server.close)
        with grpc.insecure_channel(server.address) as channel:
            services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
        self.assertLessEqual({"runyard.v1.RunService", "runyard.v1.AgentService", "grpc.health.v1.Health"}, services)
        self.assertEqual(server.stop(), 0, "a stopped server exits with 0")


class CrashTest(unittest.TestCase):
    def test_acknowledged_runs_and_events_survive_a_crash(self):
        server = Server()
        self.addCleanup(server.close)
        caller = Caller(server, server.token())
        request = runs_pb2.StartRunRequest(
            prompt="Analyze data.csv and create visualizations", files=[caller.upload(CSV)]
        )
        started = caller.call(caller.runs.StartRun, request)
        seen = []
        for event in caller.events(started.agent_run_id):
            seen.append(event)
            if event.WhichOneof("event") == "tool_call":
                break
        server.kill()
        caller.channel.close()
        server.start()
        caller = Caller(server, server.token(subject_of(caller)))
        self.addCleanup(caller.channel.close)
        events = list(caller.events(started.agent_run_id))
        self.assertEqual(events[: len(seen)], seen, "the received events are unchanged")
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(events[-1].status.status, events_pb2.RUN_STATUS_COMPLETED, events[-1])


def subject_of(caller):
    """Decodes the claim `sub` of a caller's token. Does not verify the signature."""
    import base64
    import json

    payload = caller.metadata[0][1].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]


if __name__ == "__main__":
    unittest.main()
