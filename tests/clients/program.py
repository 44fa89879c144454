"""Starts a real server for a test, in a temporary data folder, and stops it.

Python tests use `Server` directly. Tests in other languages use it through `serve.py`. The server uses the given
`Model` or, without a `Model`, the built-in demo model.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid

PROGRAM = os.environ["RUNYARD_BIN"]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CSV = os.path.join(ROOT, "examples", "data.csv")
# Timeout in seconds for each request, command, start and stop. It is long enough for a busy machine.
DEADLINE = 180


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for_port(process, port, deadline, said):
    """Waits up to `deadline` seconds until `process` listens on a loopback port. `said` returns what it has logged."""
    until = time.monotonic() + deadline
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{process.args[0]} does not start:\n{said()[-4000:]}") from None
            time.sleep(0.05)


class Server:
    def __init__(self, model=None, environment=None, configuration=None):
        self.data = tempfile.mkdtemp(prefix="runyard-clients-")
        # A server that runs as root runs commands as other users. These users must be able to reach their folders,
        # which are inside this folder.
        os.chmod(self.data, 0o755)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        # The server gets only these variables and not the environment of the test.
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "RUNYARD_DATA_DIR": self.data,
            "RUNYARD_LISTEN": self.address,
            **(environment or {}),
        }
        if model:
            self.environment["RUNYARD_OPENAI_BASE_URL"] = model.url
            self.environment["RUNYARD_OPENAI_API_KEY"] = "an-unchecked-key"
            self.environment["RUNYARD_OPENAI_MODEL"] = "scripted"
        if configuration:
            path = os.path.join(self.data, "configuration.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(configuration)
            self.environment["RUNYARD_CONFIG"] = path
        self.log = open(os.path.join(self.data, "server.log"), "wb")
        self.process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        self.process = subprocess.Popen([PROGRAM, "serve"], env=self.environment, stdout=self.log, stderr=self.log)
        until = time.monotonic() + DEADLINE
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.address}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if self.process.poll() is not None or time.monotonic() > until:
                    with open(self.log.name, encoding="utf-8", errors="replace") as log:
                        raise RuntimeError("the server does not start:\n" + log.read()[-4000:]) from None
                time.sleep(0.05)

    @property
    def url(self):
        return f"http://{self.address}"

    def kill(self):
        """Kills the server, to simulate a crash."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Stops the server with SIGTERM and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=DEADLINE)

    def close(self):
        try:
            self.stop()
        finally:
            self.log.close()
            shutil.rmtree(self.data, ignore_errors=True)

    def token(self, subject=None, *options):
        command = [PROGRAM, "token", "--sub", subject or str(uuid.uuid4()), *options]
        made = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def caller(self, tier=None):
        """Returns the token of a new account, in the given tier or in the default tier."""
        subject = str(uuid.uuid4())
        if tier:
            self.set_tier(subject, tier)
        return self.token(subject)

    def http(self, method, path, token, body=None):
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("authorization", f"Bearer {token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return json.load(answer)

    def account(self, subject):
        """Returns the id of a subject's account. If the account does not exist, this request creates it."""
        return self.http("GET", "/v1/billing/account-state", self.token(subject))["account_id"]

    def set_tier(self, subject, tier):
        path = f"/v1/admin/accounts/{self.account(subject)}/tier"
        self.http("PUT", path, self.token(None, "--role", "super_admin"), {"tier_name": tier})

    def grant(self, subject, credits):
        path = f"/v1/admin/accounts/{self.account(subject)}/credits"
        self.http("POST", path, self.token(None, "--role", "super_admin"), {"credits": credits})

    def call(self, *arguments, token=None):
        """Runs the command-line client against this server, by default with a new account."""
        return self.call_local(*arguments, RUNYARD_SERVER=self.url, RUNYARD_TOKEN=token or self.token())

    def call_local(self, *arguments, **variables):
        """Runs the command-line client with access to the server's data folder and without a token."""
        environment = {**self.environment, **variables}
        return subprocess.run(
            [PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
        )

    def lines(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return log.readlines()
