"""What stands in front of a server must not change what clients see: events come as they happen, a silent stream stays, and a
refused upload is answered. See run.sh."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from model import Model
from program import Server
from proxies import SHORT, Envoy, HAProxy, Nginx

PROXIES = (Nginx, HAProxy, Envoy)
WEB = "application/grpc-web+proto"
STREAM = "/runyard.v1.RunService/StreamRun"
DEADLINE = 120


def framed(run_id):
    """A request of StreamRun for all events of a run, in its frame."""
    message = b"\x0a" + bytes([len(run_id)]) + run_id.encode()
    return b"\0" + len(message).to_bytes(4, "big") + message


class Watch:
    """A reader of a stream, by curl, which notes when something came."""

    def __init__(self, port, path, headers, body=None):
        command = ["curl", "--silent", "--show-error", "--no-buffer", "--dump-header", "/dev/stderr"]
        if body is not None:
            command += ["--data-binary", "@-"]
        if headers["content-type"] == "application/grpc":
            command += ["--http2-prior-knowledge"]
        for name, value in headers.items():
            command += ["--header", f"{name}: {value}"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [*command, f"http://127.0.0.1:{port}{path}"], stdin=pipe, stdout=pipe, stderr=pipe
        )
        self.process.stdin.write(body or b"")
        self.process.stdin.close()
        self.heard, self.headers = b"", b""
        self.threads = [threading.Thread(target=self.read), threading.Thread(target=self.read_headers)]
        for thread in self.threads:
            thread.start()

    def read(self):
        while piece := os.read(self.process.stdout.fileno(), 65536):
            self.heard += piece

    def read_headers(self):
        self.headers = self.process.stderr.read()

    def wait_for(self, text):
        until = time.monotonic() + DEADLINE
        while text not in self.heard:
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{text!r} does not come, only {self.heard!r} {self.headers!r}")
            time.sleep(0.02)

    def end(self):
        """Everything that came, and curl's code."""
        self.process.wait(DEADLINE)
        for thread in self.threads:
            thread.join(DEADLINE)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join(DEADLINE)
        self.process.stdout.close()
        self.process.stderr.close()


class Behind(unittest.TestCase):
    """A server with a model, and each proxy in front of it."""

    timeout = SHORT
    heartbeat = 1

    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        # Plans would allow one run at once.
        text = f'limits = "off"\n[http]\nheartbeat_seconds = {cls.heartbeat}\n'
        cls.server = Server(model=cls.model, configuration=text)
        cls.addClassCleanup(cls.server.close)
        cls.token = cls.server.token("ann")
        cls.proxies = []
        for kind in PROXIES:
            proxy = kind(cls.server.port, cls.timeout)
            cls.addClassCleanup(proxy.close)
            cls.proxies.append(proxy)

    def signed(self, kind):
        return {"authorization": f"Bearer {self.token}", "content-type": kind, "te": "trailers"}

    def start(self, prompt):
        connection = http.client.HTTPConnection(self.server.address, timeout=DEADLINE)
        connection.request("POST", "/agent/start", json.dumps({"prompt": prompt}), self.signed("application/json"))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        self.assertEqual(answer.status, 200, text)
        return json.loads(text)["agent_run_id"]

    def watches(self, proxy, run_id):
        """A reader of each protocol."""
        web = {**self.signed(WEB), "x-grpc-web": "1"}
        events = {**self.signed("text/plain"), "accept": "text/event-stream"}
        lines = {**self.signed("text/plain"), "accept": "application/x-ndjson"}
        path = f"/agent-run/{run_id}/stream"
        readers = {
            "server-sent events": Watch(proxy.http, path, events),
            "lines of JSON": Watch(proxy.http, path, lines),
            "gRPC-Web": Watch(proxy.http, STREAM, web, framed(run_id)),
            "gRPC": Watch(proxy.grpc, STREAM, self.signed("application/grpc"), framed(run_id)),
        }
        for watch in readers.values():
            self.addCleanup(watch.close)
        return readers

    def check_silence(self, seconds):
        run_id = self.start(f"say: Wait.\nsleep: {seconds}\nsay: At-last.")
        readers = [(type(proxy).__name__, self.watches(proxy, run_id)) for proxy in self.proxies]
        begun = time.monotonic()
        for name, watches in readers:
            for protocol, watch in watches.items():
                with self.subTest(proxy=name, protocol=protocol):
                    # It comes while the model is silent: nothing gathers it.
                    watch.wait_for(b"Wait.")
                    self.assertLess(time.monotonic() - begun, seconds, "the first event comes late")
        for name, watches in readers:
            for protocol, watch in watches.items():
                with self.subTest(proxy=name, protocol=protocol):
                    self.assertEqual(watch.end(), 0, watch.headers)
                    self.assertIn(b"At-last.", watch.heard)
                    if protocol == "gRPC":
                        self.assertRegex(watch.headers.lower(), rb"grpc-status: 0")


class WithShortTimeouts(Behind):
    """Timeouts of the proxies and the heartbeat are scaled down alike."""

    def test_a_silent_stream_stays(self):
        self.check_silence(3 * SHORT)

    def test_a_refused_upload_is_answered(self):
        for proxy in self.proxies:
            for path in ("/agent/start", "/kept/agent/start"):
                for size in (300_000, 5_000_000):
                    with self.subTest(proxy=type(proxy).__name__, path=path, size=size):
                        self.assertEqual(self.uploads(proxy, path, size, {}), {401: 20})
        for proxy in self.proxies:
            with self.subTest(proxy=type(proxy).__name__):
                signed = {"authorization": f"Bearer {self.token}"}
                self.assertEqual(self.uploads(proxy, "/kept/agents", 5_000_000, signed), {413: 20})
                self.assertEqual(self.uploads(proxy, "/nosuch", 300_000, signed), {404: 20})

    def uploads(self, proxy, path, size, headers):
        """How often each status comes in twenty uploads."""
        seen = {}
        # curl reads while it sends: Envoy itself closes a refused connection after a second.
        command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--data-binary", "@-"]
        for name, value in {"content-type": "application/json", "expect": "", **headers}.items():
            command += ["--header", f"{name}: {value}"]
        for _ in range(20):
            sent = subprocess.run(
                [*command, f"http://127.0.0.1:{proxy.http}{path}"],
                input=b" " * size,
                stdout=subprocess.PIPE,
                timeout=DEADLINE,
                check=False,
            )
            status = int(sent.stdout)
            seen[status] = seen.get(status, 0) + 1
        return seen

    def test_a_refusal_of_grpc_is_readable(self):
        for proxy in self.proxies:
            with self.subTest(proxy=type(proxy).__name__):
                headers = {"content-type": "application/grpc", "te": "trailers"}
                watch = Watch(proxy.grpc, STREAM, headers, framed("x"))
                self.addCleanup(watch.close)
                watch.end()
                self.assertRegex(watch.headers.lower(), rb"grpc-status: 16")
                self.assertIn(b"Not authenticated", watch.headers)


class WithRareHeartbeats(Behind):
    """The control: with heartbeats that are too rare for these timeouts every proxy breaks a silent stream off."""

    heartbeat = 10

    def test_a_silent_stream_is_broken_off(self):
        run_id = self.start(f"say: Wait.\nsleep: {3 * SHORT}\nsay: At-last.")
        readers = [(type(proxy).__name__, self.watches(proxy, run_id)) for proxy in self.proxies]
        for name, watches in readers:
            for protocol, watch in watches.items():
                with self.subTest(proxy=name, protocol=protocol):
                    watch.end()
                    self.assertIn(b"Wait.", watch.heard)
                    self.assertNotIn(b"At-last.", watch.heard)


class WithDefaultTimeouts(Behind):
    """The proxies' own defaults and the server's, with a model that is silent for longer than nginx allows."""

    timeout = None
    heartbeat = 10

    def test_a_silent_stream_stays(self):
        self.check_silence(75)
