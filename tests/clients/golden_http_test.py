"""Plays golden.json over HTTP/JSON and server-sent events, with only the standard library and the HTTP rules of the
.proto files."""

import base64
import http.client
import json
import re
import unittest
import urllib.parse

from google.api import annotations_pb2
from runyard.v1 import (
    accounts_pb2,
    agents_pb2,
    files_pb2,
    inputs_pb2,
    memories_pb2,
    projects_pb2,
    runs_pb2,
    sandboxes_pb2,
    schedules_pb2,
    secrets_pb2,
    shares_pb2,
    skills_pb2,
    threads_pb2,
    triggers_pb2,
    webhooks_pb2,
)

from golden import Player, Refused, exchanges
from model import Model
from program import DEADLINE, Server

FILES = (
    accounts_pb2,
    agents_pb2,
    files_pb2,
    inputs_pb2,
    memories_pb2,
    projects_pb2,
    runs_pb2,
    sandboxes_pb2,
    schedules_pb2,
    secrets_pb2,
    shares_pb2,
    skills_pb2,
    threads_pb2,
    triggers_pb2,
    webhooks_pb2,
)
METHODS = {
    f"{service.name}.{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


class Door:
    def __init__(self, server, token):
        self.server = server
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def open(self, method, request, headers=()):
        rule = METHODS[method].GetOptions().Extensions[annotations_pb2.http]
        verb = rule.WhichOneof("pattern")
        request = dict(request)
        path = re.sub(r"\{(\w+)\}", lambda found: urllib.parse.quote(request.pop(found[1]), safe=""), getattr(rule, verb))
        headers, body = {**self.headers, **dict(headers)}, None
        if rule.body:
            body = json.dumps(request)
            headers["content-type"] = "application/json"
        elif request:
            texts = {key: json.dumps(value) if isinstance(value, bool) else value for key, value in request.items()}
            path += "?" + urllib.parse.urlencode(texts, doseq=True)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=DEADLINE)
        connection.request(verb.upper(), path, body, headers)
        answer = connection.getresponse()
        if answer.status >= 400:
            detail = json.loads(answer.read())["detail"]
            connection.close()
            details = detail if isinstance(detail, dict) else None
            message = details["message"] if details else detail
            raise Refused(reason=answer.headers["x-error-code"], http=answer.status, message=message, details=details)
        return connection, answer

    def call(self, method, request):
        connection, answer = self.open(method, request)
        body = answer.read()
        connection.close()
        return json.loads(body) if body else {}

    def upload(self, name, data):
        upload = self.call("FileService.CreateUpload", {"name": name, "size": len(data)})
        if data:
            part = {"upload_id": upload["upload_id"], "offset": 0, "data": base64.b64encode(data).decode()}
            upload = self.call("FileService.UploadChunk", part)
        assert upload["complete"], upload
        return upload["upload_id"]

    def stream(self, request, most):
        connection, answer = self.open("RunService.StreamRun", request)
        events = []
        try:
            for line in answer:
                if line.startswith(b"data: "):
                    events.append(json.loads(line[6:]))
                    if len(events) == most:
                        break
        finally:
            connection.close()
        return events

    def read(self, request):
        connection, answer = self.open("SandboxService.ReadFile", request)
        data = answer.read()
        connection.close()
        return data


class GoldenHttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(cls.model)
        cls.addClassCleanup(cls.server.close)

    def test_every_exchange_of_the_table(self):
        for exchange in exchanges():
            with self.subTest(exchange["name"]):
                Player(lambda token: Door(self.server, token), self.server.caller).play(exchange)

    def test_a_wrong_table_fails(self):
        """Tests the player itself. Each of these exchanges is wrong, so the player must fail."""
        create = {"call": "AgentService.CreateAgent", "request": {"name": "Ours"}}
        start = {"call": "RunService.StartRun", "request": {"prompt": "say: Hello"}, "answer": {"agent_run_id": "$save:run"}}
        stream = {"stream": {"agent_run_id": "$ref:run"}}
        false = [
            [{**create, "answer": {"name": "Theirs"}}],
            [{**create, "answer": {"name": "Ours", "nothing": 1}}],
            [{**create, "answer": {"tags": ["one"]}}],
            [{**create, "answer": {"created_at": "$uuid"}}],
            [{**create, "answer": {"agentpress_tools": {"$has": [{"name": "x"}]}}}],
            [{**create, "error": {"reason": "INVALID_REQUEST"}}],
            [{**create, "request": {}, "answer": {}}],
            [{**create, "request": {}, "error": {"reason": "AGENT_NOT_FOUND"}}],
            [{**create, "request": {}, "error": {"http": 404}}],
            [{**create, "request": {}, "error": {"details": {"limit": 3}}}],
            [{**create, "request": {}, "error": {"message": "Agent name is missing"}}],
            [start, {**stream, "events": {"text": "Hello!"}}],
            [start, {**stream, "events": {"status": "$enum:FAILED"}}],
            [start, {**stream, "events": {"kinds": ["status"]}}],
            [start, {**stream, "events": {"has": [{"notice": {}}]}}],
        ]
        for steps in false:
            with self.subTest(steps[-1]), self.assertRaises(AssertionError):
                Player(lambda token: Door(self.server, token), self.server.caller).play({"name": "false", "steps": steps})


if __name__ == "__main__":
    unittest.main()
