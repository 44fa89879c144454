"""Runs with real model servers: llama.cpp's server with a small model, directly and behind LiteLLM. See run.sh."""

import json
import os
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from program import Server
from servers import DEADLINE, LiteLLM, Llama

# Size of llama.cpp's context window in tokens. The model table of the configuration claims a larger one.
WINDOW = 6144
CLAIMED = 200_000

# The public models differ in the fields of their requests. `tool_choice` forces or forbids tool calls; `ignore_eos`
# makes the answer as long as possible.
MODELS = {
    "text": {"tool_choice": "none", "temperature": 0},
    "long": {"tool_choice": "none", "temperature": 0, "ignore_eos": True},
    "forced": {"tool_choice": "required", "temperature": 0},
}
ANSWER = {"text": 64, "long": 512, "forced": 512}


def configuration(providers):
    text = 'limits = "off"\n'
    for name, server in providers.items():
        text += f'[providers.{name}]\nkind = "openai"\nbase_url = "{server.url}"\napi_key = "{server.key}"\n'
    for provider in providers:
        for name, extra in MODELS.items():
            fields = ", ".join(f"{key} = {json.dumps(value)}" for key, value in extra.items())
            text += f"""[[models]]
name = "{provider}/{name}"
provider = "{provider}"
upstream = "smollm2"
context_window = {CLAIMED}
max_output_tokens = {ANSWER[name]}
input_price = 1.0
output_price = 1.0
extra_body = {{ {fields} }}
"""
    return f"""{text}[[tiers]]
name = "free"
models = ["*"]
default_model = "llama/text"
max_upload_bytes = 10000000
credits_granted = 300
"""


class Watch:
    """A run, and the events that have arrived."""

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
        """Reads one event; None at the end."""
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
        """Reads until an event of this kind."""
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

    def each(self, name):
        """Returns the names of a public model of both providers, each in a subtest."""
        for provider in ("llama", "litellm"):
            with self.subTest(provider=provider):
                yield f"{provider}/{name}"

    def test_text_and_usage(self):
        for model in self.each("text"):
            watch = self.start(model, "What is the capital of France?")
            self.assertEqual(watch.end()["status"], "completed", watch.short())
            self.assertGreater(len(watch.all("message_delta")), 3, "the text is streamed")
            self.assertTrue(watch.text.strip(), watch.short())
            usage = watch.all("usage")[-1]
            self.assertGreater(usage["input_tokens"], 200, usage)
            self.assertTrue(0 < usage["output_tokens"] <= ANSWER["text"], usage)
            self.assertFalse(usage.get("estimated"), usage)

    def test_a_stop_ends_the_answer_at_the_model(self):
        for model in self.each("long"):
            watch = self.start(model, "Tell me a very long story.")
            watch.until("message_delta")
            self.assertTrue(self.llama.is_busy())
            watch.stop()
            self.assertEqual(watch.end()["status"], "stopped", watch.short())
            until = time.monotonic() + DEADLINE
            while self.llama.is_busy():
                self.assertLess(time.monotonic(), until, "llama.cpp goes on")
                time.sleep(0.1)

    def test_a_conversation_over_the_window_is_shortened(self):
        for model in self.each("text"):
            watch = self.start(model, "Sum this up: " + "lorem ipsum dolor sit amet " * 2000)
            self.assertEqual(watch.end()["status"], "completed", watch.short())
            self.assertTrue(watch.notices("history_compacted"), watch.short())
            self.assertLess(watch.all("usage")[-1]["input_tokens"], WINDOW)

    def test_a_forced_tool_call_runs_in_the_sandbox(self):
        for model in self.each("forced"):
            watch = self.start(model, "List the files.")
            call = watch.until("tool_call")
            result = watch.until("tool_result")
            self.assertEqual(result["tool_call_id"], call["tool_call_id"])
            watch.stop()
            self.assertIn(watch.end()["status"], ("stopped", "completed", "failed"))

    def test_a_restart_of_the_model_server_is_survived(self):
        for model in self.each("long"):
            watch = self.start(model, "Tell me a very long story.")
            watch.until("message_delta")
            self.llama.kill()
            self.llama.start()
            self.assertEqual(watch.end()["status"], "completed", watch.short())
            self.assertTrue(watch.notices("provider_retried"), watch.short())
            self.assertTrue(watch.text.strip(), watch.short())
            self.llama.wait()

    def test_a_run_waits_for_a_model_that_is_not_there_yet(self):
        for model in self.each("text"):
            self.llama.kill()
            watch = self.start(model, "What is the capital of France?")
            notice = watch.until("notice")
            self.assertEqual(notice["kind"], "provider_retried", watch.short())
            self.llama.start()
            self.assertEqual(watch.end()["status"], "completed", watch.short())
            self.llama.wait()


if __name__ == "__main__":
    unittest.main()
