"""Starts a proxy for a test, in a folder that is removed afterwards."""

import os
import shutil
import subprocess
import tempfile

from program import wait_for_port


class ProxyProcess:
    """A proxy process, which can be killed and started again.

    Subclasses have `ports`, the loopback ports on which the proxy listens, `configuration()`, the text of its file, and
    `command(path)`, which starts it with this file.
    """

    # Timeout of a start in seconds.
    deadline = 60

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="runyard-proxy-")
        # nginx workers run without root privileges and must be able to enter this folder.
        os.chmod(self.home, 0o755)
        self.log = open(os.path.join(self.home, "log"), "wb")
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        try:
            self.launch()
        except BaseException:
            self.close()
            raise

    def launch(self):
        path = os.path.join(self.home, "configuration")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        self.process = subprocess.Popen(self.command(path), stdout=self.log, stderr=self.log)
        for port in self.ports:
            wait_for_port(self.process, port, self.deadline, self.said)

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        """Ends the process and all of its connections."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self):
        self.kill()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)
