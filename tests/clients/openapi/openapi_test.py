"""Generates clients from the served OpenAPI document with other projects' generators, and runs an agent with them."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from model import Model
from program import DEADLINE, Server

HERE = pathlib.Path(__file__).resolve().parent
NODE = pathlib.Path(os.environ["RUNYARD_OPENAPI_NODE"])


class OpenApiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(cls.model)
        cls.addClassCleanup(cls.server.close)
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.document = cls.folder / "openapi.json"
        with urllib.request.urlopen(f"{cls.server.url}/openapi.json", timeout=DEADLINE) as answer:
            cls.document.write_bytes(answer.read())

    def do(self, *command, **options):
        environment = {
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
            "HOME": str(self.folder),
            "RUNYARD_SERVER": self.server.url,
            "RUNYARD_TOKEN": self.server.caller(),
        }
        done = subprocess.run(
            [str(part) for part in command], env={**environment, **options.pop("env", {})},
            capture_output=True, text=True, timeout=2 * DEADLINE, check=False, **options,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-4000:] + done.stderr[-4000:])
        return done.stdout

    def test_openapi_python_client(self):
        target = self.folder / "python" / "generated"
        target.parent.mkdir()
        said = self.do(
            sys.executable, "-m", "openapi_python_client", "generate", "--path", self.document, "--meta", "none",
            "--output-path", target,
        )
        self.assertNotIn("Warning", said)
        said = self.do(sys.executable, HERE / "with_python.py", env={"PYTHONPATH": str(target.parent)})
        self.assertEqual(
            said.splitlines(),
            [
                "started running",
                "ended completed",
                "file output/size.txt 4",
                "refused 402 AGENT_RUN_LIMIT_EXCEEDED True",
                "refused 404 RUN_NOT_FOUND Agent run not found",
            ],
        )

    def test_openapi_ts(self):
        work = self.folder / "typescript"
        work.mkdir()
        for name in ("with_typescript.ts", "tsconfig.json", "package.json"):
            shutil.copy(HERE / name, work)
        (work / "node_modules").symlink_to(NODE / "node_modules")
        tools = NODE / "node_modules" / ".bin"
        self.do(tools / "openapi-ts", "-i", self.document, "-o", "client", "--no-log-file", cwd=work)
        self.do(tools / "tsc", "--project", ".", cwd=work)
        # Node needs file extensions in imports, so esbuild joins the modules.
        self.do(tools / "esbuild", "with_typescript.ts", "--bundle", "--platform=node", "--format=esm", "--outfile=program.mjs", cwd=work)
        said = self.do("node", "program.mjs", cwd=work)
        self.assertEqual(
            said.splitlines(),
            [
                "started running",
                "ended completed",
                "file output/size.txt 4",
                'refused 404 RUN_NOT_FOUND {"detail":"Agent run not found"}',
            ],
        )


if __name__ == "__main__":
    unittest.main()
