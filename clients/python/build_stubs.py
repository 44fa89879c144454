"""Generates the messages of the contract into runyard/_proto: a build hook, and a script for work on the source.

They live in a private package, so that they do not clash with stubs that somebody else has made of the same contract.
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

    # In a source distribution the contract lies beside this file, in the repository two folders up.
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
        (target / "__init__.py").write_text('"""Generated from the contract; the names in here are not for use."""\n')
        for path in sorted(Path(made).rglob("*_pb2.py*")):
            text = re.sub(
                r"^from runyard\.v1 import", "from runyard._proto import", path.read_text(), flags=re.MULTILINE
            )
            (target / path.name).write_text(text)


class BuildStubs(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's own signature
        if self.target_name == "wheel":
            generate()


if __name__ == "__main__":
    generate()
