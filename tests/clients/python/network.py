"""Real HTTP/1.1 proxies between a client and a server: nginx as a reverse proxy, tinyproxy as a forward proxy."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from program import DEADLINE, free_port


class Process:
    """A proxy process on a free loopback port, which can be killed and started again."""

    def __init__(self):
        self.port = free_port()
        self.home = tempfile.mkdtemp(prefix="runyard-network-")
        # The workers of nginx run without root privileges and must be able to enter this folder.
        os.chmod(self.home, 0o755)
        self.log = open(os.path.join(self.home, "log"), "wb")
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self):
        path = os.path.join(self.home, "configuration")
        pathlib.Path(path).write_text(self.configuration(), encoding="utf-8")
        self.process = subprocess.Popen(self.command(path), stdout=self.log, stderr=self.log)
        until = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{type(self).__name__} does not start: {self.said()}") from None
                time.sleep(0.05)

    def kill(self):
        """Ends the process and all of its connections."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE)

    def said(self):
        return pathlib.Path(self.log.name).read_text(encoding="utf-8", errors="replace")


class Reverse(Process):
    """nginx in front of a server. It speaks only HTTP/1.1 and adds a path prefix; with a certificate, it speaks TLS."""

    def __init__(self, server, prefix="", certificate=None):
        super().__init__()
        self.server = server
        self.prefix = prefix
        self.certificate = certificate
        self.url = f"{'https' if certificate else 'http'}://localhost:{self.port}{prefix}"

    def command(self, path):
        return ["nginx", "-p", self.home, "-c", path, "-e", "stderr"]

    def configuration(self):
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{name}_temp_path {self.home}/{name}; " for name in names)
        tls = "ssl" if self.certificate else ""
        keys = "ssl_certificate {0}; ssl_certificate_key {1};".format(*self.certificate) if self.certificate else ""
        return f"""
            daemon off;
            # A terminated nginx closes its connections at once.
            master_process off;
            pid {self.home}/pid;
            error_log stderr;
            events {{}}
            http {{
                log_format headers '$request_method $uri $http_x_team $server_protocol';
                access_log {self.home}/access headers;
                client_max_body_size 100m;
                {folders}
                server {{
                    listen 127.0.0.1:{self.port} {tls};
                    {keys}
                    location {self.prefix}/ {{
                        proxy_pass http://{self.server.address}/;
                        proxy_http_version 1.1;
                    }}
                }}
            }}
        """

    def requests(self):
        return pathlib.Path(self.home, "access").read_text(encoding="utf-8").splitlines()


class Forward(Process):
    """tinyproxy: forwards HTTP/1.1 requests, and tunnels connections with CONNECT. It asks for a name and a password."""

    def __init__(self):
        super().__init__()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://me:word@{self.address}"

    def command(self, path):
        return ["tinyproxy", "-d", "-c", path]

    def configuration(self):
        return f"""
Port {self.port}
Listen 127.0.0.1
Timeout 600
MaxClients 100
BasicAuth me word
LogLevel Connect
"""
