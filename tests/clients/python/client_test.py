"""Tests the Python client against a real server, in cases that golden.json does not cover."""

import asyncio
import contextlib
import inspect
import io
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from importlib import metadata, resources
from unittest import mock

import runyard
from runyard import AsyncRunyard, Runyard
from runyard.events import (
    EVENTS,
    InputRequested,
    MessageDelta,
    MessageFinished,
    StatusChanged,
    SubagentStarted,
    ToolCall,
    UserMessage,
)

from model import Model
from program import CSV, ROOT, Server

SLOW = "slow: 40 50\nbash: echo one; sleep 1; echo two > /workspace/two.txt; cat /workspace/two.txt\nslow: 40 50"


class Stranger:
    """A TCP server that is not a Runyard server: it sends `answer` to each client, and closes the connection."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(1024)
                    connection.sendall(self.answer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        cut(self.listener)
        self.listener.close()
        self.thread.join()


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(cls.model)
        cls.addClassCleanup(cls.server.close)

    def client(self, tier=None, server=None, **options):
        server = server or self.server
        client = Runyard(server.url, server.caller(tier), **options)
        self.addCleanup(client.close)
        return client

    def test_the_calls_of_the_api_documentation(self):
        client = self.client()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "data.csv")
            pathlib.Path(path).write_bytes(pathlib.Path(CSV).read_bytes())
            with open(path, "rb") as data:
                run = client.agents.run(prompt="bash: cp data.csv output.csv; sleep 30", files=[data])
        try:
            run2 = client.agents.run(prompt="Task")
            self.fail(f"{run2} was not refused")
        except Exception as e:
            self.assertIn("AGENT_RUN_LIMIT_EXCEEDED", str(e))
            active_runs = client.agents.list_active()
            self.assertEqual([r.thread_id for r in active_runs], [run.thread_id])
        run.stop()
        self.assertEqual(run.wait().status, "stopped")
        self.assertEqual(client.agents.list_active(), [])

    def test_list_all_reads_every_page(self):
        client = self.client("pro")
        for number in range(201):
            client.threads.create(name=f"Plan {number}")
        self.assertEqual(len({thread.thread_id for thread in client.threads.list_all()}), 201)
        self.assertEqual([thread.name for thread in client.threads.list_all(search="plan 200")], ["Plan 200"])
        for nothing in (client.runs, client.schedules, client.secrets, client.shares, client.triggers, client.webhooks):
            self.assertEqual(list(nothing.list_all()), [])
        self.assertEqual(len(list(client.projects.list_all())), 201)

    def test_a_message_steers_a_run(self):
        run = self.client().agents.run(prompt="slow: 30 100\nbash: true\nsay: Not changed.")
        message, read = None, []
        for event in run:
            if isinstance(event, MessageDelta) and message is None:
                message = run.steer("say: Changed.")
            elif isinstance(event, UserMessage):
                read.append((event.message_id, event.text))
        self.assertEqual((message.agent_run_id, message.delivery), (run.id, "pending"))
        self.assertEqual(read, [(message.message_id, "say: Changed.")])
        self.assertEqual(run.text(), "Changed.")

    def test_a_stream_can_include_subagents(self):
        client = self.client(tier="enterprise")
        client.agents.create(name="Researcher")
        lead = client.agents.create(name="Lead", agentpress_tools={"task": True})
        call = json.dumps({"agent": "Researcher", "prompt": "say: Found it."})
        run = client.agents.run(agent_id=lead.agent_id, prompt=f"call: task | {call}\nsay: Thanks.")
        said, started = {}, []
        for event in client.runs.stream(run.id, include_children=True):
            if isinstance(event, SubagentStarted):
                started.append(event)
            elif isinstance(event, MessageFinished) and event.text:
                said[event.agent_run_id] = event.text
        self.assertEqual(said, {run.id: "Thanks.", started[0].subagent_run_id: "Found it."})
        (child,) = client.runs.list(parent_run_id=run.id)
        self.assertEqual((child.id, child.thread_id), (started[0].subagent_run_id, started[0].thread_id))
        self.assertEqual((child.record.parent_run_id, child.record.parent_tool_call_id), (run.id, started[0].tool_call_id))
        self.assertEqual({event.agent_run_id for event in run}, {run.id})

    def test_without_a_token_the_client_says_so_before_it_sends_a_request(self):
        nowhere = "http://127.0.0.1:1"
        with mock.patch.dict(os.environ):
            os.environ.pop("RUNYARD_TOKEN", None)
            for client in (Runyard(nowhere), Runyard(nowhere, lambda: "")):
                for call in (client.account.state, lambda client=client: list(client.runs.stream("x"))):
                    with client, self.assertRaises(runyard.AuthenticationError) as raised:
                        call()
                    self.assertIn("no token is set", raised.exception.message)
            # An empty token means that a proxy adds the token, so the client sends the request.
            with Runyard(self.server.url, "") as client, self.assertRaises(runyard.AuthenticationError) as raised:
                client.account.state()
            self.assertTrue(raised.exception.is_from_server)
            with Runyard(nowhere, "", timeout=0.5) as client, self.assertRaises(runyard.UnavailableError):
                client.account.state()

    def test_connection_errors_are_in_plain_words(self):
        raw = re.compile(r"http.?2|rst_stream|goaway|ipv4|stream removed|errno|content-type|unknown:|socket|grpc_", re.IGNORECASE)
        with Stranger(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi") as web, Stranger(b"") as mute:
            for url, expected in (
                ("http://127.0.0.1:1", "no server answers at http://127.0.0.1:1; check the address"),
                ("http://runyard.invalid", "the host of http://runyard.invalid:80 is unknown"),
                (web.url, f"{web.url} is not a Runyard server"),
                (mute.url, f"the connection to {mute.url} broke"),
                (self.server.url.replace("http:", "https:"), "no secure connection to https://"),
            ):
                with Runyard(url, "token", timeout=2, reconnect_for=0.1) as client:
                    for call in (client.account.state, lambda client=client: list(client.runs.stream("x"))):
                        with self.assertRaises(runyard.RunyardError) as raised:
                            call()
                        error = raised.exception
                        self.assertIn(expected, str(error), error.transport_message)
                        self.assertNotRegex(str(error), raw)
                        self.assertNotEqual(error.transport_message, "")
                        self.assertFalse(error.is_from_server)

    def test_every_parameter_of_every_method_is_documented(self):
        documented = 0
        for client in (Runyard("http://127.0.0.1:1", "x"), AsyncRunyard("http://127.0.0.1:1", "x")):
            kinds = {type(client), *(type(value) for value in vars(client).values()), runyard.Run, runyard.AsyncRun}
            for kind in kinds:
                for name, method in inspect.getmembers(kind, inspect.isfunction):
                    if name.startswith("_") or not kind.__module__.startswith("runyard."):
                        continue
                    for parameter in list(inspect.signature(method).parameters)[1:]:
                        if "transport" not in kind.__module__:
                            self.assertRegex(inspect.getdoc(method), rf"(?m)^    {parameter}: \S", f"{kind.__name__}.{name}")
                            documented += 1
        self.assertGreater(documented, 200)

    def test_a_run_from_start_to_files(self):
        with self.client() as client:
            self.assertEqual(client.agents.create(name="Analyst", icon_name="brain").icon_name, "brain")
            run = client.agents.run(
                prompt="say: I count.\nbash: mkdir -p output; wc -c < data.csv > output/size.txt\nsay: Counted.", files=[CSV]
            )
            self.assertEqual((run.status, run.id), ("running", run.agent_run_id))
            events = list(run)
            self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
            self.assertEqual("".join(event.text for event in events if isinstance(event, MessageDelta)), "I count.Counted.")
            self.assertEqual([event.name for event in events if isinstance(event, ToolCall)], ["bash"])
            self.assertTrue(isinstance(events[-1], StatusChanged) and events[-1].is_terminal)
            self.assertEqual(list(run), events, "a run can be iterated again")
            self.assertEqual(list(client.runs.stream(run.id, after_sequence=4)), events[4:])
            self.assertEqual(run.text(), "Counted.")
            record = run.wait(timeout=60, check=True)
            self.assertEqual((record.status, record.usage.steps), ("completed", 2))
            self.assertEqual(run.messages()[-1].content, "Counted.")
            (file,) = run.files()
            size = str(os.path.getsize(CSV)).encode()
            self.assertEqual((file.path, file.read().strip()), ("output/size.txt", size))
            with tempfile.TemporaryDirectory() as folder:
                self.assertEqual(file.save(folder), os.path.join(folder, "size.txt"))
                self.assertEqual(pathlib.Path(file.save(os.path.join(folder, "other"))).read_bytes().strip(), size)
                self.assertEqual(sorted(os.listdir(folder)), ["other", "size.txt"])
            self.assertIn("data.csv", [file.path for file in run.files("")])
            self.assertEqual(run.files("nothing"), [])

    def test_uploads_accept_every_kind_of_file(self):
        large = bytes(range(256)) * 12_000
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "large.bin")
            path.write_bytes(large)
            reading, writing = os.pipe()
            threading.Thread(target=lambda: (os.write(writing, b"piped"), os.close(writing))).start()
            half_read = io.BytesIO(b"skipped, kept")
            half_read.read(9)
            client = self.client()
            with os.fdopen(reading, "rb") as pipe:
                files = [str(path), path, ("named.txt", b"bytes"), pipe, half_read, ("empty.txt", b"")]
                run = client.agents.run(prompt="say: Thanks.", files=files)
            run.wait(check=True)
            sizes = {file.name: file.size for file in run.files("")}
            self.assertEqual(sum(size == len(large) for size in sizes.values()), 2, sizes)
            self.assertEqual((sizes["named.txt"], sizes["empty.txt"], sizes["file"]), (5, 0, 5), sizes)
            found = {file.name: file for file in run.files("")}
            self.assertEqual(found["large.bin"].read(), large)
            with self.assertRaisesRegex(TypeError, "'rb'"), open(CSV, encoding="utf-8") as text:
                client.files.upload(text)
            with self.assertRaises(TypeError):
                client.agents.run(prompt="x", files=str(path))
            with self.assertRaises(FileNotFoundError):
                client.files.upload(os.path.join(folder, "nothing"))
            with self.assertRaises(runyard.TooLargeError):
                client.files.upload(("huge", bytes(10_000_001)))

    def test_errors_have_typed_details(self):
        client = self.client()
        with self.assertRaises(runyard.InvalidRequestError) as raised:
            client.agents.create()
        self.assertEqual(raised.exception.message, "Agent name is required")
        self.assertEqual([one.field for one in raised.exception.field_violations], ["name"])
        self.assertRegex(raised.exception.request_id, "^[0-9a-f-]{36}$")
        run = client.agents.run(prompt="sleep: 100")
        with self.assertRaises(runyard.LimitError) as raised:
            client.agents.run(prompt="say: x")
        error = raised.exception
        self.assertEqual((error.limit, error.running_count, error.running_thread_ids), (1, 1, (run.thread_id,)))
        run.stop()
        run.wait()
        with self.assertRaises(runyard.ModelAccessError) as raised:
            client.agents.run(prompt="say: x", model_name="openai/gpt-5-nano")
        self.assertEqual(raised.exception.tier_name, "free")
        with self.assertRaises(runyard.NotFoundError):
            client.runs.get(client.account.state().account_id)
        with self.assertRaises(runyard.AuthenticationError):
            Runyard(self.server.url, "a.b.c").agents.list()
        failed = client.agents.run(prompt="fail: 401")
        with self.assertRaises(runyard.RunFailedError) as raised:
            failed.wait(check=True)
        self.assertEqual(raised.exception.error_code, "MODEL_CREDENTIALS_REFUSED")
        with self.assertRaises(runyard.RunFailedError):
            failed.text()
        self.assertEqual(failed.wait().status, "failed")

    def test_waits_time_out(self):
        client = self.client()
        run = client.agents.run(prompt="sleep: 100")
        begun = time.monotonic()
        with self.assertRaises(TimeoutError) as raised:
            run.wait(timeout=0.5)
        self.assertIsInstance(raised.exception, runyard.DeadlineError)
        self.assertLess(time.monotonic() - begun, 20)
        run.stop()
        self.assertEqual(run.wait(timeout=120).status, "stopped")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with Runyard(url, "token").with_timeout(0.3) as mute, self.assertRaises(TimeoutError):
                mute.agents.list()

    def test_a_token_is_never_shown_and_may_change(self):
        token = self.server.caller()
        tokens = iter(["a.b.c", token])
        with Runyard(self.server.url, lambda: next(tokens)) as client:
            with self.assertRaises(runyard.AuthenticationError) as raised:
                client.agents.list()
            self.assertEqual(client.agents.list(), [])
        client = Runyard(self.server.url, token)
        self.addCleanup(client.close)
        for shown in (repr(client), repr(client._transport.options), str(raised.exception), repr(vars(raised.exception))):
            self.assertNotIn(token, shown)
        key = client.api_keys.create(name="Key")
        self.assertNotIn(key.secret, repr(key))
        with Runyard(self.server.url, key.secret) as by_key:
            self.assertEqual(by_key.agents.list(), [])
        os.environ["RUNYARD_SERVER"], os.environ["RUNYARD_TOKEN"] = self.server.url, token
        self.addCleanup(lambda: (os.environ.pop("RUNYARD_SERVER"), os.environ.pop("RUNYARD_TOKEN")))
        with Runyard() as client:
            self.assertEqual(client.account.state().tier_name, "free")
        for wrong in ("127.0.0.1:1", "http://host/path?query", "ftp://host"):
            with self.assertRaises(ValueError):
                Runyard(wrong, token)

    def test_a_throttled_call_waits_for_the_retry_delay(self):
        server = Server(configuration="[http]\nrate_per_account = { per_second = 1, burst = 1 }\n")
        self.addCleanup(server.close)
        client = Runyard(server.url, server.caller())
        self.addCleanup(client.close)
        begun = time.monotonic()
        for _ in range(3):
            client.agents.list()
        self.assertGreater(time.monotonic() - begun, 1, "the server did not throttle the calls")
        with self.assertRaises(runyard.ThrottledError) as raised:
            for _ in range(4):
                client.with_timeout(0.5).agents.list()
        self.assertGreater(raised.exception.retry_after, 0)

    def test_a_run_from_start_to_files_with_asyncio(self):
        async def job(folder):
            async with AsyncRunyard(self.server.url, self.server.caller()) as client:
                shown = io.StringIO()
                with open(CSV, "rb") as data:
                    run = await client.agents.run(
                        prompt="bash: mkdir -p output; wc -l < data.csv > output/lines.txt\nsay: Counted.", files=[data]
                    )
                self.assertEqual((await run.show(shown)).status, "completed")
                self.assertIn("Counted.\ncompleted (2 model calls", shown.getvalue())
                self.assertEqual((await run.messages())[-1].content, "Counted.")
                (file,) = await run.files()
                path = await file.save(folder)
                self.assertEqual(pathlib.Path(path).read_bytes(), await file.read())
                self.assertEqual((await run.wait(check=True)).usage.steps, 2)

                slow = await client.agents.run(prompt="sleep: 100")
                with self.assertRaises(TimeoutError):
                    await slow.wait(timeout=0.3)
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(slow.text(), 0.3)
                self.assertEqual([one.id for one in await client.agents.list_active()], [slow.id])
                await slow.stop()
                self.assertEqual((await slow.wait(timeout=120)).status, "stopped")

        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(job(folder))

    def test_over_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
            command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
            command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
            subprocess.run(command, check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            context.set_alpn_protocols(["h2"])
            trusted = pathlib.Path(certificate).read_bytes()

        async def pass_on(reader, writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

        connections = set()

        async def between(reader, writer):
            """Terminates TLS, like a reverse proxy."""
            connections.add(asyncio.current_task())
            inside_reader, inside_writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            ways = [asyncio.create_task(pass_on(*way)) for way in ((reader, inside_writer), (inside_reader, writer))]
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            inside_writer.close()
            writer.close()

        async def both():
            async with await asyncio.start_server(between, "127.0.0.1", 0, ssl=context) as proxy:
                url = f"https://localhost:{proxy.sockets[0].getsockname()[1]}"
                token = self.server.caller()
                async with AsyncRunyard(url, token, root_certificates=trusted) as client:
                    run = await client.agents.run(prompt="say: Secure.")
                    self.assertEqual(await run.text(timeout=120), "Secure.")
                async with AsyncRunyard(url, token, timeout=2) as stranger:
                    with self.assertRaises(runyard.RunyardError) as raised:
                        await stranger.agents.list()
                    self.assertIn(raised.exception.grpc_code, ("UNAVAILABLE", "DEADLINE_EXCEEDED"))
                self.assertGreater(len(connections), 0)
                # A client that rejected the certificate may leave its connection open.
                for task in connections:
                    task.cancel()
                await asyncio.gather(*connections)

        asyncio.run(both())

    def test_many_runs_with_asyncio(self):
        async def one(client, number):
            run = await client.agents.run(prompt=f"say: I am {number}.")
            return await run.text(timeout=120)

        async def all_of_them():
            async with AsyncRunyard(self.server.url, self.server.caller("enterprise")) as client:
                texts = await asyncio.gather(*(one(client, number) for number in range(8)))
                names = [project.name async for project in pages(client)]
                return texts, names

        async def pages(client):
            for project in await client.projects.list():
                yield project

        texts, names = asyncio.run(all_of_them())
        self.assertEqual(texts, [f"I am {number}." for number in range(8)])
        self.assertEqual(len(names), 8)

    def test_many_runs_over_one_stream(self):
        with self.client("enterprise") as client, Proxy(self.server) as proxy:
            short, long = client.agents.run(prompt="say: Short."), client.agents.run(prompt="slow: 40 20")
            through = Runyard(proxy.url, client._transport.options.token)
            events = list(through.runs.stream_many([short, long.id]))
            through.close()
            self.assertEqual(proxy.opened, 1)
            for run in (short, long):
                own = [event for event in events if event.agent_run_id == run.id]
                self.assertEqual(own, list(run), "the events of each run are complete and in order")
            cursors = {short.id: len(list(short)), long.id: 10}
            self.assertEqual(list(client.runs.stream_many(cursors)), list(long)[10:], "one cursor is at the end of its run")
            self.assertEqual(list(client.runs.stream_many(dict.fromkeys(cursors, 1)))[-1].status, "completed")
            self.assertEqual(list(client.runs.stream_many([])), [])
            with self.assertRaises(TypeError):
                client.runs.stream_many(short.id)
            with self.assertRaises(runyard.NotFoundError):
                list(client.runs.stream_many([short, client.account.state().account_id]))

        async def gathered():
            async with AsyncRunyard(self.server.url, self.server.caller("enterprise")) as client:
                runs = [await client.agents.run(prompt=f"say: I am {number}.") for number in range(3)]
                events = [event async for event in client.runs.stream_many(await client.runs.list())]
                return [run.id for run in runs], events

        ids, events = asyncio.run(gathered())
        self.assertEqual(sorted(event.agent_run_id for event in events if is_end(event)), sorted(ids))

    def test_a_stream_resumes_with_a_new_credential(self):
        owner = self.client()
        keys = [owner.api_keys.create(name=f"Key {number}") for number in range(2)]
        used = iter(keys)
        key = next(used)
        with Runyard(self.server.url, lambda: key.secret) as client:
            run = client.agents.run(prompt="sleep: 100")
            events = run.events()
            seen = [next(events)]
            revoked, key = key, keys[1]
            owner.api_keys.revoke(revoked.api_key.key_id)
            stopping = threading.Timer(0.5, run.stop)
            stopping.start()
            seen += events
            stopping.join()
            self.assertEqual((seen, seen[-1].status), (list(run), "stopped"))
        with Runyard(self.server.url, revoked.secret) as client, self.assertRaises(runyard.AuthenticationError):
            list(client.runs.stream(run.id))

    def test_a_silent_stream_may_break_repeatedly(self):
        client = self.client()
        run = client.agents.run(prompt="sleep: 100")
        cursor = 0
        for event in run:
            cursor = event.sequence
            if isinstance(event, MessageDelta):
                break
        # The connections break for longer than `reconnect_for` in total. The client continues, because each
        # connection stays open long enough to count as a success.
        with (
            Proxy(self.server, cut_after=1.5) as proxy,
            Runyard(proxy.url, client._transport.options.token, reconnect_for=4) as through,
            mock.patch("runyard._retry.STEADY", 0.2),
        ):
            stopping = threading.Thread(target=lambda: (proxy.wait(5), run.stop()))
            stopping.start()
            (*_, end) = through.runs.stream(run.id, after_sequence=cursor)
            stopping.join()
            self.assertEqual(end.status, "stopped")
            self.assertGreaterEqual(proxy.opened, 5)

    def test_the_client_covers_the_whole_api(self):
        """Fails if the client lacks a field, an event or a method of the .proto files."""
        from runyard import _http, _methods, models
        from runyard._proto import events_pb2

        members = {field.name for field in events_pb2.RunEvent.DESCRIPTOR.oneofs_by_name["event"].fields}
        self.assertEqual(members, set(EVENTS))
        for name, wanted in EVENTS.items():
            message = events_pb2.RunEvent.DESCRIPTOR.fields_by_name[name].message_type
            renamed = {field: other for (kind, field), other in runyard.events.RENAMED.items() if kind == name}
            fields = {renamed.get(field.name, field.name) for field in message.fields}
            self.assertEqual(fields, set(wanted.__dataclass_fields__) - set(runyard.events.RunEvent.__dataclass_fields__))
        compared = set()

        def compare(message):
            wanted = models.model_class(message.name)
            if wanted is None or message.name in compared:
                return
            compared.add(message.name)
            self.assertEqual({field.name for field in message.fields}, set(wanted.__dataclass_fields__), message.name)
            for field in message.fields:
                if field.message_type is not None:
                    compare(field.message_type)

        called = [method for method in vars(_methods).values() if isinstance(method, _methods.Method)]
        for method in called:
            compare(method.response.DESCRIPTOR)
            for field in method.response.DESCRIPTOR.fields:
                if field.message_type is not None:
                    compare(field.message_type)
        self.assertGreater(len(compared), 15)
        names = {method.name for method in called}
        services = {service.full_name: service for method in called for service in services_of(method)}
        for service in services.values():
            for method in service.methods:
                self.assertIn(f"{service.name}.{method.name}", names)
        self.assertGreater(len(services), 6)
        every = [(service.name, method) for service in services.values() for method in service.methods]
        streamed = {f"{service}.{method.name}" for service, method in every if method.server_streaming}
        self.assertEqual(streamed, set(_http.STREAMS), "methods that stream need a path in _http.py")

    def test_the_tests_use_the_installed_wheel(self):
        self.assertIn("site-packages", runyard.__file__)
        self.assertEqual(runyard.__version__, metadata.version("runyard"))
        self.assertTrue(resources.files("runyard").joinpath("py.typed").is_file())
        self.assertEqual(metadata.metadata("runyard")["License-Expression"], "Apache-2.0")
        (license,) = (path for path in metadata.files("runyard") if path.name == "LICENSE")
        self.assertEqual(license.read_binary(), pathlib.Path(ROOT, "LICENSE").read_bytes())
        needed = " ".join(metadata.requires("runyard"))
        for name in ("grpcio", "protobuf", "httpx"):
            self.assertIn(name, needed)


def is_end(event):
    return isinstance(event, StatusChanged) and event.is_terminal


class Proxy:
    """A TCP proxy that counts connections and cuts each one after `cut_after` seconds."""

    def __init__(self, server, cut_after=None):
        self.server = server
        self.cut_after = cut_after
        self.opened = 0
        self.changed = threading.Condition()
        self.sockets, self.threads = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self):
        self.accepting = threading.Thread(target=self.accept)
        self.accepting.start()
        return self

    def __exit__(self, *_):
        # Closing the socket would not wake the thread that waits in accept(), so the socket is shut down.
        cut(self.listener)
        self.accepting.join()
        cut(*self.sockets)
        for thread in self.threads:
            thread.join()
        for each in (self.listener, *self.sockets):
            each.close()

    def wait(self, opened):
        with self.changed:
            if not self.changed.wait_for(lambda: self.opened >= opened, 60):
                raise TimeoutError(f"{self.opened} of {opened} connections")

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.sockets.append(client)
                upstream = socket.create_connection(("127.0.0.1", self.server.port))
                self.sockets.append(upstream)
                ways = ((client, upstream), (upstream, client))
                started = [threading.Thread(target=self.pass_on, args=way) for way in ways]
                if self.cut_after is not None:
                    started.append(threading.Timer(self.cut_after, cut, ways[0]))
                self.threads += started
                for thread in started:
                    thread.start()
                with self.changed:
                    self.opened += 1
                    self.changed.notify_all()

    def pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        cut(source, target)


def cut(*sockets):
    """Shuts connections down. This wakes the threads that read from them."""
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def services_of(method):
    return method.request.DESCRIPTOR.file.services_by_name.values()


class AwayTest(unittest.TestCase):
    def setUp(self):
        self.model = Model()
        self.addCleanup(self.model.close)
        # With a short lease, the restarted server resumes the killed server's runs within seconds.
        self.server = Server(self.model, configuration="[worker]\nlease_seconds = 3\n")
        self.addCleanup(self.server.close)

    def crash(self):
        self.server.kill()
        time.sleep(0.5)
        self.server.start()

    def check(self, events, again):
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)), "no gaps and no repeats")
        self.assertEqual(events, again, "the streamed events equal the stored ones")
        self.assertEqual(events[-1].status, "completed", events[-1])

    def test_a_stream_reconnects_by_itself(self):
        with Runyard(self.server.url, self.server.caller()) as client:
            run = client.agents.run(prompt=SLOW)
            events = []
            for event in run:
                events.append(event)
                if event.sequence == 10:
                    crash = threading.Thread(target=self.crash)
                    crash.start()
            crash.join()
            self.check(events, list(run))

    def test_a_stream_reconnects_by_itself_with_asyncio(self):
        async def watch():
            async with AsyncRunyard(self.server.url, self.server.caller()) as client:
                run = await client.agents.run(prompt=SLOW)
                events, crash = [], None
                async for event in run:
                    events.append(event)
                    if event.sequence == 10:
                        crash = asyncio.create_task(asyncio.to_thread(self.crash))
                await crash
                return events, [event async for event in run]

        self.check(*asyncio.run(watch()))

    def test_a_client_tool_is_answered_across_a_crash_of_the_server_and_runs_once(self):
        called = []

        def weather(city: str, days: int = 1) -> dict[str, str]:
            """Returns the weather."""
            called.append((city, days))
            self.server.kill()
            self.server.start()
            return {"sky": "clear"}

        with Runyard(self.server.url, self.server.caller()) as client:
            run = client.agents.run(prompt='call: weather | {"city": "Rome", "days": 2}\nsay: Clear.', tools=[weather])
            events = list(run)
            self.check(events, list(run))
            self.assertEqual(called, [("Rome", 2)])
            statuses = [event.status for event in events if isinstance(event, StatusChanged)]
            self.assertEqual(statuses, ["running", "waiting", "running", "completed"])
            (asked,) = (event for event in events if isinstance(event, InputRequested))
            again = client.inputs.answer(run.id, {"input_id": asked.input_id, "decision": "result", "text": "other"})
            self.assertEqual([one.text for one in again.inputs], ['{"sky": "clear"}'], "the first answer counts")

    def test_a_question_waits_for_its_answer_with_asyncio(self):
        async def job():
            async with AsyncRunyard(self.server.url, self.server.caller()) as client:
                agent = await client.agents.create(name="Asks", agentpress_tools={"ask_user": True})
                prompt = 'call: ask_user | {"question": "Which colour?", "choices": ["red", "blue"]}\nsay: Thanks.'
                run = await client.agents.run(agent_id=agent.agent_id, prompt=prompt)
                async for event in run:
                    if isinstance(event, InputRequested):
                        self.assertEqual((event.input_kind, event.message), ("question", "Which colour?"))
                        (pending,) = await client.inputs.list_pending(agent_run_id=run.id)
                        self.assertEqual((pending.input_id, pending.thread_id), (event.input_id, run.thread_id))
                        answer = {"input_id": pending.input_id, "decision": "answer", "text": "blue"}
                        await client.inputs.answer(run.id, answer)
                self.assertEqual(await run.text(), "Thanks.")
                self.assertEqual((await client.inputs.get(pending.input_id)).decision, "answer")

        asyncio.run(job())

    def test_a_retried_start_happens_once(self):
        with Runyard(self.server.url, self.server.caller()) as client:
            client.agents.list()
            self.server.kill()
            back = threading.Timer(0.5, self.server.start)
            back.start()
            run = client.agents.run(prompt="say: Here.", files=[("a.txt", b"a")])
            back.join()
            self.assertEqual(run.text(), "Here.")
            self.assertEqual([one.id for one in client.runs.list()], [run.id])

    def test_uploads_and_downloads_resume(self):
        content = os.urandom(8_000_000)
        test = self

        class Breaking(io.BytesIO):
            """A file object that crashes the server once while the client reads the file."""

            crash = None

            def read(self, size=-1):
                if self.crash is None and self.tell() > 3_000_000:
                    Breaking.crash = threading.Thread(target=test.crash)
                    self.crash.start()
                    time.sleep(0.3)
                return super().read(size)

        with Runyard(self.server.url, self.server.caller()) as client:
            run = client.agents.run(prompt="say: Kept.", files=[Breaking(content)])
            Breaking.crash.join()
            run.wait(check=True)
            (file,) = run.files("")
            received = bytearray()
            crash = None
            for piece in file.pieces():
                received += piece
                if crash is None and len(received) > 1_000_000:
                    crash = threading.Thread(target=self.crash)
                    crash.start()
                    crash.join()
            self.assertEqual(received, content)
            pieces = file.pieces()
            next(pieces)
            client.sandboxes.write(run.sandbox_id, file.path, ("other", b"another content"))
            self.server.kill()
            self.server.start()
            with self.assertRaises(runyard.ConflictError):
                list(pieces)

    def test_reconnecting_ends_after_reconnect_for(self):
        with Runyard(self.server.url, self.server.caller(), timeout=5, reconnect_for=1) as client:
            run = client.agents.run(prompt="sleep: 100")
            self.assertEqual(next(iter(run)).sequence, 1)
            events = run.events(after_sequence=1)
            next(events)
            self.server.kill()
            with self.assertRaises(runyard.UnavailableError):
                list(events)
            with self.assertRaises(runyard.RunyardError) as raised:
                client.agents.list()
            self.assertIn(raised.exception.grpc_code, ("UNAVAILABLE", "DEADLINE_EXCEEDED"))
            self.server.start()


class OverHttp:
    """Repeats the tests of a class over HTTP."""

    @classmethod
    def setUpClass(cls):
        cls.enterClassContext(mock.patch.dict(os.environ, RUNYARD_TRANSPORT="http"))
        super().setUpClass()


class ClientOverHttpTest(OverHttp, ClientTest):
    def test_the_transport_is_http(self):
        client = self.client()
        client.agents.list()
        self.assertEqual(client.transport, "http")


class AwayOverHttpTest(OverHttp, AwayTest):
    pass


if __name__ == "__main__":
    unittest.main()
