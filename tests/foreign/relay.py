"""A TCP relay between a client and the server. The scenario uses it to break connections.

`cut` closes the open connections, like a proxy that restarts. `freeze` keeps the open connections but drops all their
bytes, like a network that has lost a route. After either, new connections still work.
"""

import contextlib
import socket
import threading


class Relay:
    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.links = set()
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def accept(self):
        # `close` closes the listener. accept() then fails, which ends this loop.
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                link = Link(client, socket.create_connection(("127.0.0.1", self.target)))
                with self.lock:
                    self.links.add(link)
                link.start()

    def taken(self):
        """Returns the open connections and forgets them."""
        with self.lock:
            links, self.links = self.links, set()
        return links

    def cut(self):
        links = self.taken()
        for link in links:
            link.close()
        return links

    def freeze(self):
        """The caller must close the returned connections."""
        links = self.taken()
        for link in links:
            link.is_frozen = True
        return links

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()


class Link:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.is_frozen = False

    def start(self):
        for source, sink in ((self.client, self.server), (self.server, self.client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.is_frozen:
                    sink.sendall(data)
        if not self.is_frozen:
            self.close()

    def close(self):
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
