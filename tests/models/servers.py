"""Starts llama.cpp's server and LiteLLM's proxy as processes, and kills them."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PYTHON = os.environ["RUNYARD_MODELS_PYTHON"]
HERE = os.path.dirname(os.path.abspath(__file__))
# Timeout in seconds for the start of a server. It is long enough for a busy machine.
DEADLINE = 300


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server process on a free loopback port."""

    health = "/health"

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="runyard-models-")
        self.log = open(os.path.join(self.home, "log"), "wb")
        self.port = free_port()
        self.process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1/"

    def start(self):
        environment = {**os.environ, **self.environment()}
        self.process = subprocess.Popen(
            self.command(), env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )

    def wait(self):
        """Waits until the health check succeeds, and returns this object. Fails if the process ends."""
        until = time.monotonic() + DEADLINE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.health}", timeout=5):
                    return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{type(self).__name__} does not start:\n{self.said()}") from None
                time.sleep(0.1)

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def kill(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self):
        self.kill()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return json.load(answer)

    def environment(self):
        return {}


class Llama(Process):
    """llama.cpp's server with SmolLM2 135M. It needs no key."""

    key = "none"

    def __init__(self, window):
        self.window = window
        super().__init__()

    def command(self):
        return [PYTHON, os.path.join(HERE, "llama.py"), str(self.port), str(self.window)]

    def is_busy(self):
        return any(slot["is_processing"] for slot in self.get("/slots"))


class LiteLLM(Process):
    health = "/health/liveliness"

    def __init__(self, behind):
        self.behind = behind
        # The proxy does not start without a strong key.
        self.key = "sk-" + secrets.token_hex(32)
        super().__init__()

    def environment(self):
        # The first setting prevents a download of the price table, the second turns off telemetry.
        return {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "LITELLM_MASTER_KEY": self.key,
        }

    def command(self):
        path = os.path.join(self.home, "configuration.yaml")
        model = {"model": "openai/smollm2", "api_base": self.behind.url, "api_key": "none"}
        configuration = {
            "model_list": [{"model_name": "smollm2", "litellm_params": model}],
            # Only Runyard retries, so that the tests can observe its retries.
            "litellm_settings": {"num_retries": 0, "telemetry": False, "drop_params": False},
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }
        with open(path, "w", encoding="utf-8") as file:
            # JSON is valid YAML.
            json.dump(configuration, file)
        program = os.path.join(os.path.dirname(PYTHON), "litellm")
        return [program, "--config", path, "--host", "127.0.0.1", "--port", str(self.port), "--num_workers", "1"]
