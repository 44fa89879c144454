"""Compiles the Java code that buf.gen.yaml generates and runs an agent with it."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import unittest

from model import Model
from program import Server

HERE = pathlib.Path(__file__).resolve().parent
JARS = pathlib.Path("/usr/share/java")
NEEDED = (
    "error_prone_annotations", "geronimo-annotation-1.3-spec", "grpc-api", "grpc-context", "grpc-core", "grpc-netty", "grpc-protobuf", "grpc-protobuf-lite",
    "grpc-stub", "guava", "netty-buffer", "netty-codec", "netty-codec-http", "netty-codec-http2", "netty-common",
    "netty-handler", "netty-handler-proxy", "netty-resolver", "netty-transport", "netty-transport-native-unix-common",
    "opencensus-api", "perfmark-api", "protobuf",
)


class JavaTest(unittest.TestCase):
    def compile(self, made, path):
        """Returns the folder of the compiled classes, cached by a hash of the sources because compiling is slow."""
        sources = sorted(made.rglob("*.java"))
        wanted = hashlib.sha256(path.encode())
        for source in (*sources, HERE / "Smoke.java"):
            wanted.update(source.read_bytes())
        classes = pathlib.Path(os.environ["RUNYARD_CLIENTS"]) / f"java-{wanted.hexdigest()[:16]}"
        if not classes.exists():
            for old in classes.parent.glob("java-*"):
                shutil.rmtree(old)
            part = classes.with_name("part-of-java")
            shutil.rmtree(part, ignore_errors=True)
            command = ["javac", "-nowarn", "-proc:none", "-Xlint:none", "-d", part, "-cp", path, *sources, HERE / "Smoke.java"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            self.assertEqual(done.returncode, 0, done.stderr[-4000:])
            part.rename(classes)
        return classes

    def test_an_agent_runs_through_the_generated_client(self):
        made = pathlib.Path(os.environ["RUNYARD_GENERATED"])
        path = ":".join(str(JARS / f"{name}.jar") for name in NEEDED)
        for jar in path.split(":"):
            self.assertTrue(os.path.exists(jar), f"{jar} is missing")
        classes = self.compile(made / "java", path)

        model = Model()
        self.addCleanup(model.close)
        server = Server(model)
        self.addCleanup(server.close)
        done = subprocess.run(
            ["java", "-cp", f"{classes}:{path}", "Smoke"],
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
        """Go is only generated: its toolchain is large, and Debian's gRPC for Go is too old for the generated code."""
        made = pathlib.Path(os.environ["RUNYARD_GENERATED"]) / "go" / "runyard" / "v1"
        text = (made / "runs_grpc.pb.go").read_text()
        self.assertIn("type RunServiceClient interface", text)
        self.assertIn("StreamRun(ctx context.Context", text)
        self.assertIn("type RunEvent struct", (made / "events.pb.go").read_text())


if __name__ == "__main__":
    unittest.main()
