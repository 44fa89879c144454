"""Runs a bundled script in headless Chromium and prints the lines that the script reports.

browser.py SCRIPT [VARIANT]. The page gets the RUNYARD_ variables of the environment as `window.RUNYARD`. The script posts
each line to /say, and posts to /end when it has ended. PAGE_PORT is the port of the page. As in a real web application, the
origin of the page differs from the origin of the Runyard server, which must permit it.
"""

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

PAGE = """<!doctype html><meta charset="utf-8"><title>A foreign client</title>
<script>window.RUNYARD = SETTINGS;</script><script type="module" src="/script.js"></script>"""


class Page(http.server.BaseHTTPRequestHandler):
    """Serves the page and its script. Prints the lines that the script posts."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Silences the log."""

    def reply(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/script.js":
            with open(sys.argv[1], "rb") as script:
                self.reply(script.read(), "text/javascript")
        elif self.path == "/":
            settings = {name: value for name, value in os.environ.items() if name.startswith("RUNYARD_")}
            settings["VARIANT"] = sys.argv[2] if len(sys.argv) > 2 else ""
            self.reply(PAGE.replace("SETTINGS", json.dumps(settings)).encode(), "text/html")
        else:
            self.reply(b"", "text/plain")

    def do_POST(self):
        said = self.rfile.read(int(self.headers["content-length"])).decode()
        self.reply(b"", "text/plain")
        if self.path == "/say":
            print(said, flush=True)
        else:
            self.server.ended.set()


def main():
    # SIGTERM raises SystemExit, so that the program stops Chromium before it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PAGE_PORT"])), Page)
    server.daemon_threads = True
    server.ended = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = tempfile.mkdtemp(prefix="runyard-chromium-")
    command = [
        os.environ.get("RUNYARD_CHROMIUM", "/usr/bin/chromium"), "--headless=new", "--no-sandbox", "--disable-gpu",
        "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/",
    ]
    chromium = subprocess.Popen(command, stdout=sys.stderr, stderr=subprocess.STDOUT)
    try:
        while not server.ended.wait(0.5):
            if chromium.poll() is not None:
                sys.exit(f"Chromium ended with {chromium.returncode}")
    finally:
        chromium.terminate()
        chromium.wait()
        shutil.rmtree(profile, ignore_errors=True)


if __name__ == "__main__":
    main()
