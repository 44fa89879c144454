"""The real program with the scripted model, for tests in languages other than Python.

It prints one line of JSON, {"url": …, "data": …, "pid": …}, and then answers each command, one JSON a line on its
standard input, with one JSON a line; {"error": …} when a command fails:

    {"do": "token", "sub": …, "role": …, "tier": …}   → {"token": …, "sub": …}   (all three may be left out)
    {"do": "credits", "sub": …, "credits": N}         → {}    grants credits
    {"do": "kill"}                                    → {}    as a crash would
    {"do": "stop"}                                    → {"code": …}   as an operator would
    {"do": "start"}                                   → {"pid": …}    again, on the same port and data

When its input ends it stops everything and removes the data folder. `RUNYARD_BIN` names the program. Arguments NAME=VALUE
are set in its environment; with `--demo` the built-in demo takes the scripted model's place.
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
    # Asked to end, it leaves through the same door as at the end of its input.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    environment = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    model = None if "--demo" in sys.argv[1:] else Model()
    server = Server(model, environment)
    try:
        say({"url": server.url, "data": server.data, "pid": server.process.pid})
        for line in sys.stdin:
            try:
                say(answer(server, json.loads(line)))
            except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
                say({"error": f"{type(error).__name__}: {error}"})
    finally:
        server.close()
        if model:
            model.close()


if __name__ == "__main__":
    main()
