"""Reverse proxies in front of a server must not affect clients: events arrive live, a silent stream stays open, and a
refused upload gets its response. See run.sh."""

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
    """Returns a StreamRun request for all events of a run, as a gRPC frame."""
    message = b"\x0a" + bytes([len(run_id)]) + run_id.encode()
    return b"\0" + len(message).to_bytes(4, "big") + message


class Watch:
    """A curl process that reads a response. With the certificate file `authority`, it uses TLS and HTTP/2."""

    def __init__(self, port, path, headers, body=None, authority=None):
        command = ["curl", "--silent", "--show-error", "--no-buffer", "--dump-header", "/dev/stderr"]
        if body is not None:
            command += ["--data-binary", "@-"]
        origin = f"http://127.0.0.1:{port}"
        if authority:
            origin = f"https://localhost:{port}"
            command += ["--cacert", authority, "--http2"]
        elif headers["content-type"] == "application/grpc":
            command += ["--http2-prior-knowledge"]
        for name, value in headers.items():
            command += ["--header", f"{name}: {value}"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [*command, f"{origin}{path}"], stdin=pipe, stdout=pipe, stderr=pipe
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
                raise AssertionError(f"{text!r} did not arrive, only {self.heard!r} {self.headers!r}")
            time.sleep(0.02)

    def end(self):
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
    """A server with a scripted model, behind each of the proxies."""

    timeout = SHORT
    heartbeat = 1

    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        # Plans would limit the number of concurrent runs, so plan limits are off.
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
        """Starts to read the events of a run over each protocol. Returns the readers by the name of the protocol."""
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
                    # The event must arrive while the model is silent, so no proxy may buffer it.
                    watch.wait_for(b"Wait.")
                    self.assertLess(time.monotonic() - begun, seconds, "the first event arrived late")
        for name, watches in readers:
            for protocol, watch in watches.items():
                with self.subTest(proxy=name, protocol=protocol):
                    self.assertEqual(watch.end(), 0, watch.headers)
                    self.assertIn(b"At-last.", watch.heard)
                    if protocol == "gRPC":
                        self.assertRegex(watch.headers.lower(), rb"grpc-status: 0")


class WithShortTimeouts(Behind):
    def test_a_silent_stream_stays_open(self):
        self.check_silence(3 * SHORT)

    def test_a_refused_upload_gets_its_response(self):
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
        seen = {}
        # curl reads the response while it sends. Envoy closes the connection of a refused upload after a second, so a
        # client that reads only after sending would miss the response.
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

    def test_a_grpc_error_reaches_the_client(self):
        for proxy in self.proxies:
            with self.subTest(proxy=type(proxy).__name__):
                headers = {"content-type": "application/grpc", "te": "trailers"}
                watch = Watch(proxy.grpc, STREAM, headers, framed("x"))
                self.addCleanup(watch.close)
                watch.end()
                self.assertRegex(watch.headers.lower(), rb"grpc-status: 16")
                self.assertIn(b"Not authenticated", watch.headers)


class WithRareHeartbeats(Behind):
    """A control test: if the heartbeat interval is longer than the timeouts, every proxy must cut a silent stream."""

    heartbeat = 10

    def test_a_silent_stream_is_cut(self):
        run_id = self.start(f"say: Wait.\nsleep: {3 * SHORT}\nsay: At-last.")
        readers = [(type(proxy).__name__, self.watches(proxy, run_id)) for proxy in self.proxies]
        for name, watches in readers:
            for protocol, watch in watches.items():
                with self.subTest(proxy=name, protocol=protocol):
                    watch.end()
                    self.assertIn(b"Wait.", watch.heard)
                    self.assertNotIn(b"At-last.", watch.heard)


class WithDefaultTimeouts(Behind):
    """Tests with the default settings of the proxies and the server. The model is silent for longer than nginx's
    timeout."""

    timeout = None
    heartbeat = 10

    def test_a_silent_stream_stays_open(self):
        self.check_silence(75)
