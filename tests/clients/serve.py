"""Starts a real server with the scripted model, for tests in languages other than Python.

First, this program prints one line of JSON, {"url": …, "data": …, "pid": …}. Then it reads commands from standard
input, one JSON object per line, and prints one JSON object per command. If a command fails, the object is
{"error": …}. The commands are:

    {"do": "token", "sub": …, "role": …, "tier": …}   → {"token": …, "sub": …}   sub, role and tier are optional
    {"do": "credits", "sub": …, "credits": N}         → {}            grants credits
    {"do": "kill"}                                    → {}            kills the server, to simulate a crash
    {"do": "stop"}                                    → {"code": …}   stops the server with SIGTERM
    {"do": "start"}                                   → {"pid": …}    restarts the server with the same port and data

At the end of the input, this program stops the server and removes the data folder. `RUNYARD_BIN` is the path of the
server program. Arguments NAME=VALUE set environment variables of the server. With `--demo`, the server uses the
built-in demo model instead of the scripted model.
"""

import json
import signal
import sys
import uuid

from model import Model
from program import Server


def answer(server, command):
    match command.get("do"):
        case "token":
            subject = command.get("sub") or str(uuid.uuid4())
            if command.get("tier"):
                server.set_tier(subject, command["tier"])
            role = ("--role", command["role"]) if command.get("role") else ()
            return {"token": server.token(subject, *role), "sub": subject}
        case "credits":
            server.grant(command["sub"], command["credits"])
            return {}
        case "kill":
            server.kill()
            return {}
        case "stop":
            return {"code": server.stop()}
        case "start":
            server.start()
            return {"pid": server.process.pid}
        case other:
            raise ValueError(f"unknown command: {other}")


def say(line):
    print(json.dumps(line), flush=True)


def main():
    # SIGTERM raises SystemExit, so that the program stops the server and the model before it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    environment = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    model = None if "--demo" in sys.argv[1:] else Model()
    server = Server(model, environment)
    try:
        say({"url": server.url, "data": server.data, "pid": server.process.pid})
        for line in sys.stdin:
            try:
                say(answer(server, json.loads(line)))
            except Exception as error:  # noqa: BLE001 - every error is reported to the test
                say({"error": f"{type(error).__name__}: {error}"})
    finally:
        server.close()
        if model:
            model.close()


if __name__ == "__main__":
    main()
