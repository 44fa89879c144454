"""Generates the Python code of the protobuf messages in runyard/_proto. Runs as a build hook, or as a script.

The code is in a private package, so that it does not clash with other stubs of the same API.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent


def generate() -> None:
    import grpc_tools
    from grpc_tools import protoc

    # In a source distribution, the folder proto is beside this file. In the repository, it is two folders above.
    contract = next(folder for folder in (HERE / "proto", HERE.parent.parent / "proto") if folder.is_dir())
    target = HERE / "src" / "runyard" / "_proto"
    with tempfile.TemporaryDirectory() as made:
        files = sorted(str(path.relative_to(contract)) for path in contract.glob("runyard/v1/*.proto"))
        own = Path(grpc_tools.__file__).parent / "_proto"
        code = protoc.main(
            [
                "protoc",
                f"--proto_path={contract}",
                f"--proto_path={own}",
                f"--python_out={made}",
                f"--pyi_out={made}",
                *files,
            ]
        )
        if code != 0:
            raise RuntimeError(f"protoc failed with {code}")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "__init__.py").write_text('"""Generated from the .proto files; private."""\n')
        for path in sorted(Path(made).rglob("*_pb2.py*")):
            text = re.sub(
                r"^from runyard\.v1 import", "from runyard._proto import", path.read_text(), flags=re.MULTILINE
            )
            (target / path.name).write_text(text)


class BuildStubs(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - signature of the hook
        if self.target_name == "wheel":
            generate()


if __name__ == "__main__":
    generate()
