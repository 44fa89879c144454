"""Tests the Python client through real HTTP/1.1 proxies."""

import asyncio
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest
from unittest import mock

import runyard
from runyard import AsyncRunyard, Runyard

from model import Model
from network import Forward, Reverse
from program import CSV, Server

RAW = re.compile(r"http.?2|rst_stream|goaway|ipv4|stream removed|errno|content-type|unknown:|socket|grpc_|httpx|httpcore", re.IGNORECASE)
SLOW = "slow: 40 50\nbash: echo one; sleep 1; echo two\nslow: 40 50"


class NetworkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(cls.model)
        cls.addClassCleanup(cls.server.close)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.certificate = [os.path.join(folder.name, name) for name in ("certificate.pem", "key.pem")]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=DNS:localhost", "-out", cls.certificate[0], "-keyout", cls.certificate[1]]
        subprocess.run(command, check=True, capture_output=True)
        cls.trusted = pathlib.Path(cls.certificate[0]).read_bytes()

    def started(self, process):
        self.enterContext(process)
        return process

    def client(self, url, **options):
        return self.enterContext(Runyard(url, self.server.caller(), **options))

    def play(self, client):
        run = client.agents.run(prompt="bash: mkdir -p output; wc -l < data.csv > output/lines.txt\nsay: Counted.", files=[CSV])
        events = list(run)
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(run.text(), "Counted.")
        (file,) = run.files()
        self.assertEqual(int(file.read()), len(pathlib.Path(CSV).read_bytes().splitlines()))

    def test_a_proxy_without_http2_makes_the_client_use_http(self):
        proxy = self.started(Reverse(self.server))
        with self.client(proxy.url) as client:
            self.assertEqual(client.transport, "auto")
            self.play(client)
            self.assertEqual(client.transport, "http")
        # The request that must not be repeated reaches the server once.
        client = self.client(proxy.url)
        client.agents.create(name="Once")
        self.assertEqual([agent.name for agent in client.agents.list_all()], ["Once"])
        self.assertEqual(sum("CreateAgent" in line for line in proxy.requests()), 1)
        with self.client(proxy.url, transport="grpc", timeout=2) as stubborn, self.assertRaises(runyard.RunyardError) as raised:
            stubborn.agents.list()
        self.assertNotRegex(str(raised.exception), RAW)
        self.assertIn(proxy.url, str(raised.exception))

    def test_calls_that_decide_at_the_same_time(self):
        for proxy, transport in ((self.started(Reverse(self.server)), "http"), (self.server, "grpc")):

            async def together(url=proxy.url):
                async with AsyncRunyard(url, self.server.caller()) as client:
                    names = [client.agents.create(name=f"Agent {number}") for number in range(2)]
                    states = [client.account.state() for _ in range(6)]
                    answers = await asyncio.gather(*names, *states)
                    return [answer.tier_name for answer in answers[2:]], len(await client.agents.list()), client.transport

            self.assertEqual(asyncio.run(together()), (["free"] * 6, 2, transport))
            client, found = self.client(proxy.url), []
            threads = [threading.Thread(target=lambda client=client: found.append(client.account.state().tier_name)) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual((found, client.transport), (["free"] * 6, transport))

    def test_a_server_with_http2_makes_the_client_use_grpc(self):
        client = self.client(self.server.url)
        client.agents.create(name="Direct")
        self.assertEqual(client.transport, "grpc")
        client = self.client(self.server.url)
        with self.assertRaises(runyard.NotFoundError):
            list(client.runs.stream(client.account.state().account_id))
        self.assertEqual(client.transport, "grpc")

    def test_a_server_that_starts_later_is_reached_over_grpc(self):
        server = Server(self.model)
        self.addCleanup(server.close)
        token = server.caller()
        server.kill()
        starting = threading.Timer(1, server.start)
        starting.start()
        with Runyard(server.url, token) as client:
            self.assertEqual(client.account.state().tier_name, "free")
            self.assertEqual(client.transport, "grpc")
        starting.join()

    def test_path_prefix_headers_and_tls_through_a_proxy_that_tunnels(self):
        forward = self.started(Forward())
        reverse = self.started(Reverse(self.server, "/team/runyard", self.certificate))
        options = {"proxy": forward.url, "headers": {"X-Team": "blue"}, "root_certificates": self.trusted}
        client = self.client(reverse.url, **options)
        self.play(client)
        self.assertEqual(client.transport, "http")
        lines = reverse.requests()
        self.assertTrue(all(line.startswith(("POST /team/runyard/", "GET /team/runyard/")) for line in lines), lines)
        self.assertEqual({line.split()[2:][0] for line in lines}, {"blue"})
        self.assertIn(f"CONNECT localhost:{reverse.port}", forward.said())

        async def again():
            async with AsyncRunyard(reverse.url, self.server.caller(), **options) as client:
                run = await client.agents.run(prompt="say: Tunnelled.")
                return await run.text()

        self.assertEqual(asyncio.run(again()), "Tunnelled.")
        with self.assertRaises(runyard.RunyardError) as raised:
            self.client(reverse.url, proxy=forward.url, max_retries=0).agents.list()
        self.assertIn("no secure connection", str(raised.exception))
        self.assertNotRegex(str(raised.exception), RAW)

    def test_a_forward_proxy_from_the_environment_or_an_argument(self):
        forward = self.started(Forward())
        client = self.client(self.server.url, proxy=forward.url)
        self.play(client)
        self.assertIn("POST http://127.0.0.1", forward.said())
        with mock.patch.dict(os.environ, {"HTTP_PROXY": forward.url, "http_proxy": forward.url, "NO_PROXY": "", "no_proxy": ""}):
            before = len(forward.said())
            client = self.client(self.server.url, transport="http")
            self.play(client)
            self.assertIn("POST http://127.0.0.1", forward.said()[before:])
        # gRPC tunnels through the same proxy.
        client = self.client(self.server.url, proxy=forward.url, transport="grpc")
        self.play(client)
        self.assertIn(f"CONNECT {self.server.address}", forward.said())

    def test_errors_of_proxies_are_in_plain_words(self):
        forward = self.started(Forward())
        reverse = self.started(Reverse(self.server, "/here"))
        secure = self.started(Reverse(self.server, certificate=self.certificate))
        nowhere = "http://127.0.0.1:1"
        for url, options, expected in (
            (nowhere, {"transport": "http"}, f"no server answers at {nowhere}"),
            ("http://runyard.invalid", {"transport": "http"}, "the host of http://runyard.invalid:80 is unknown"),
            (secure.url, {"proxy": f"http://{forward.address}"}, "the proxy requires a user name and a password"),
            (self.server.url, {"proxy": nowhere}, "the proxy did not connect"),
            (reverse.url.replace("/here", "/there"), {}, "answered with HTTP status 404; it is no Runyard server"),
        ):
            client = self.client(url, max_retries=0, **options)
            for call in (client.account.state, lambda client=client: list(client.runs.stream("x"))):
                with self.subTest(url=url, options=options), self.assertRaises(runyard.RunyardError) as raised:
                    call()
                self.assertIn(expected, str(raised.exception), raised.exception.transport_message)
                self.assertNotRegex(str(raised.exception), RAW)
                self.assertFalse(raised.exception.is_from_server)
                self.assertNotIn("word", str(raised.exception).replace("password", ""))

    def test_a_stream_resumes_after_the_proxy_cut_it(self):
        for transport in ("http", "auto"):
            proxy = self.started(Reverse(self.server))
            run = self.client(proxy.url, transport=transport).agents.run(prompt=SLOW)
            events, restarting = [], None
            for event in run:
                events.append(event)
                if event.sequence == 10:
                    restarting = threading.Thread(target=lambda proxy=proxy: (proxy.kill(), proxy.start()))
                    restarting.start()
            restarting.join()
            self.assertEqual(events, list(run), "no gaps and no repeats")
            self.assertEqual((events[-1].status, sum("/stream" in line for line in proxy.requests()) >= 2), ("completed", True))

    def test_very_long_timeouts_are_accepted(self):
        client = self.client(self.server.url, transport="http", timeout=1e7)
        run = client.agents.run(prompt="say: Soon.")
        self.assertEqual(run.text(timeout=1e7), "Soon.")

    def test_options_that_cannot_work_are_refused(self):
        for options, expected in (
            ({"transport": "carrier pigeon"}, "transport must be one of"),
            ({"base_url": "http://host/prefix", "transport": "grpc"}, "gRPC has no path prefixes"),
            ({"proxy": "https://proxy", "transport": "grpc"}, "http://"),
            ({"headers": {"Authorization": "Bearer secret"}}, "pass the token as `token`"),
            ({"headers": {"content-type": "x"}}, "'content-type'"),
            ({"headers": {"x-team": "secret\r\nother: 1"}}, "'x-team' must be printable"),
            ({"max_retries": -1}, "max_retries"),
        ):
            with self.subTest(options), self.assertRaisesRegex(ValueError, expected) as raised:
                Runyard(**{"base_url": "http://127.0.0.1:1", "token": "x", **options})
            self.assertNotIn("secret", str(raised.exception))
        with Runyard("http://127.0.0.1:1", "", headers={"authorization": "Basic eDp5"}):
            pass

    def test_max_retries_limits_the_attempts(self):
        proxy = self.started(Reverse(self.server, "/here"))
        token = self.server.caller()
        self.server.kill()
        try:
            for retries in (0, 2):
                before = len(proxy.requests())
                with (
                    Runyard(proxy.url, token, max_retries=retries) as client,
                    self.assertRaises(runyard.UnavailableError),
                ):
                    client.agents.list()
                before = self.requests_arrive(proxy, before, retries + 1)
                with (
                    Runyard(proxy.url, token, max_retries=retries) as client,
                    self.assertRaises(runyard.UnavailableError),
                ):
                    list(client.runs.stream("x"))
                self.requests_arrive(proxy, before, retries + 1)
        finally:
            self.server.start()

    def requests_arrive(self, proxy, before, count):
        """Checks the number of requests since `before`. nginx writes a line of its log after its answer."""
        until = time.monotonic() + 10
        while len(proxy.requests()) - before < count and time.monotonic() < until:
            time.sleep(0.05)
        after = len(proxy.requests())
        self.assertEqual(after - before, count)
        return after


if __name__ == "__main__":
    unittest.main()
