"""Compiles the Java code that buf.gen.yaml generates and runs an agent with it."""

import os
import pathlib
import subprocess
import unittest

from java import compile_program
from model import Model
from program import Server

HERE = pathlib.Path(__file__).resolve().parent


class JavaTest(unittest.TestCase):
    def test_an_agent_runs_through_the_generated_client(self):
        made = pathlib.Path(os.environ["RUNYARD_GENERATED"])
        path = compile_program(made / "java", HERE / "Smoke.java")
        model = Model()
        self.addCleanup(model.close)
        server = Server(model)
        self.addCleanup(server.close)
        done = subprocess.run(
            ["java", "-cp", path, "Smoke"],
            env={"PATH": os.environ["PATH"], "RUNYARD_SERVER": server.url, "RUNYARD_TOKEN": server.caller()},
            capture_output=True, text=True, timeout=120, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr[-4000:])
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "agent Java v1",
                "said Hello from Java.Done.",
                "ended RUN_STATUS_COMPLETED",
                "file output/java.txt: made for Java",
                "refused INVALID_ARGUMENT INVALID_REQUEST: Agent name is required",
            ],
        )

    def test_go_is_generated(self):
        """Go is only generated here, because its toolchain is large. `tests/foreign` compiles and runs it."""
        made = pathlib.Path(os.environ["RUNYARD_GENERATED"]) / "go" / "runyard" / "v1"
        text = (made / "runs_grpc.pb.go").read_text()
        self.assertIn("type RunServiceClient interface", text)
        self.assertIn("StreamRun(ctx context.Context", text)
        self.assertIn("type RunEvent struct", (made / "events.pb.go").read_text())


if __name__ == "__main__":
    unittest.main()
