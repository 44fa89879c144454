"""A scripted model for tests in all languages: a server with OpenAI's streaming chat API that follows a script in the
prompt.

Each line of the last user message that has one of the forms below is a step; other lines are skipped. The steps of one
response form a turn. A turn ends with a tool call, with `fail` or with the last line. The number of assistant messages
after the user's message selects the turn, so the server keeps no state. After the last turn the model says `Done.`

    say: TEXT                 streams TEXT, word by word
    stream: N                 streams N chunks, "word-0 word-1 …"
    slow: N MS                streams N chunks, with MS milliseconds between the chunks
    sleep: SECONDS            pauses the stream after its first chunk
    hold: PATH                pauses the stream after its first chunk until the file PATH exists
    usage: INPUT OUTPUT       the turn reports these token counts
    bash: COMMAND             calls the tool bash
    write: PATH | CONTENT     calls the tool write
    edit: PATH | OLD | NEW    calls the tool edit
    read: PATH                calls the tool read
    call: NAME | JSON         calls the tool NAME with these arguments
    fail: STATUS              responds with this HTTP status; if the turn has already sent text, breaks the stream

After the colon, \\n means a newline.

A request for the title of a thread gets the text of the line `title: TEXT` of the first prompt. Without such a line the
title is empty, so that the thread keeps its name.
"""

import http.server
import json
import os
import sys
import threading
import time

TEXTS = ("say", "stream", "slow", "sleep", "hold", "usage")
TOOLS = {
    "bash": ("command",),
    "write": ("path", "content"),
    "edit": ("path", "old_string", "new_string"),
    "read": ("path",),
    "call": (),
}
MOST_PIECES = 100_000
LONGEST_PAUSE = 300.0


class Model:
    """The server, on a free loopback port, in its own threads."""

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def turns(prompt):
    """Parses a prompt into turns, each a list of steps (verb, argument)."""
    found, turn = [], []
    for line in prompt.splitlines():
        verb, colon, argument = line.strip().partition(":")
        argument = argument.strip().replace("\\n", "\n")
        if not colon or verb not in (*TEXTS, *TOOLS, "fail"):
            continue
        turn.append((verb, argument))
        if verb in TOOLS or verb == "fail":
            found.append(turn)
            turn = []
    return [*found, turn] if turn else found


def next_turn(messages):
    """Returns the next turn of a conversation and the number of this turn."""
    users = [position for position, message in enumerate(messages) if message.get("role") == "user"]
    if not users:
        return [("say", "Done.")], 0
    said = sum(message.get("role") == "assistant" for message in messages[users[-1] :])
    all_turns = turns(text_of(messages[users[-1]]))
    return (all_turns[said] if said < len(all_turns) else [("say", "Done.")]), said


def wants_title(messages):
    return bool(messages) and "You write titles for conversations" in text_of(messages[0])


def title_of(messages):
    """Returns the title that the first prompt of the conversation asks for."""
    prompt = json.loads(text_of(messages[-1]))["user"][0]
    titles = [line.partition(":")[2].strip() for line in prompt.splitlines() if line.strip().startswith("title:")]
    return titles[0] if titles else '""'


def text_of(message):
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers a request with the turn that its prompt describes."""

    protocol_version = "HTTP/1.1"
    # Timeout in seconds. The connection of a client that sends nothing for this time is closed.
    timeout = 600

    def log_message(self, *_):
        """Silences the log."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        messages = request.get("messages", [])
        turn, number = ([("say", title_of(messages))], 0) if wants_title(messages) else next_turn(messages)
        if turn[0][0] == "fail":
            self.refuse(int(turn[0][1]))
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            self.stream(request, turn, number)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def refuse(self, status):
        body = json.dumps({"error": {"message": f"scripted to fail with {status}", "type": "scripted"}}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, request, turn, number):
        self.pieces = 0
        self.delta({"role": "assistant", "content": ""})
        tokens = None
        reason = "stop"
        for verb, argument in turn:
            if verb == "fail":
                # Without the final chunk, the client gets a broken stream.
                self.close_connection = True
                return
            if verb == "usage":
                tokens = [int(count) for count in argument.split()]
            elif verb in TOOLS:
                self.call(verb, argument, f"call_{number}")
                reason = "tool_calls"
            else:
                self.text(verb, argument)
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        # The default usage is one token per four characters of the request, and one token per chunk of text.
        sent, made = tokens or (len(json.dumps(request["messages"])) // 4, max(self.pieces, 1))
        usage = {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}
        self.event({"choices": [], "usage": usage})
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def text(self, verb, argument):
        if verb == "say":
            if self.pieces:
                self.piece("\n")
            # Splitting before each space keeps all whitespace.
            for word in argument.replace(" ", " \0").split("\0"):
                self.piece(word)
        elif verb == "sleep":
            self.pause(float(argument))
        elif verb == "hold":
            self.pause(LONGEST_PAUSE, until_exists=argument)
        else:
            count, _, pause = argument.partition(" ")
            for position in range(min(int(count), MOST_PIECES)):
                if position and pause:
                    time.sleep(min(float(pause) / 1000, LONGEST_PAUSE))
                self.piece(f"word-{position} ")

    def pause(self, seconds, until_exists=None):
        if not self.pieces:
            self.piece("Waiting. ")
        until = time.monotonic() + min(seconds, LONGEST_PAUSE)
        while (left := until - time.monotonic()) > 0 and not (until_exists and os.path.exists(until_exists)):
            time.sleep(min(left, 0.1 if until_exists else 0.5))
            # This write raises an exception if the client has disconnected.
            self.chunk(b": still here\n\n")

    def call(self, verb, argument, call_id):
        names = TOOLS[verb]
        if verb == "call":
            verb, arguments = argument.split(" | ", 1)
        else:
            values = argument.split(" | ", len(names) - 1)
            arguments = json.dumps(dict(zip(names, values)))
        function = {"name": verb, "arguments": ""}
        self.delta({"tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": function}]})
        # Real models also send the arguments of a tool call in chunks.
        middle = len(arguments) // 2
        for part in (arguments[:middle], arguments[middle:]):
            self.delta({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})

    def piece(self, text):
        self.pieces += 1
        self.delta({"content": text})

    def delta(self, delta):
        self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

    def event(self, event):
        event = {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "scripted", **event}
        self.chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


if __name__ == "__main__":
    model = Model()
    print(json.dumps({"url": model.url}), flush=True)
    sys.stdin.read()
