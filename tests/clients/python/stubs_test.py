"""Tests the Python client in one process with stubs that a user has generated from the public .proto files."""

import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

from model import Model
from program import DEADLINE, ROOT, Server

SCRIPT = """
    import os
    {first}
    {second}
    import grpc
    from runyard.v1 import runs_pb2, runs_pb2_grpc

    url, token = os.environ["RUNYARD_SERVER"], os.environ["RUNYARD_TOKEN"]
    with runyard.Runyard(url, token) as client:
        run = client.agents.run(prompt="say: Both.", output={{"type": "object"}})
        with grpc.insecure_channel(url.removeprefix("http://")) as channel:
            stub = runs_pb2_grpc.RunServiceStub(channel)
            metadata = [("authorization", f"Bearer {{token}}")]
            events = list(stub.StreamRun(runs_pb2.StreamRunRequest(agent_run_id=run.id), metadata=metadata))
        own = list(run)
    assert [event.sequence for event in own] == [event.sequence for event in events]
    assert own[0].created_at.timestamp() == events[0].created_at.ToDatetime(None).replace(tzinfo=own[0].created_at.tzinfo).timestamp()
    print(len(own) > 0, hasattr(runs_pb2.StartRunRequest(), "added_later"))
"""


class OwnStubsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(cls.model)
        cls.addClassCleanup(cls.server.close)

    def generate(self, folder, change=lambda text: text):
        """Generates stubs from all public .proto files, after a change of runs.proto."""
        protos, stubs = pathlib.Path(folder, "proto"), pathlib.Path(folder, "stubs")
        stubs.mkdir()
        names = [str(path.relative_to(f"{ROOT}/proto")) for path in pathlib.Path(ROOT, "proto").rglob("*.proto")]
        for name in names:
            text = pathlib.Path(ROOT, "proto", name).read_text(encoding="utf-8")
            protos.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            protos.joinpath(name).write_text(change(text) if name.endswith("/runs.proto") else text, encoding="utf-8")
        python = os.path.join(os.environ["RUNYARD_TOOLS_BIN"], "python")
        out = [f"--proto_path={protos}", f"--python_out={stubs}", f"--grpc_python_out={stubs}"]
        subprocess.run([python, "-m", "grpc_tools.protoc", *out, *names], check=True, timeout=DEADLINE)
        return stubs

    def play(self, stubs, first, second):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT.format(first=first, second=second))],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(stubs),
                "RUNYARD_SERVER": self.server.url,
                "RUNYARD_TOKEN": self.server.caller(),
            },
            capture_output=True, text=True, timeout=DEADLINE, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-4000:])
        return done.stdout.split()

    def test_the_same_and_a_newer_version_of_the_stubs(self):
        def newer(text):
            return text.replace("message StartRunRequest {", "message StartRunRequest {\n  string added_later = 1000;", 1)

        orders = ("import runyard", "from runyard.v1 import runs_pb2")
        for change, is_newer in ((lambda text: text, "False"), (newer, "True")):
            with tempfile.TemporaryDirectory() as folder:
                stubs = self.generate(folder, change)
                for first, second in (orders, (orders[1], orders[0])):
                    with self.subTest(newer=is_newer, first=first):
                        self.assertEqual(self.play(stubs, first, second), ["True", is_newer])


if __name__ == "__main__":
    unittest.main()
