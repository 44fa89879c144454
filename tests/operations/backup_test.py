"""Runs the commands for backup and restore in docs/operations.md, unchanged, against a server under load.

The page marks the commands with `backup=NAME` and `restore=NAME`. See run.sh.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

from model import Model
from program import DEADLINE, ROOT, Server

FENCE = re.compile(r"^```sh (backup|restore)=(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WRITERS = 3
# The test waits for the event with this maximum in seconds.
PATIENCE = 120
PAGE = 100


def recipes():
    with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as page:
        return {(verb, name): script for verb, name, script in FENCE.findall(page.read())}


class BackedUp(Server):
    """A server whose data folder is restored from a backup before its first start."""

    def __init__(self, restore, **options):
        self.restore = restore
        super().__init__(**options)

    def start(self):
        if self.restore:
            self.restore(self.data)
            self.restore = None
        super().start()


class Reader:
    """Reads everything that an account can see. A file or run that cannot be read raises an exception."""

    def __init__(self, server, token):
        self.server, self.token = server, token

    def get(self, path):
        return self.server.http("GET", path, self.token)

    def pages(self, path, field):
        token, found = "", []
        while True:
            mark = "&" if "?" in path else "?"
            page = self.get(f"{path}{mark}page_size={PAGE}&page_token={urllib.parse.quote(token)}")
            found += page[field]
            token = page["next_page_token"]
            if not token:
                return found

    def raw(self, path):
        request = urllib.request.Request(self.server.url + path)
        request.add_header("authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.read()

    def messages(self):
        return {
            thread["thread_id"]: self.pages(f"/v1/threads/{thread['thread_id']}/messages", "messages")
            for thread in self.pages("/v1/threads", "threads")
        }

    def runs(self):
        return {run["agent_run_id"]: run for run in self.pages("/v1/agent-runs", "agent_runs")}

    def events(self, run_id):
        """Returns all events of a run. Waits until the run has ended."""
        text = self.raw(f"/v1/agent-run/{run_id}/stream").decode()
        # Lines that begin with a colon are heartbeats.
        return [block for block in text.split("\n\n") if block.strip() and not block.startswith(":")]

    def files(self):
        """Returns the digest of every file of every project, by sandbox and path."""
        found = {}
        for project in self.pages("/v1/projects", "projects"):
            sandbox_id = project["sandbox_id"]
            if not sandbox_id:
                continue
            for file in self.pages(f"/v1/sandboxes/{sandbox_id}/files?recursive=true", "files"):
                if not file["is_dir"]:
                    path = urllib.parse.quote(file["path"])
                    content = self.raw(f"/v1/sandboxes/{sandbox_id}/files/content?path={path}")
                    found[sandbox_id, file["path"]] = hashlib.sha256(content).hexdigest()
        return found


class Load:
    """Threads that start runs and add messages until the load ends."""

    def __init__(self, server, token):
        self.server, self.token = server, token
        self.writes, self.failures, self.stopping = 0, [], threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, number):
        try:
            thread_id = None
            while not self.stopping.is_set():
                prompt = f"bash: mkdir -p output && head -c 50000 /dev/urandom >output/{uuid.uuid4()}\nstream: 20\nsay: Written."
                started = self.server.http("POST", "/v1/agent/start", self.token, {"prompt": prompt})
                thread_id = started["thread_id"]
                for _ in range(5):
                    self.server.http("POST", f"/v1/threads/{thread_id}/messages", self.token, {"content": f"note {number}"})
                    with self.lock:
                        self.writes += 1
        except Exception as error:  # noqa: BLE001 - the test reports every error
            self.failures.append(error)

    def wait_for_more(self):
        """Waits until every writer has had the time for further writes."""
        wanted = self.writes + 5 * WRITERS
        until = time.monotonic() + PATIENCE
        while self.writes < wanted:
            if self.failures or time.monotonic() > until:
                raise AssertionError(f"the load does not advance: {self.failures}")
            time.sleep(0.02)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE)


class Recipe:
    """The tests for one database."""

    database = None

    @classmethod
    def setUpClass(cls):
        cls.recipes = recipes()
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.work = tempfile.mkdtemp(prefix="runyard-backup-")
        cls.addClassCleanup(shutil.rmtree, cls.work, True)
        cls.backup = os.path.join(cls.work, "backup")
        os.mkdir(cls.backup)
        cls.prepare()
        cls.write_and_back_up()

    @classmethod
    def shell(cls, verb, name, **variables):
        script = f"set -euo pipefail\numask 077\n{cls.recipes[verb, name]}"
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "backup": cls.backup, **variables}
        done = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        if done.returncode != 0:
            raise AssertionError(f"{verb}={name} failed: {done.stdout}{done.stderr}")

    @classmethod
    def server(cls, restore=None, url=None):
        environment = {"RUNYARD_DATABASE_URL": url} if url else None
        return BackedUp(restore, model=cls.model, environment=environment, configuration='limits = "off"\n')

    @classmethod
    def write_and_back_up(cls):
        original = cls.server(url=cls.url())
        try:
            cls.token = original.token("ann")
            reader = Reader(original, cls.token)
            # Before the backup: runs that have ended, a secret, and a run that waits for its model.
            for number in range(3):
                prompt = f"bash: mkdir -p output/deep && echo {number} >output/deep/number.txt\nsay: Number {number}."
                run = original.http("POST", "/v1/agent/start", cls.token, {"prompt": prompt})
                reader.events(run["agent_run_id"])
            original.http("POST", "/v1/secrets", cls.token, {"name": "KEY", "value": "hidden-value", "hosts": ["example.com"]})
            cls.known = (reader.messages(), reader.files())
            cls.known_events = {run_id: reader.events(run_id) for run_id in reader.runs()}
            cls.held = os.path.join(cls.work, "held")
            prompt = f"bash: mkdir -p output && echo kept >output/kept.txt\nsay: Before.\nhold: {cls.held}\nsay: After."
            cls.unfinished = original.http("POST", "/v1/agent/start", cls.token, {"prompt": prompt})["agent_run_id"]
            cls.wait_for_kept(reader)
            load = Load(original, cls.token)
            try:
                load.wait_for_more()
                cls.shell("backup", cls.database, data=original.data, url=cls.url())
                load.wait_for_more()
                cls.shell("backup", "files", data=original.data)
                load.wait_for_more()
            finally:
                load.stop()
            cls.failures = load.failures
            cls.secrets_key = cls.content(original.data, "secrets.key")
            original.kill()
        finally:
            original.close()

    @classmethod
    def wait_for_kept(cls, reader):
        """Waits until the unfinished run has written its file."""
        until = time.monotonic() + PATIENCE
        while not any(path == "output/kept.txt" for _, path in reader.files()):
            if time.monotonic() > until:
                raise AssertionError("the run did not write its file")
            time.sleep(0.05)

    @staticmethod
    def content(folder, name):
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()

    def restored(self, lose=None):
        """Starts a server from the backup. `lose` names a folder to remove from the restored data."""
        url = self.new_url()

        def restore(data):
            self.shell("restore", "files", data=data)
            self.shell("restore", self.database, data=data, url=url or "")
            if lose:
                shutil.rmtree(os.path.join(data, lose))

        server = self.server(restore, url)
        self.addCleanup(server.close)
        return server

    def test_everything_is_readable_and_work_continues(self):
        self.assertEqual(self.failures, [])
        server = self.restored()
        reader = Reader(server, self.token)
        known_messages, known_files = self.known
        # The token from before the backup is accepted, so the signing secret is restored.
        messages = reader.messages()
        for thread_id, before in known_messages.items():
            self.assertEqual(messages[thread_id], before)
        runs = reader.runs()
        self.assertGreater(len(runs), len(self.known_events) + 1, "the backup has no run of the load")
        with open(self.held, "w", encoding="utf-8"):
            pass
        for run_id in runs:
            events = reader.events(run_id)
            self.assertRegex(events[-1], r'"status":"(completed|failed|stopped)"')
            if run_id in self.known_events:
                self.assertEqual(events, self.known_events[run_id])
        self.assertIn('"status":"completed"', reader.events(self.unfinished)[-1])
        files = reader.files()
        self.assertEqual({key: files.get(key) for key in known_files}, known_files)
        self.assertIn("output/kept.txt", {path for _, path in files})
        self.assertEqual([secret["name"] for secret in reader.get("/v1/secrets")["secrets"]], ["KEY"])
        self.assertEqual(self.content(server.data, "secrets.key"), self.secrets_key)
        # The restored server does new work.
        run = server.http("POST", "/v1/agent/start", self.token, {"prompt": "bash: mkdir -p output && echo new >output/new.txt\nsay: New."})
        self.assertIn('"status":"completed"', reader.events(run["agent_run_id"])[-1])
        self.assertIn("output/new.txt", {path for _, path in reader.files()})

    def test_a_backup_without_the_workspaces_is_noticed(self):
        """A control test: the comparison above detects lost files."""
        server = self.restored(lose="workspaces")
        try:
            files = Reader(server, self.token).files()
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, 404)
        else:
            self.assertNotEqual({key: files.get(key) for key in self.known[1]}, self.known[1])


class SqliteTest(Recipe, unittest.TestCase):
    database = "sqlite"

    @classmethod
    def prepare(cls):
        """Does nothing: SQLite needs no server."""

    @staticmethod
    def url():
        return ""

    @staticmethod
    def new_url():
        return None


class PostgresTest(Recipe, unittest.TestCase):
    database = "postgres"

    @classmethod
    def prepare(cls):
        cluster = tempfile.mktemp(prefix="runyard-postgres.")
        script = os.path.join(ROOT, "scripts", "postgres.sh")
        started = subprocess.run([script, "start", cluster], check=True, capture_output=True, text=True, timeout=DEADLINE)
        cls.addClassCleanup(subprocess.run, [script, "stop", cluster], check=False)
        cls.base = started.stdout.strip()
        cls.first = cls.new_url()

    @classmethod
    def url(cls):
        return cls.first

    @classmethod
    def new_url(cls):
        name = f"d{uuid.uuid4().hex}"
        subprocess.run(["psql", "--quiet", "--command", f"CREATE DATABASE {name}", cls.base], check=True, timeout=DEADLINE)
        return cls.base.rsplit("/", 1)[0] + f"/{name}"


class PageTest(unittest.TestCase):
    def test_the_page_has_all_recipes(self):
        names = {(verb, name) for verb in ("backup", "restore") for name in ("files", "sqlite", "postgres")}
        self.assertEqual(set(recipes()), names)
