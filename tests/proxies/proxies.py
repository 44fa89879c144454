"""Starts nginx, HAProxy and Envoy in front of a server, with their default timeouts or with short ones.

Every proxy has two ports: `http` speaks HTTP/1.1 to clients and to the server, `grpc` speaks HTTP/2 to both.
"""

import json
import os

from program import free_port
from proxy_process import ProxyProcess

ENVOY = os.environ.get("RUNYARD_ENVOY")
# Short timeout of the proxies in seconds. It is longer than three heartbeat intervals of one second.
SHORT = 4


class Proxy(ProxyProcess):
    """A proxy process. `timeout` is the maximum silence in seconds; None keeps the proxy's defaults."""

    def __init__(self, server_port, timeout=None):
        super().__init__()
        self.server = f"127.0.0.1:{server_port}"
        self.timeout = timeout
        self.http, self.grpc = free_port(), free_port()
        self.start()

    @property
    def ports(self):
        return (self.http, self.grpc)


class Nginx(Proxy):
    def command(self, path):
        return ["nginx", "-p", self.home, "-c", path, "-e", "stderr"]

    def configuration(self):
        silence = ""
        if self.timeout:
            names = ("proxy_read_timeout", "proxy_send_timeout", "grpc_read_timeout", "grpc_send_timeout")
            silence = "".join(f"{name} {self.timeout}s; " for name in names)
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
                client_max_body_size 100m;
                {silence}{folders}
                upstream kept {{ server {self.server}; keepalive 8; }}
                server {{
                    listen 127.0.0.1:{self.http};
                    location / {{ proxy_pass http://{self.server}; }}
                    # Forwards to the same server, with upstream keep-alive and without buffering request bodies.
                    location /kept/ {{
                        proxy_pass http://kept/;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_request_buffering off;
                    }}
                }}
                server {{
                    listen 127.0.0.1:{self.grpc} http2;
                    location / {{ grpc_pass grpc://{self.server}; }}
                }}
            }}
        """


class HAProxy(Proxy):
    """HAProxy. The default timeout of 50 seconds is the one in Debian's configuration."""

    def command(self, path):
        return ["haproxy", "-db", "-f", path]

    def configuration(self):
        silence = f"{self.timeout}s" if self.timeout else "50s"
        return f"""
defaults
    mode http
    timeout connect 5s
    timeout client {silence}
    timeout server {silence}
frontend http
    bind 127.0.0.1:{self.http}
    default_backend http
frontend grpc
    bind 127.0.0.1:{self.grpc} proto h2
    default_backend grpc
backend http
    http-request replace-path /kept(/.*) \\1
    server runyard {self.server}
backend grpc
    server runyard {self.server} proto h2
"""


class Envoy(Proxy):
    """Envoy. By default, a route ends every response after 15 seconds, even a stream, so the route timeout is
    always off (0s)."""

    def command(self, path):
        return [ENVOY, "-c", path, "--log-level", "error", "--use-dynamic-base-id", "--concurrency", "1"]

    def configuration(self):
        host, port = self.server.split(":")

        def listener(name, port):
            route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}
            kept = {"match": {"prefix": "/kept/"}, "route": {**route["route"], "prefix_rewrite": "/"}}
            manager = {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
                ".HttpConnectionManager",
                "stat_prefix": name,
                "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [kept, route]}]},
                "http_filters": [
                    {
                        "name": "router",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                        },
                    }
                ],
            }
            if self.timeout:
                manager["stream_idle_timeout"] = f"{self.timeout}s"
            return {
                "name": name,
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }

        def cluster(name, protocol):
            options = {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {protocol: {}},
            }
            address = {"socket_address": {"address": host, "port_value": int(port)}}
            return {
                "name": name,
                "type": "STATIC",
                "load_assignment": {
                    "cluster_name": name,
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
                },
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
                },
            }

        return json.dumps(
            {
                "static_resources": {
                    "listeners": [listener("http", self.http), listener("grpc", self.grpc)],
                    "clusters": [cluster("http", "http_protocol_options"), cluster("grpc", "http2_protocol_options")],
                }
            }
        )
