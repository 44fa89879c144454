"""Compiles generated Java code, and a program that uses it. The libraries come from Debian.

`java.py GENERATED PROGRAM` prints the class path of the compiled program. Classes are cached by a hash of the sources,
because compiling is slow.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

JARS = pathlib.Path("/usr/share/java")
NEEDED = (
    "error_prone_annotations", "geronimo-annotation-1.3-spec", "grpc-api", "grpc-context", "grpc-core", "grpc-netty", "grpc-protobuf", "grpc-protobuf-lite",
    "grpc-stub", "guava", "netty-buffer", "netty-codec", "netty-codec-http", "netty-codec-http2", "netty-common",
    "netty-handler", "netty-handler-proxy", "netty-resolver", "netty-transport", "netty-transport-native-unix-common",
    "opencensus-api", "perfmark-api", "protobuf",
)


def compile_program(generated, program):
    """Compiles a program together with the generated code and returns the class path."""
    path = ":".join(str(JARS / f"{name}.jar") for name in NEEDED)
    for jar in path.split(":"):
        if not os.path.exists(jar):
            raise FileNotFoundError(f"{jar} is missing")
    sources = [*sorted(pathlib.Path(generated).rglob("*.java")), pathlib.Path(program)]
    wanted = hashlib.sha256(path.encode())
    for source in sources:
        wanted.update(source.read_bytes())
    name = f"java-{pathlib.Path(program).stem}"
    classes = pathlib.Path(os.environ["RUNYARD_CLIENTS"]) / f"{name}-{wanted.hexdigest()[:16]}"
    if not classes.exists():
        for old in classes.parent.glob(f"{name}-*"):
            shutil.rmtree(old)
        part = classes.with_name(f"part-of-{name}")
        shutil.rmtree(part, ignore_errors=True)
        command = ["javac", "-nowarn", "-proc:none", "-Xlint:none", "-d", part, "-cp", path, *sources]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-4000:])
        part.rename(classes)
    return f"{classes}:{path}"


if __name__ == "__main__":
    print(compile_program(*sys.argv[1:]))
