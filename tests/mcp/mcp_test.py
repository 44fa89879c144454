"""Runs that use MCP servers of other projects: the Python library (fastmcp on mcp) and the TypeScript reference server. See
run.sh."""

import json
import unittest
import urllib.request

from model import Model
from program import DEADLINE, Server
from servers import everything, fastmcp

CONFIGURATION = """
limits = "off"
[mcp]
allow_private_addresses = true
"""


class Mcp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(model=cls.model, configuration=CONFIGURATION)
        cls.addClassCleanup(cls.server.close)
        cls.token = cls.server.token()

    def start(self, made):
        process, url = made
        self.addCleanup(process.close)
        return process, url

    def trial(self, kind, url):
        body = {"server": {"name": "box", "type": kind, "url": url}}
        return self.server.http("POST", "/v1/agents/test-mcp-server", self.token, body)

    def events(self, kind, url, *lines):
        """Runs an agent with one server and this script; returns the events by name."""
        server = {"name": "box", "type": kind, "url": url}
        agent = self.server.http("POST", "/v1/agents", self.token, {"name": "An agent", "custom_mcps": [server]})
        body = {"prompt": "\n".join(lines), "agent_id": agent["agent_id"]}
        run = self.server.http("POST", "/v1/agent/start", self.token, body)
        request = urllib.request.Request(f"{self.server.url}/v1/agent-run/{run['agent_run_id']}/stream")
        request.add_header("authorization", f"Bearer {self.token}")
        found = {}
        with urllib.request.urlopen(request, timeout=DEADLINE) as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    for name, value in event.items():
                        found.setdefault(name, []).append(value)
        self.assertEqual(found["status"][-1]["status"], "completed", found)
        return found

    def results(self, *arguments):
        return [result["text"] for result in self.events(*arguments)["tool_result"]]

    def test_the_python_library(self):
        _, url = self.start(fastmcp("http"))
        self.assertEqual([tool["name"] for tool in self.trial("http", url)["tools"]], [
            "box__add", "box__steps", "box__broken", "box__nothing"
        ])
        found = self.events(
            "http", url, 'call: box__add | {"a": 17, "b": 25}', "call: box__steps | {}", "call: box__broken | {}",
            "call: box__nothing | {}",
        )
        texts = [result["text"] for result in found["tool_result"]]
        self.assertEqual(texts[:2], ["42", "all steps"])
        self.assertIn("out of order", texts[2])
        self.assertEqual([result.get("is_error", False) for result in found["tool_result"]], [False, False, True, False])
        self.assertEqual(texts[3], "(the tool returned no content)")
        self.assertIn("1/2 half", found["tool_output"][0]["text"])

    def test_the_typescript_library(self):
        _, url = self.start(everything("streamableHttp"))
        trial = self.trial("http", url)
        self.assertTrue(trial["connected"], trial)
        self.assertIn("box__echo", [tool["name"] for tool in trial["tools"]])
        texts = self.results("http", url, 'call: box__echo | {"message": "hello"}', 'call: box__get-sum | {"a": 17, "b": 25}')
        self.assertEqual(texts[0], "Echo: hello")
        self.assertIn("42", texts[1])

    def test_the_transport_of_2024(self):
        for made in (everything("sse"), fastmcp("sse")):
            _, url = self.start(made)
            trial = self.trial("sse", url)
            self.assertTrue(trial["connected"], trial)
        texts = self.results("sse", url, 'call: box__add | {"a": 17, "b": 25}')
        self.assertEqual(texts, ["42"])

    def test_a_server_that_has_ended(self):
        process, url = self.start(fastmcp("http"))
        self.assertTrue(self.trial("http", url)["connected"])
        process.process.kill()
        process.process.wait()
        trial = self.trial("http", url)
        self.assertFalse(trial["connected"])
        self.assertIn("refused", trial["reason"])
        found = self.events("http", url, "say: Nothing to do.")
        self.assertIn("are missing from this run", found["notice"][0]["message"])


if __name__ == "__main__":
    unittest.main()
