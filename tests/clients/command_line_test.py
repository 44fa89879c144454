"""The command line as a client of a server."""

import json
import os
import tempfile
import unittest

from program import CSV, Server

PROMPT = "Analyze data.csv and create visualizations"


class CommandLineTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def test_a_run_is_shown_and_its_files_are_taken_away(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.server.call("run", PROMPT, "--file", CSV, "--download", folder)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for word in ("sent ", "run ", "▸ ", "completed", "model calls", "Files in /workspace/output", "output/report.md"):
                self.assertIn(word, done.stdout)
            self.assertNotIn("\x1b", done.stdout, "colours are for terminals")
            made = os.listdir(folder)
            self.assertIn("report.md", made)
            self.assertTrue(any(name.endswith(".svg") for name in made), made)
            self.assertFalse([name for name in made if name.endswith(".part")])

    def test_events_as_json(self):
        done = self.server.call("run", "Say hello", "--mode", "chat", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([event["sequence"] for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(events[-1]["status"]["status"], "completed")

    def test_agents(self):
        token = self.server.token()
        self.assertIn("You have no agents", self.server.call("agents", "list", token=token).stdout)
        made = self.server.call("agents", "create", "Analyst", "--system-prompt", "Be brief.", token=token)
        agent_id = made.stdout.strip()
        shown = self.server.call("agents", "show", agent_id, token=token).stdout
        self.assertIn("Analyst", shown)
        self.assertIn("Be brief.", shown)
        self.assertIn(agent_id, self.server.call("agents", "list", token=token).stdout)
        refused = self.server.call("agents", "create", "A", token=token)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertTrue(refused.stderr.startswith("runyard: "), refused.stderr)

    def test_a_wrong_token_says_what_to_do(self):
        refused = self.server.call("agents", "list", token="a.b.c")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("runyard token", refused.stderr)


if __name__ == "__main__":
    unittest.main()
