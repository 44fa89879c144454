"""Compiles a program with the Go module and the Java artifact of `make clients-go clients-java`, and runs an agent."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from java import JARS, NEEDED
from model import Model
from program import DEADLINE, ROOT, Server

HERE = pathlib.Path(__file__).resolve().parent
GO_PACKAGES = pathlib.Path("/usr/share/gocode/src/google.golang.org/grpc")


class PackagesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(cls.model)
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def do(self, *command, **environment):
        given = {"PATH": os.environ["PATH"], "RUNYARD_SERVER": self.server.url, "RUNYARD_TOKEN": self.server.caller()}
        done = subprocess.run(
            [str(part) for part in command], env={**given, **environment}, cwd=self.folder,
            capture_output=True, text=True, timeout=3 * DEADLINE, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr[-4000:])
        return done.stdout.splitlines()

    @unittest.skipUnless(shutil.which("go") and GO_PACKAGES.is_dir(), "go or Debian's Go packages of gRPC are missing")
    def test_the_go_module(self):
        module = pathlib.Path(ROOT, "target", "clients-go")
        self.assertTrue(module.joinpath("go.mod").read_text().startswith("module runyard.example/client\n"))
        # Debian installs Go packages into a GOPATH, so the module must also be in a GOPATH.
        source = self.folder / "src"
        shutil.copytree(module, source / "runyard.example" / "client")
        source.joinpath("smoke").mkdir()
        shutil.copy(HERE / "smoke.go", source / "smoke" / "main.go")
        settings = {
            "GO111MODULE": "off", "GOFLAGS": "", "GOPATH": f"{self.folder}:/usr/share/gocode",
            "GOCACHE": os.path.join(os.environ["RUNYARD_CLIENTS"], "go-cache"),
        }
        self.do("go", "build", "-o", "smoke", "smoke", **settings)
        self.assertEqual(
            self.do(self.folder / "smoke"),
            [
                "agent Go client v1",
                "said Hello from Go.Done.",
                "ended RUN_STATUS_COMPLETED",
                "file output/go.txt: made for Go",
                "refused InvalidArgument INVALID_REQUEST: Agent name is required",
            ],
        )

    @unittest.skipUnless(shutil.which("javac") and (JARS / "grpc-stub.jar").exists(), "javac or Debian's libgrpc-java is missing")
    def test_the_java_artifact(self):
        package = pathlib.Path(ROOT, "target", "clients-java")
        (artifact,) = package.glob("runyard-client-*.jar")
        self.assertIn("<artifactId>runyard-client</artifactId>", package.joinpath("pom.xml").read_text())
        jars = [artifact, package / "google-common-protos-for-tests.jar", *(JARS / f"{name}.jar" for name in NEEDED)]
        path = ":".join(str(jar) for jar in jars)
        program = pathlib.Path(ROOT, "tests", "clients", "generated", "Smoke.java")
        self.do("javac", "-nowarn", "-proc:none", "-d", self.folder, "-cp", path, program)
        self.assertEqual(
            self.do("java", "-cp", f"{self.folder}:{path}", "Smoke"),
            [
                "agent Java v1",
                "said Hello from Java.Done.",
                "ended RUN_STATUS_COMPLETED",
                "file output/java.txt: made for Java",
                "refused INVALID_ARGUMENT INVALID_REQUEST: Agent name is required",
            ],
        )


if __name__ == "__main__":
    unittest.main()
