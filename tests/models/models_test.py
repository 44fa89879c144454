"""Runs with real model servers: llama.cpp's server with a small model, directly and behind LiteLLM. See run.sh."""

import functools
import json
import os
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from program import Server
from servers import DEADLINE, LiteLLM, Llama

# Size of llama.cpp's context window in tokens. Runyard's configuration claims a larger window.
WINDOW = 6144
CLAIMED = 200_000

PROVIDERS = ("llama", "litellm")

# The output of the forced tool call.
SAID = "from-the-sandbox"


def exactly(value):
    """Returns a JSON schema that only this value matches."""
    if isinstance(value, dict):
        properties = {name: exactly(inner) for name, inner in value.items()}
        return {"type": "object", "properties": properties, "required": list(value), "additionalProperties": False}
    return {"const": value}


# The model's chat template does not support tools. The schema forces the model to write a tool call as text.
CALL = exactly({"name": "bash", "arguments": {"command": f"echo {SAID}"}})

# Extra request fields of each model in Runyard's configuration. `ignore_eos` makes the answer as long as possible.
MODELS = {
    "text": {"temperature": 0},
    "long": {"temperature": 0, "ignore_eos": True},
    "forced": {
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "call", "schema": CALL}},
    },
}
ANSWER = {"text": 64, "long": 256, "forced": 128}


def inline(value):
    """Writes a value as TOML in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {inline(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(inline(inner) for inner in value) + "]"
    return json.dumps(value)


def configuration(providers):
    text = 'limits = "off"\n'
    for name, server in providers.items():
        text += f'[providers.{name}]\nkind = "openai"\nbase_url = "{server.url}"\napi_key = "{server.key}"\n'
    for provider in providers:
        for name, extra in MODELS.items():
            text += f"""[[models]]
name = "{provider}/{name}"
provider = "{provider}"
upstream = "smollm2"
context_window = {CLAIMED}
max_output_tokens = {ANSWER[name]}
input_price = 1.0
output_price = 1.0
extra_body = {inline(extra)}
"""
    return f"""{text}[[tiers]]
name = "free"
models = ["*"]
default_model = "llama/text"
max_upload_bytes = 10000000
credits_granted = 300
"""


class Watch:
    def __init__(self, server, token, model, prompt):
        self.server, self.token = server, token
        started = server.http("POST", "/agent/start", token, {"prompt": prompt, "model_name": model})
        self.run_id = started["agent_run_id"]
        request = urllib.request.Request(f"{server.url}/agent-run/{self.run_id}/stream")
        request.add_header("authorization", f"Bearer {token}")
        request.add_header("accept", "text/event-stream")
        self.stream = urllib.request.urlopen(request, timeout=DEADLINE)
        self.events = []

    def next(self):
        """Reads the next event and returns (kind, data), or None at the end of the stream."""
        kind = None
        for line in self.stream:
            line = line.decode().rstrip("\r\n")
            if line.startswith("event:"):
                kind = line[6:].strip()
            elif line.startswith("data:"):
                body = json.loads(line[5:])
                event = (kind, body.get(kind) or {})
                self.events.append(event)
                return event
        return None

    def until(self, kind):
        """Reads up to the next event of this kind and returns its data. Fails if the stream ends first."""
        while event := self.next():
            if event[0] == kind:
                return event[1]
        raise AssertionError(f"no {kind} in {self.short()}")

    def end(self):
        """Reads to the end and returns the last status."""
        while self.next():
            pass
        return [event for kind, event in self.events if kind == "status"][-1]

    def all(self, kind):
        return [event for name, event in self.events if name == kind]

    @property
    def text(self):
        return "".join(message.get("text", "") for message in self.all("message"))

    def notices(self, kind):
        return [notice["message"] for notice in self.all("notice") if notice.get("kind") == kind]

    def stop(self):
        self.server.http("POST", f"/agent-run/{self.run_id}/stop", self.token, {})

    def short(self):
        return [(kind, event) for kind, event in self.events if not kind.endswith("_delta")][-20:]


def with_each_provider(test):
    """Decorates a test so that it runs once for each of PROVIDERS."""

    @functools.wraps(test)
    def run(self):
        for provider in PROVIDERS:
            with self.subTest(provider=provider):
                test(self, provider)

    return run


class WithRealModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.llama = Llama(WINDOW)
        cls.addClassCleanup(cls.llama.close)
        cls.llama.wait()
        cls.litellm = LiteLLM(cls.llama)
        cls.addClassCleanup(cls.litellm.close)
        cls.litellm.wait()
        providers = {"llama": cls.llama, "litellm": cls.litellm}
        cls.server = Server(configuration=configuration(providers))
        cls.addClassCleanup(cls.server.close)
        cls.token = cls.server.caller()

    def start(self, model, prompt):
        watch = Watch(self.server, self.token, model, prompt)
        self.addCleanup(watch.stream.close)
        return watch

    @with_each_provider
    def test_text_and_usage(self, provider):
        watch = self.start(f"{provider}/text", "What is the capital of France?")
        self.assertEqual(watch.end()["status"], "completed", watch.short())
        self.assertTrue(watch.text.strip(), watch.short())
        usage = watch.all("usage")[-1]
        self.assertGreater(usage["input_tokens"], 200, usage)
        self.assertTrue(0 < usage["output_tokens"] <= ANSWER["text"], usage)
        self.assertFalse(usage.get("estimated"), usage)

    @with_each_provider
    def test_a_stop_ends_the_answer_at_the_model(self, provider):
        watch = self.start(f"{provider}/long", "Tell me a very long story.")
        watch.until("message_delta")
        watch.stop()
        self.assertEqual(watch.end()["status"], "stopped", watch.short())
        until = time.monotonic() + DEADLINE
        while self.llama.is_busy():
            self.assertLess(time.monotonic(), until, "llama.cpp goes on")
            time.sleep(0.1)

    @with_each_provider
    def test_a_conversation_over_the_window_is_shortened(self, provider):
        watch = self.start(f"{provider}/text", "Sum this up: " + "lorem ipsum dolor sit amet " * 2000)
        self.assertEqual(watch.end()["status"], "completed", watch.short())
        self.assertTrue(watch.notices("history_compacted"), watch.short())
        self.assertLess(watch.all("usage")[-1]["input_tokens"], WINDOW)

    @with_each_provider
    def test_a_forced_tool_call_runs_in_the_sandbox(self, provider):
        watch = self.start(f"{provider}/forced", "Call a tool.")
        call = watch.until("tool_call")
        result = watch.until("tool_result")
        self.assertEqual(result["tool_call_id"], call["tool_call_id"])
        self.assertIn(SAID, result["text"], watch.short())
        # The schema forces a tool call in every step, so the run would not end by itself.
        watch.stop()
        self.assertEqual(watch.end()["status"], "stopped", watch.short())

    @with_each_provider
    def test_a_restart_of_the_model_server_is_survived(self, provider):
        watch = self.start(f"{provider}/long", "Tell me a very long story.")
        watch.until("message_delta")
        self.llama.kill()
        self.llama.start()
        self.assertEqual(watch.end()["status"], "completed", watch.short())
        self.assertTrue(watch.notices("provider_retried"), watch.short())
        self.assertTrue(watch.text.strip(), watch.short())

    @with_each_provider
    def test_a_run_waits_for_a_model_server_that_starts_later(self, provider):
        self.llama.kill()
        watch = self.start(f"{provider}/text", "What is the capital of France?")
        notice = watch.until("notice")
        self.llama.start()
        self.assertEqual(notice["kind"], "provider_retried", watch.short())
        self.assertEqual(watch.end()["status"], "completed", watch.short())


if __name__ == "__main__":
    unittest.main()
