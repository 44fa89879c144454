"""Tests gRPC-Web over HTTP/1.1. As in browsers, a frame is a flag byte, a length of four bytes and a message. The last
frame has the trailers."""

import http.client
import struct
import unittest

from runyard.v1 import agents_pb2, events_pb2, runs_pb2

from program import DEADLINE, Server


class GrpcWebTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.token = cls.server.token()

    def call(self, method, request, token=None, content_type="application/grpc-web+proto"):
        """Sends a call. Returns the messages, and the trailers with lower-case names."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=DEADLINE)
        self.addCleanup(connection.close)
        message = request.SerializeToString()
        headers = {"content-type": content_type, "x-grpc-web": "1", "accept": content_type}
        if token:
            headers["authorization"] = f"Bearer {token}"
        body = b"\0" + struct.pack(">I", len(message)) + message
        connection.request("POST", f"/runyard.v1.{method}", body, headers)
        answer = connection.getresponse()
        trailers = {name.lower(): value for name, value in answer.getheaders()}
        rest = answer.read()
        self.assertEqual(answer.status, 200, rest)
        messages = []
        while rest:
            flag, length = struct.unpack(">BI", rest[:5])
            self.assertGreaterEqual(len(rest), 5 + length, "the last frame is incomplete")
            frame, rest = rest[5 : 5 + length], rest[5 + length :]
            if flag & 0x80:
                self.assertEqual(rest, b"", "data after the trailers")
                for line in frame.decode().split("\r\n"):
                    if line:
                        name, _, value = line.partition(":")
                        trailers[name.strip().lower()] = value.strip()
            else:
                messages.append(frame)
        return messages, trailers

    def test_a_call_and_a_stream_succeed(self):
        messages, trailers = self.call("AgentService/ListAgents", agents_pb2.ListAgentsRequest(), self.token)
        self.assertEqual(trailers["grpc-status"], "0")
        self.assertEqual(len(agents_pb2.ListAgentsResponse.FromString(messages[0]).agents), 0)

        request = runs_pb2.StartRunRequest(prompt="Write a haiku into a file")
        messages, trailers = self.call("RunService/StartRun", request, self.token)
        self.assertEqual(trailers["grpc-status"], "0", trailers)
        run = runs_pb2.StartRunResponse.FromString(messages[0])
        stream = runs_pb2.StreamRunRequest(agent_run_id=run.agent_run_id)
        messages, trailers = self.call("RunService/StreamRun", stream, self.token)
        self.assertEqual(trailers["grpc-status"], "0", trailers)
        events = [events_pb2.RunEvent.FromString(message) for message in messages]
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(events[-1].status.status, events_pb2.RUN_STATUS_COMPLETED, events[-1])

    def test_errors_are_in_the_trailers(self):
        _, trailers = self.call("AgentService/ListAgents", agents_pb2.ListAgentsRequest())
        self.assertEqual(trailers["grpc-status"], "16")
        request = agents_pb2.GetAgentRequest(agent_id="nonsense")
        _, trailers = self.call("AgentService/GetAgent", request, self.token)
        self.assertEqual(trailers["grpc-status"], "3")
        self.assertIn("grpc-status-details-bin", trailers)


if __name__ == "__main__":
    unittest.main()
