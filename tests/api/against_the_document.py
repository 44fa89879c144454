"""Runs schemathesis as a super admin against a real server without plan limits. Afterwards, the server must still
be ready."""

import os
import subprocess
import sys
import tempfile
import urllib.request

from program import Server

# Checks that schemathesis applies to every response. An error response passes if the document describes it.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
]
# BUDGET is the maximum time for generated requests, PATIENCE for the whole process. Both are in seconds.
BUDGET, PATIENCE = 100, 180


def main():
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    server = Server()
    try:
        server.stop()
        server.environment["RUNYARD_LIMITS"] = "off"
        server.start()
        token = server.token("the-api-test", "--role", "super_admin")
        with tempfile.TemporaryDirectory(prefix="runyard-api-") as folder:
            command = [
                sys.argv[1], "run", f"http://{server.address}/openapi.json",
                "--header", f"Authorization: Bearer {token}",
                "--checks", ",".join(CHECKS),
                "--phases", "examples,coverage,fuzzing,stateful",
                "--max-examples", os.environ.get("RUNYARD_API_EXAMPLES", "25"),
                "--max-time", str(BUDGET),
                "--request-timeout", "20",
                "--seed", os.environ.get("RUNYARD_API_SEED", "1"),
                "--generation-database", "none",
                "--continue-on-failure",
                "--warnings", "off",
                "--workers", "2",
                "--no-color",
            ]
            code = subprocess.run(command, cwd=folder, timeout=PATIENCE, check=False).returncode
        with urllib.request.urlopen(f"http://{server.address}/readyz", timeout=5) as ready:
            assert ready.status == 200
        with open(server.log.name, encoding="utf-8", errors="replace") as log:
            text = log.read()
        if "panicked" in text:
            print(text[-4000:], file=sys.stderr)
            raise SystemExit("the server panicked")
        raise SystemExit(code)
    finally:
        server.close()


if __name__ == "__main__":
    main()
