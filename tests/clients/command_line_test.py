"""Tests the command-line client against a real server."""

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

    def test_run_shows_the_run_and_downloads_its_files(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.server.call("run", PROMPT, "--file", CSV, "--download", folder)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for word in ("sent ", "run ", "▸ ", "completed", "model calls", "Files in /workspace/output", "output/report.md"):
                self.assertIn(word, done.stdout)
            self.assertNotIn("\x1b", done.stdout, "no colours without a terminal")
            made = os.listdir(folder)
            self.assertIn("report.md", made)
            self.assertTrue(any(name.endswith(".svg") for name in made), made)
            self.assertFalse([name for name in made if name.endswith(".part")])

    def test_json_prints_the_events(self):
        done = self.server.call("run", "Say hello", "--mode", "chat", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([event["sequence"] for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(events[-1]["status"]["status"], "completed")

    def test_a_schema_makes_the_answer_the_only_output(self):
        with tempfile.TemporaryDirectory() as folder:
            schema = os.path.join(folder, "schema.json")
            with open(schema, "w", encoding="utf-8") as file:
                json.dump({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, file)
            done = self.server.call("run", "Which city?", "--mode", "chat", "--output-schema", schema)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(json.loads(done.stdout), {"city": "city"})
            self.assertIn("runyard: note: ", done.stderr)
            refused = self.server.call("run", "Which city?", "--output-schema", os.path.join(folder, "none.json"))
            self.assertEqual((refused.returncode, refused.stdout), (1, ""))
            self.assertIn("cannot read", refused.stderr)

    def test_agents_are_created_shown_and_listed(self):
        token = self.server.token()
        self.assertIn("you have no agents", self.server.call("agents", "list", token=token).stderr)
        made = self.server.call("agents", "create", "Analyst", "--system-prompt", "Be brief.", token=token)
        agent_id = made.stdout.strip()
        shown = self.server.call("agents", "show", agent_id, token=token).stdout
        self.assertIn("Analyst", shown)
        self.assertIn("Be brief.", shown)
        self.assertIn(agent_id, self.server.call("agents", "list", token=token).stdout)
        refused = self.server.call("agents", "create", "A", token=token)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertTrue(refused.stderr.startswith("runyard: "), refused.stderr)

    def test_a_wrong_token_names_the_next_step(self):
        refused = self.server.call("agents", "list", token="a.b.c")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("runyard token", refused.stderr)

    def test_without_a_token_every_command_uses_the_local_account(self):
        made = self.server.call_local("agents", "create", "Librarian")
        self.assertEqual(made.returncode, 0, made.stderr)
        agent_id = made.stdout.strip()
        printed = self.server.call_local("token")
        self.assertIn(self.server.data, printed.stderr, "names the folder whose secret signed the token")
        token = printed.stdout.strip()
        self.assertIn(agent_id, self.server.call("agents", "list", token=token).stdout)
        alice = self.server.call_local("token", "--sub", "alice").stdout.strip()
        self.assertNotIn(agent_id, self.server.call("agents", "list", token=alice).stdout)

    def test_the_error_for_a_token_of_another_data_folder_names_the_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            other = os.path.join(folder, "data")
            os.mkdir(other)
            with open(os.path.join(other, "jwt.secret"), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as secret:
                secret.write("f" * 64)
            refused = self.server.call_local("agents", "list", "--data-dir", other)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(other, refused.stderr)
        self.assertIn("--data-dir", refused.stderr)


class PlanTest(unittest.TestCase):
    """Tests the plan messages that the operator of a server gets."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def test_a_plan_limit_error_names_the_command_that_changes_the_plan(self):
        for name in ("Ann", "Ben", "Cyd"):
            self.assertEqual(self.server.call_local("agents", "create", name).returncode, 0)
        for _ in range(2):
            refused = self.server.call_local("agents", "create", "Dan")
            self.assertEqual(refused.returncode, 1)
            for words in ("Maximum of 3 agents allowed", "runyard tier pro", "RUNYARD_LIMITS=off"):
                self.assertIn(words, refused.stderr)
        shown = self.server.call_local("tier").stdout
        self.assertRegex(shown, r"tier +free\n(.*\n)*agents +3 of 3")
        account = shown.split()[1]
        lines = [line for line in self.server.lines() if "a plan refused a request" in line]
        self.assertEqual(len(lines), 1, "once per account and hour")
        for words in (account, "AGENT_LIMIT_EXCEEDED", "runyard tier TIER --account ID", "RUNYARD_LIMITS=off"):
            self.assertIn(words, lines[0])
        # Without `--account`, the command changes the plan of the local account.
        self.assertIn("pro", self.server.call_local("tier", "pro").stdout)
        self.assertEqual(self.server.call_local("agents", "create", "Dan").returncode, 0)
        by_id = self.server.call_local("tier", "enterprise", "--account", account)
        self.assertRegex(by_id.stdout, r"tier +enterprise")
        wrong = self.server.call_local("tier", "gold")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("free, pro, enterprise", wrong.stderr)

    def test_only_an_administrator_changes_a_plan(self):
        with tempfile.TemporaryDirectory() as folder:
            refused = self.server.call("tier", "pro", "--data-dir", folder)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("super_admin", refused.stderr)
        administrator = self.server.token(None, "--role", "super_admin")
        with tempfile.TemporaryDirectory() as folder:
            allowed = self.server.call("tier", "pro", "--data-dir", folder, token=administrator)
        self.assertEqual(allowed.returncode, 0, allowed.stderr)


if __name__ == "__main__":
    unittest.main()
