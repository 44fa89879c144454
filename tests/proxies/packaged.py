"""Starts nginx, HAProxy and Caddy with the configurations in packaging/, with the ports and certificates of a test."""

import os
import re

from program import ROOT, free_port
from proxies import Proxy

TLS = os.path.join(ROOT, "tests", "it", "client", "tls")
AUTHORITY = os.path.join(TLS, "authority.pem")


def packaged(path, changes):
    """Reads a file of packaging/ and applies the changes, a list of regular expression and replacement. Each must match."""
    with open(os.path.join(ROOT, "packaging", path), encoding="utf-8") as file:
        text = file.read()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, lambda _: replacement, text, flags=re.MULTILINE)  # noqa: B023
        if not count:
            raise AssertionError(f"packaging/{path} does not contain {pattern}")
    return text


class Packaged(Proxy):
    """A proxy with one TLS port for all protocols, at `https`."""

    program = None

    def __init__(self, server_port):
        self.https, self.plain = free_port(), free_port()
        super().__init__(server_port)

    @property
    def ports(self):
        return (self.https, self.plain)

    @property
    def url(self):
        return f"https://localhost:{self.https}"


class PackagedNginx(Packaged):
    program = "nginx"

    def command(self, path):
        return ["nginx", "-p", self.home, "-c", path, "-e", "stderr"]

    def configuration(self):
        site = packaged(
            "nginx/runyard.conf",
            [
                (r"127\.0\.0\.1:8080", self.server),
                (r"^ *listen \[::\].*\n", ""),
                (r"listen 80;", f"listen 127.0.0.1:{self.plain};"),
                (r"listen 443 ssl", f"listen 127.0.0.1:{self.https} ssl"),
                (r"server_name runyard\.example\.com;", "server_name localhost;"),
                (r"/etc/letsencrypt/live/runyard\.example\.com/fullchain\.pem", f"{TLS}/server.pem"),
                (r"/etc/letsencrypt/live/runyard\.example\.com/privkey\.pem", f"{TLS}/server.key"),
            ],
        )
        folders = "".join(
            f"{name}_temp_path {self.home}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return f"""
            daemon off;
            pid {self.home}/pid;
            error_log stderr;
            events {{}}
            http {{
                access_log off;
                {folders}
                {site}
            }}
        """


class PackagedHAProxy(Packaged):
    program = "haproxy"

    def command(self, path):
        return ["haproxy", "-db", "-f", path]

    def configuration(self):
        certificate = os.path.join(self.home, "certificate.pem")
        with open(certificate, "w", encoding="utf-8") as pair:
            for name in ("server.pem", "server.key"):
                with open(os.path.join(TLS, name), encoding="utf-8") as part:
                    pair.write(part.read())
        return packaged(
            "haproxy/haproxy.cfg",
            [
                (r"127\.0\.0\.1:8080", self.server),
                # The test may run without root and without a syslog.
                (r"^    (user|group) haproxy\n", ""),
                (r"^    log /dev/log local0\n", ""),
                (r"bind :80$", f"bind 127.0.0.1:{self.plain}"),
                (r"bind :443", f"bind 127.0.0.1:{self.https}"),
                (r"/etc/haproxy/runyard\.example\.com\.pem", certificate),
            ],
        )


class PackagedCaddy(Packaged):
    program = "caddy"

    def command(self, path):
        return ["env", f"HOME={self.home}", f"XDG_DATA_HOME={self.home}", "caddy", "run", "--adapter", "caddyfile", "--config", path]

    def configuration(self):
        site = packaged(
            "caddy/Caddyfile",
            [
                (r"127\.0\.0\.1:8080", self.server),
                (
                    r"^runyard\.example\.com \{$",
                    f"https://localhost:{self.https} {{\n\ttls {TLS}/server.pem {TLS}/server.key",
                ),
            ],
        )
        return f"{{\n\tadmin off\n\thttp_port {self.plain}\n}}\n{site}"
