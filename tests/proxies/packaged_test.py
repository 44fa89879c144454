"""Runs a server behind the proxy configurations in packaging/: every protocol works over one TLS port. See run.sh."""

import functools
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from model import Model
from packaged import AUTHORITY, PackagedCaddy, PackagedHAProxy, PackagedNginx
from program import CSV, PROGRAM, Server, free_port
from proxies_test import DEADLINE, STREAM, WEB, Watch, framed

# Caddy is not in every distribution that the tests support.
REQUIRED = (PackagedNginx, PackagedHAProxy)
OPTIONAL = (PackagedCaddy,)
# Maximum form in the tests in bytes: more than the one megabyte that nginx allows by default.
FORM = 3_000_000
MESSAGE = 4_194_304
# Longer than the default timeouts of nginx (60 s) and of Debian's HAProxy (50 s).
SILENCE = 65
BOUNDARY = "boundary-of-the-test"


def form(size):
    """Returns a form of exactly `size` bytes that starts a run with a file."""
    head = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nsay: Stored.\r\n'
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="files"; filename="large.bin"\r\n\r\n'
    ).encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    return head + b"x" * (size - len(head) - len(tail)) + tail


def behind_each(test):
    """Runs a test once for each proxy."""

    @functools.wraps(test)
    def run(self):
        for proxy in self.proxies:
            with self.subTest(proxy=type(proxy).__name__):
                test(self, proxy)

    return run


class BehindPackaged(unittest.TestCase):
    """A server with a scripted model, behind each packaged configuration."""

    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        text = f"""
limits = "off"
[http]
max_form_bytes = {FORM}
trusted_proxies = ["127.0.0.1"]
[auth]
new_accounts_per_address = {{ per_minute = 1, burst = 3 }}
"""
        cls.server = Server(model=cls.model, configuration=text)
        cls.addClassCleanup(cls.server.close)
        # The token's account is created before any test uses up an address's budget of new accounts.
        cls.token = cls.server.token("ann")
        cls.server.account("ann")
        cls.proxies = []
        for kind in (*REQUIRED, *(kind for kind in OPTIONAL if shutil.which(kind.program))):
            proxy = kind(cls.server.port)
            cls.addClassCleanup(proxy.close)
            cls.proxies.append(proxy)

    def curl(self, proxy, path, *options, body=None, token=True):
        """Returns the status, the headers and the body of a response."""
        command = ["curl", "--silent", "--show-error", "--ipv4", "--cacert", AUTHORITY, "--max-time", str(DEADLINE), "--include"]
        command += ["--write-out", "\n%{http_version}"]
        if token:
            command += ["--header", f"authorization: Bearer {self.token}"]
        if body is not None:
            command += ["--data-binary", "@-", "--header", "expect:"]
        done = subprocess.run(
            [*command, *options, f"{proxy.url}{path}"], input=body or b"", capture_output=True, timeout=DEADLINE, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        text, _, version = done.stdout.rpartition(b"\n")
        head, _, content = text.partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode().lower(), content, version.decode()

    def start(self, proxy, prompt):
        status, _, text, _ = self.curl(
            proxy, "/agent/start", "--header", "content-type: application/json", body=json.dumps({"prompt": prompt}).encode()
        )
        self.assertEqual(status, 200, text)
        return json.loads(text)["agent_run_id"]

    def watches(self, proxy, run_id):
        """Starts to read the events of a run over each protocol. Returns the readers by the name of the protocol."""
        signed = {"authorization": f"Bearer {self.token}", "te": "trailers"}
        path = f"/agent-run/{run_id}/stream"
        readers = {}
        for name, where, headers, body in (
            ("server-sent events", path, {"content-type": "text/plain", "accept": "text/event-stream"}, None),
            ("lines of JSON", path, {"content-type": "text/plain", "accept": "application/x-ndjson"}, None),
            ("gRPC-Web", STREAM, {"content-type": WEB, "x-grpc-web": "1"}, framed(run_id)),
            ("gRPC", STREAM, {"content-type": "application/grpc"}, framed(run_id)),
        ):
            readers[name] = Watch(proxy.https, where, {**signed, **headers}, body, authority=AUTHORITY)
            self.addCleanup(readers[name].close)
        return readers

    def test_every_proxy_is_installed(self):
        missing = [kind.program for kind in OPTIONAL if not shutil.which(kind.program)]
        if missing:
            self.skipTest(f"not installed, so its configuration is not tested: {', '.join(missing)}")

    @behind_each
    def test_a_grpc_client_runs_an_agent_and_downloads_its_files(self, proxy):
        with tempfile.TemporaryDirectory() as made:
            prompt = "bash: wc -l data.csv > output/lines.txt\nsay: Counted."
            environment = {"PATH": os.environ["PATH"], "RUNYARD_TOKEN": self.token, "SSL_CERT_FILE": AUTHORITY}
            done = subprocess.run(
                [PROGRAM, "run", prompt, "--file", CSV, "--server", proxy.url, "--download", made],
                env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr + proxy.said())
            with open(CSV, encoding="utf-8") as rows, open(os.path.join(made, "lines.txt"), encoding="utf-8") as lines:
                self.assertEqual(lines.read().split()[0], str(len(rows.readlines())))

    @behind_each
    def test_json_calls_work_over_both_versions_of_http(self, proxy):
        for option, version in (("--http1.1", "1.1"), ("--http2", "2")):
            status, _, text, used = self.curl(proxy, "/v1/billing/account-state", option)
            self.assertEqual((status, used), (200, version), text)
            self.assertEqual(json.loads(text)["account_id"], self.server.account("ann"))
            status, head, text, _ = self.curl(proxy, "/v1/threads/nosuch", option)
            self.assertIn("x-error-code", head)
            self.assertIn("detail", json.loads(text))
            self.assertGreaterEqual(status, 400)

    @behind_each
    def test_a_grpc_error_reaches_the_client(self, proxy):
        headers = {"content-type": "application/grpc", "te": "trailers"}
        watch = Watch(proxy.https, STREAM, headers, framed("x"), authority=AUTHORITY)
        self.addCleanup(watch.close)
        watch.end()
        self.assertRegex(watch.headers.lower(), rb"grpc-status: 16")

    @behind_each
    def test_each_event_arrives_before_the_next_is_written(self, proxy):
        with tempfile.TemporaryDirectory() as folder:
            first, second = os.path.join(folder, "first"), os.path.join(folder, "second")
            run_id = self.start(proxy, f"say: One.\nhold: {first}\nsay: Two.\nhold: {second}\nsay: Three.")
            watches = self.watches(proxy, run_id)
            # The model waits for the files, so each text must arrive although nothing follows it.
            for text, file in ((b"One.", first), (b"Two.", second)):
                for watch in watches.values():
                    watch.wait_for(text)
                with open(file, "w", encoding="utf-8"):
                    pass
            for protocol, watch in watches.items():
                self.assertEqual(watch.end(), 0, (protocol, watch.headers))
                self.assertIn(b"Three.", watch.heard, protocol)

    def test_streams_survive_a_silence_longer_than_the_usual_timeouts(self):
        run_ids = {proxy: self.start(proxy, f"say: Wait.\nsleep: {SILENCE}\nsay: At-last.") for proxy in self.proxies}
        readers = {proxy: self.watches(proxy, run_id) for proxy, run_id in run_ids.items()}
        for watches in readers.values():
            for watch in watches.values():
                watch.wait_for(b"Wait.")
        for proxy, watches in readers.items():
            for protocol, watch in watches.items():
                with self.subTest(proxy=type(proxy).__name__, protocol=protocol):
                    self.assertEqual(watch.end(), 0, watch.headers)
                    self.assertIn(b"At-last.", watch.heard)

    @behind_each
    def test_a_form_of_the_maximum_size_is_stored_and_a_larger_one_gets_the_error_of_the_server(self, proxy):
        kind = ("--header", f"content-type: multipart/form-data; boundary={BOUNDARY}")
        for option in ("--http1.1", "--http2"):
            status, _, text, _ = self.curl(proxy, "/agent/start", option, *kind, body=form(FORM))
            self.assertEqual(status, 200, text)
            self.assertIn("agent_run_id", json.loads(text))
            for more in (1, FORM):
                status, head, text, _ = self.curl(proxy, "/agent/start", option, *kind, body=form(FORM + more))
                self.assertEqual(status, 413, text)
                self.assertIn("x-error-code: too_large", head)
                self.assertIn(f"{FORM} bytes", json.loads(text)["detail"])

    @behind_each
    def test_a_json_body_beyond_the_maximum_gets_the_error_of_the_server(self, proxy):
        kind = ("--header", "content-type: application/json")
        for size, expected in ((MESSAGE, 400), (MESSAGE + 1, 413)):
            # A body of blanks is not a message, so the largest permitted body is refused for its content.
            status, head, text, _ = self.curl(proxy, "/agents", *kind, body=b" " * size)
            self.assertEqual(status, expected, text)
            self.assertIn("x-error-code", head)
            self.assertIn("detail", json.loads(text))

    @behind_each
    def test_the_console_and_the_reference_are_served(self, proxy):
        status, head, page, _ = self.curl(proxy, "/", token=False)
        self.assertEqual(status, 200)
        self.assertIn("text/html", head)
        self.assertIn(b"<!doctype html>", page.lower())
        for asset in re.findall(rb'(?:src|href)="(/assets/[^"]+)"', page):
            status, _, content, _ = self.curl(proxy, asset.decode(), token=False)
            self.assertEqual(status, 200, asset)
            self.assertTrue(content)
        self.assertEqual(self.curl(proxy, "/docs", token=False)[0], 200)
        self.assertEqual(self.curl(proxy, "/readyz", token=False)[0], 200)
        self.assertEqual(self.curl(proxy, "/metrics")[0], 404)

    @behind_each
    def test_limits_count_the_client_and_not_an_address_that_it_claims(self, proxy):
        def create(address, claimed):
            return self.curl(
                proxy, "/v1/billing/account-state", "--interface", address, "--header", f"x-forwarded-for: {claimed}",
                "--header", f"authorization: Bearer {self.server.token()}", token=False,
            )[0]

        # Every address of 127.0.0.0/8 is local. Each proxy gets its own two clients.
        network = f"127.0.{self.proxies.index(proxy) + 1}"
        created = [create(f"{network}.2", f"192.0.2.{claim}") for claim in range(4)]
        self.assertEqual(created, [200, 200, 200, 429])
        self.assertEqual(create(f"{network}.3", "192.0.2.1"), 200)

    @behind_each
    def test_plain_http_is_redirected(self, proxy):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.plain, timeout=DEADLINE)
        connection.request("GET", "/agents?page_size=1", headers={"host": "localhost"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        self.assertIn(answer.status, (301, 308))
        self.assertRegex(answer.headers["location"], r"^https://localhost(:\d+)?/agents\?page_size=1$")

    @behind_each
    def test_a_stopped_server_is_reported_in_the_form_of_its_errors(self, running):
        proxy = type(running)(free_port())
        self.addCleanup(proxy.close)
        status, head, text, _ = self.curl(proxy, "/agents")
        self.assertEqual(status, 503)
        self.assertIn("x-error-code: unavailable", head)
        self.assertEqual(json.loads(text), {"detail": "the server is not available; retry later"})
        environment = {"PATH": os.environ["PATH"], "RUNYARD_TOKEN": self.token, "SSL_CERT_FILE": AUTHORITY}
        done = subprocess.run(
            [PROGRAM, "run", "x", "--server", proxy.url], env=environment, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr.lower(), "unavailable|not available")
