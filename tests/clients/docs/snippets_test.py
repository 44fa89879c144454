"""Runs every fenced snippet of the documents that is marked `run`, unchanged, against a real server.

The snippets of one language in one section form one script. `sh` runs in bash, `python run` with the Python client,
`python run=grpc` with generated stubs. Snippets that only install or start something are unmarked and listed in OTHERS.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

from program import CSV, DEADLINE, ROOT, Server

DOCUMENTS = {
    # Minimum number of scripts per document. This number detects a snippet that has lost its mark `run`.
    "docs/quickstart.md": 3,
    "docs/agents/files.md": 1,
    "docs/agents/memory.md": 1,
    "docs/webhooks.md": 1,
    "docs/structured-answers.md": 1,
    "docs/schedules.md": 1,
    "docs/triggers.md": 1,
    "docs/secrets.md": 1,
    "docs/sharing.md": 1,
    "clients/python/README.md": 8,
}
FENCE = re.compile(r"^```(sh|python) run(?:=(\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# First words of the snippets without the mark `run`. Other tests cover these snippets.
OTHERS = (
    "export PATH=", "python -m pip install grpcio-tools", "pip install ./clients/python",
    "(cd clients/typescript && npm ci", "curl http://api.example.com/",
)
# Maps a document and section to the strings that the output of its script must contain.
SAID = {
    ("docs/quickstart.md", "curl"): ["event: status", "id: 6", "output/report.md", "x-error-code: INVALID_REQUEST"],
    ("docs/quickstart.md", "gRPC"): ["tool_call", "output/report.md"],
    ("docs/quickstart.md", "Python"): ["completed (", "output/report.md", "assistant "],
    ("docs/agents/memory.md", "Example"): [
        '"kind":"memories_used"', "Charts must use the colour blue.", "Charts must use the colour green.",
    ],
    ("docs/secrets.md", "Example"): ['"name":"GITHUB_KEY"', '"secrets":['],
    ("docs/sharing.md", "Example"): ['"name":"Plans"', '"content":"Read this."'],
    ("docs/triggers.md", "Example"): ['"agent_run_id":"', '"thread_id":"'],
    ("docs/schedules.md", "Example"): ['"next_run_times":[', '"outcome":"started"'],
    ("docs/webhooks.md", "Example"): ["run.completed valid"],
    ("docs/structured-answers.md", "Structured answers"): ['"output":{"city":"city","people":0}'],
    ("docs/agents/files.md", "Example"): ['"name":"dots.png"', '"content_type":"image/png"', '"width":2,"height":1'],
    ("clients/python/README.md", "Runyard for Python"): ["1 status", "output/report.md"],
    ("clients/python/README.md", "Runs"): ["completed"],
    ("clients/python/README.md", "Client tools"): ["completed"],
    ("clients/python/README.md", "Structured answers"): ["name 0"],
    ("clients/python/README.md", "Inputs"): [],
    ("clients/python/README.md", "With asyncio"): ["message_delta"],
    ("clients/python/README.md", "Errors"): ["AGENT_NOT_FOUND"],
    ("clients/python/README.md", "Networks and proxies"): [" http\nhttp"],
}


def scripts(document):
    """Returns (section, language, variant, script) for each script in a document."""
    with open(os.path.join(ROOT, document), encoding="utf-8") as file:
        text = file.read()
    # Code blocks are blanked first, because a shell comment looks like a heading.
    outside = re.sub(r"^```.*?^```$", lambda fence: " " * len(fence[0]), text, flags=re.MULTILINE | re.DOTALL)
    headings = [(match.start(), match[1]) for match in re.finditer(r"^#+ (.+)$", outside, re.MULTILINE)]
    found = {}
    for fence in FENCE.finditer(text):
        section = [title for start, title in headings if start < fence.start()][-1]
        found.setdefault((section, fence[1], fence[2] or ""), []).append(fence[3])
    return [(*key, "\n".join(parts)) for key, parts in found.items()]


class SnippetsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The receiver of the webhooks is on this machine.
        cls.server = Server(configuration="[webhooks]\nallow_private_addresses = true\n")
        cls.addClassCleanup(cls.server.close)

    def do(self, language, variant, script):
        tools, client = os.environ["RUNYARD_TOOLS_BIN"], os.environ["RUNYARD_CLIENT_BIN"]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "RUNYARD_SERVER": self.server.url,
            "RUNYARD_TOKEN": self.server.caller(),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [client + "/python", "-c"]
        if variant == "grpc":
            command[0] = tools + "/python"
            environment["PYTHONPATH"] = os.environ["RUNYARD_STUBS"]
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(CSV, folder)
            done = subprocess.run(
                [*command, script], cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
            )
        return done

    def test_every_snippet_runs(self):
        said = set()
        for document, least in DOCUMENTS.items():
            found = scripts(document)
            self.assertGreaterEqual(len(found), least, document)
            for section, language, variant, script in found:
                with self.subTest(document=document, section=section, language=language):
                    done = self.do(language, variant, script)
                    self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-4000:])
                    for text in SAID.get((document, section), []):
                        self.assertIn(text, done.stdout)
                    said.add((document, section))
        self.assertEqual(set(SAID), said)

    def test_every_snippet_is_marked_or_known(self):
        for document in DOCUMENTS:
            with open(os.path.join(ROOT, document), encoding="utf-8") as file:
                fences = re.findall(r"^```(\S+)( run\S*)?\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
            for language, mark, text in fences:
                # Snippets in other languages have their own tests.
                if language in ("sh", "python") and not mark:
                    self.assertTrue(text.startswith(OTHERS), f"{document}: neither marked as run nor listed in OTHERS:\n{text}")

    def test_a_failing_snippet_is_detected(self):
        self.assertEqual(self.do("sh", "", 'curl -sSf "$RUNYARD_SERVER/readyz"').returncode, 0)
        self.assertNotEqual(self.do("sh", "", 'curl -sSf "$RUNYARD_SERVER/nothing"').returncode, 0)
        self.assertNotEqual(self.do("python", "", "import runyard.nothing").returncode, 0)


if __name__ == "__main__":
    unittest.main()
