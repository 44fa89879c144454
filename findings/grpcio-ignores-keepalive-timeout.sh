#!/usr/bin/env bash
# In grpcio 1.85.1, `grpc.keepalive_timeout_ms` has no effect in a client: an unanswered ping ends the connection after
# `grpc.http2.ping_timeout_ms`, 60 seconds by default. This holds for the pings of the keepalive timer and for those that the library
# sends after it has received data, to measure the bandwidth. A client with keepalive set to a few seconds notices a dead connection
# after a minute. Set both timeouts. The C++ and Ruby libraries of version 1.51, with the same core, need only keepalive_timeout_ms.
#
# Observed with keepalive_time_ms 2000 and keepalive_timeout_ms 2000: UNAVAILABLE 60 seconds after the unanswered ping, also without
# bandwidth pings; 2 seconds after it with ping_timeout_ms 2000.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.1
cat >shows.py <<'PYTHON'
import concurrent.futures, socket, struct, threading, time
import grpc

DATA, HEADERS, SETTINGS, PING, ACK = 0, 1, 4, 6, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Server:
    """Answers a stream with one empty message. From the first ping on, it is silent, like a connection that was lost."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.silent_since = None
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection.makefile("rb") as incoming:
            incoming.read(24)
            connection.sendall(frame(SETTINGS, 0, 0))
            while head := incoming.read(9):
                length = int.from_bytes(head[:3], "big")
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                incoming.read(length)
                if kind == PING and self.silent_since is None:
                    self.silent_since = time.monotonic()
                elif self.silent_since is None and kind == SETTINGS and not flags & ACK:
                    connection.sendall(frame(SETTINGS, ACK, 0))
                elif self.silent_since is None and kind == HEADERS:
                    # :status 200, content-type application/grpc, and an empty message
                    connection.sendall(frame(HEADERS, 4, stream, b"\x88\x5f\x10application/grpc") + frame(DATA, 0, stream, bytes(5)))


def noticed_after(*options):
    server = Server()
    options = (("grpc.keepalive_time_ms", 2000), ("grpc.keepalive_timeout_ms", 2000), *options)
    with grpc.insecure_channel(f"127.0.0.1:{server.listener.getsockname()[1]}", options) as channel:
        try:
            list(channel.unary_stream("/example.Service/Watch")(b"", timeout=100))
        except grpc.RpcError as error:
            return f"{error.code().name} after {time.monotonic() - server.silent_since:.0f} s"


CASES = [(), (("grpc.http2.bdp_probe", 0),), (("grpc.http2.ping_timeout_ms", 2000),)]
with concurrent.futures.ThreadPoolExecutor() as threads:
    print(", ".join(threads.map(lambda options: noticed_after(*options), CASES)))
PYTHON
seen=$(venv/bin/python shows.py)
echo "$seen"
expected='UNAVAILABLE after 60 s, UNAVAILABLE after 60 s, UNAVAILABLE after 2 s'
if [ "$seen" != "$expected" ]; then
    echo "changed: expected $expected" >&2
    exit 1
fi
