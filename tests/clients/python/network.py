"""Real HTTP/1.1 proxies between a client and a server: nginx as a reverse proxy, tinyproxy as a forward proxy."""

import os
import pathlib

from program import DEADLINE, free_port
from proxy_process import ProxyProcess


class Process(ProxyProcess):
    """A proxy process on a free loopback port."""

    deadline = DEADLINE

    def __init__(self):
        super().__init__()
        self.port = free_port()

    @property
    def ports(self):
        return (self.port,)


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
