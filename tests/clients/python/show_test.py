"""Tests the progress output of a run in a terminal, in a pipe and in a notebook."""

import contextlib
import io
import os
import pty
import sys
import threading
import unittest

import nbformat
from nbclient import NotebookClient
from runyard import Runyard

from model import Model
from program import Server

PROMPT = "say: I look.\nbash: printf 'found\\033[31m it'; exit 3\nsay: It was <b>bold</b>."


class ShowTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(cls.model)
        cls.addClassCleanup(cls.server.close)

    def run_in(self, file):
        with Runyard(self.server.url, self.server.caller()) as client:
            return client.agents.run(prompt=PROMPT).show(file)

    def check(self, shown):
        self.assertIn("I look.", shown)
        self.assertIn("▸ bash: printf 'found\\033[31m it'; exit 3", shown)
        self.assertIn("✗", shown)
        self.assertIn("It was <b>bold</b>.", shown)
        self.assertIn("completed (2 model calls, ", shown)
        self.assertNotIn("\x1b", shown, "tool output is stripped of control characters")

    def test_output_is_line_by_line_without_a_terminal(self):
        file = io.StringIO()
        self.assertEqual(self.run_in(file).status, "completed")
        self.check(file.getvalue())
        self.assertIn("I look.\n▸ bash", file.getvalue())

    def test_output_is_live_in_a_terminal(self):
        master, slave = pty.openpty()
        shown = bytearray()
        early = threading.Event()

        def read():
            # On Linux, reading from a pseudo-terminal fails after the other end was closed.
            with contextlib.suppress(OSError):
                while piece := os.read(master, 4096):
                    shown.extend(piece)
                    if b"Early." in shown:
                        early.set()

        reader = threading.Thread(target=read)
        reader.start()
        with Runyard(self.server.url, self.server.caller()) as client, os.fdopen(slave, "w", encoding="utf-8") as terminal:
            client.agents.run(prompt=PROMPT).show(terminal)
            run = client.agents.run(prompt="say: Early.\nsleep: 100")
            showing = threading.Thread(target=run.show, args=(terminal,))
            showing.start()
            self.assertTrue(early.wait(120), "text is shown as it arrives")
            self.assertEqual(client.runs.get(run.id).status, "running")
            run.stop()
            showing.join(120)
        reader.join(120)
        os.close(master)
        text = shown.decode().replace("\r\n", "\n")
        self.check(text)
        self.assertIn("Early.\nstopped", text)

    def test_output_without_unicode_uses_ascii_symbols(self):
        raw = io.BytesIO()
        file = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
        self.run_in(file)
        self.assertIn(b"> bash: printf", raw.getvalue())

    def test_the_main_objects_have_tables_in_notebooks(self):
        with Runyard(self.server.url, self.server.caller("pro")) as client:
            agent = client.agents.create(name="<b>Bold</b>", system_prompt="x" * 1000)
            run = client.agents.run(prompt="say: Hello.", agent_id=agent.agent_id)
            started = run._repr_html_()
            run.wait()
            trigger = client.triggers.create("Trigger", "say: x")
            shown = {
                "run": run._repr_html_(),
                "record": run.record._repr_html_(),
                "thread": client.threads.get(run.thread_id)._repr_html_(),
                "agent": agent._repr_html_(),
                "account": client.account.state()._repr_html_(),
                "message": run.messages()[0]._repr_html_(),
                "page of agents": client.agents.list()._repr_html_(),
                "page of runs": client.runs.list()._repr_html_(),
                "page of triggers": client.triggers.list()._repr_html_(),
                "empty page": client.webhooks.list()._repr_html_(),
            }
        self.assertIn(f"<td>{run.id}</td>", started)
        self.assertIn("<th>status</th><td>running</td>", started)
        self.assertIn("<th>status</th><td>completed</td>", shown["run"])
        self.assertIn("steps: 1", shown["run"])
        self.assertIn("&lt;b&gt;Bold&lt;/b&gt;", shown["agent"])
        self.assertIn("&lt;b&gt;Bold&lt;/b&gt;", shown["page of agents"])
        self.assertIn(run.id, shown["page of runs"])
        self.assertIn("pro", shown["account"])
        self.assertIn("no items", shown["empty page"])
        for name, text in shown.items():
            self.assertNotIn("<b>Bold", text, name)
            self.assertNotIn("x" * 201, text, name)
            self.assertNotIn(trigger.secret, text, name)
            # A browser's parser finds no tag that is not closed.
            self.assertEqual(text.count("<td>"), text.count("</td>"), name)

    def test_a_notebook_is_updated_in_place(self):
        cell = (
            "from runyard import Runyard\n"
            f"client = Runyard({self.server.url!r}, {self.server.caller()!r})\n"
            f"run = client.agents.run(prompt={PROMPT!r}, progress=True)\n"
            "print(run.status)\n"
        )
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python", "language": "python"}
        NotebookClient(notebook, timeout=180, startup_timeout=180, kernel_name="python3").execute()
        outputs = notebook.cells[0].outputs
        pages = [output.data["text/html"] for output in outputs if output.output_type == "display_data"]
        self.assertEqual(len(pages), 1, "one output that was updated in place")
        self.assertIn("It was &lt;b&gt;bold&lt;/b&gt;.", pages[0])
        self.assertIn("completed (2 model calls", pages[0])
        self.assertIn("✗ <code>bash: printf", pages[0])
        self.assertEqual([output.text for output in outputs if output.output_type == "stream"], ["completed\n"])


if __name__ == "__main__":
    sys.exit(unittest.main())
