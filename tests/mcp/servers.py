"""Starts MCP servers of other projects as processes, for mcp_test.py."""

import os
import subprocess
import sys
import tempfile

from program import DEADLINE, free_port, wait_for_port

NODE = os.environ["RUNYARD_MCP_NODE"]
EVERYTHING = os.path.join(
    os.environ["RUNYARD_MCP"], "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
)

FASTMCP = """
import asyncio, sys
from fastmcp import Context, FastMCP

server = FastMCP("numbers")

@server.tool
def add(a: int, b: int) -> int:
    "Adds two numbers."
    return a + b

@server.tool
async def steps(context: Context) -> str:
    "Reports progress."
    await context.report_progress(1, 2, "half")
    await asyncio.sleep(0.5)
    return "all steps"

@server.tool
def broken() -> str:
    "Fails."
    raise ValueError("out of order")

@server.tool
def nothing() -> None:
    "Returns nothing."

server.run(transport=sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]))
"""


class Process:
    """A server process that listens on a free port."""

    def __init__(self, command, port, environment=None):
        self.log = tempfile.TemporaryFile()
        environment = {"PATH": os.environ["PATH"], "PORT": str(port), **(environment or {})}
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        wait_for_port(self.process, port, DEADLINE, self.said)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def fastmcp(transport):
    """Returns a server of the Python library, and its URL. The transport is "http" or "sse"."""
    port = free_port()
    path = "mcp" if transport == "http" else "sse"
    process = Process([sys.executable, "-c", FASTMCP, transport, str(port)], port)
    return process, f"http://127.0.0.1:{port}/{path}"


def everything(transport):
    """Returns the reference server of the TypeScript library, and its URL. The transport is "streamableHttp" or "sse"."""
    port = free_port()
    path = "mcp" if transport == "streamableHttp" else "sse"
    return Process([NODE, EVERYTHING, transport], port), f"http://127.0.0.1:{port}/{path}"
