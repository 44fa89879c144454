"""Generates the protobuf messages in runyard/_proto. Runs as a build hook, or as a script.

The package contains the encoded descriptors, and one small module per .proto file. `runyard/_pool.py` creates the
messages when they are imported.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
# Files of Google whose messages the client uses.
GOOGLE = ("google/api/httpbody.proto", "google/rpc/error_details.proto", "google/rpc/status.proto")

MODULE = '''"""Generated from {name}; private."""

from runyard._pool import publish

publish("{name}", globals())
'''
DATA = '''"""Generated from the .proto files; private."""

ENCODED = {data!r}
'''


def generate() -> None:
    import grpc_tools
    from grpc_tools import protoc

    # In a source distribution, the folder proto is beside this file. In the repository, it is two folders above.
    contract = next(folder for folder in (HERE / "proto", HERE.parent.parent / "proto") if folder.is_dir())
    target = HERE / "src" / "runyard" / "_proto"
    names = [*sorted(str(path.relative_to(contract)) for path in contract.glob("runyard/v1/*.proto")), *GOOGLE]
    with tempfile.TemporaryDirectory() as made:
        own = Path(grpc_tools.__file__).parent / "_proto"
        code = protoc.main(
            [
                "protoc",
                f"--proto_path={contract}",
                f"--proto_path={own}",
                f"--descriptor_set_out={made}/descriptors",
                "--include_imports",
                f"--pyi_out={made}",
                *names,
            ]
        )
        if code != 0:
            raise RuntimeError(f"protoc failed with {code}")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "__init__.py").write_text('"""Generated from the .proto files; private."""\n')
        (target / "_descriptors.py").write_text(DATA.format(data=Path(made, "descriptors").read_bytes()))
        for name in names:
            module = Path(name).stem + "_pb2"
            (target / f"{module}.py").write_text(MODULE.format(name=name))
            hints = Path(made, name).with_name(f"{module}.pyi").read_text()
            # The options of methods and fields need no type hints.
            hints = re.sub(r"^from google\.(api|rpc) import .*\n", "", hints, flags=re.MULTILINE)
            hints = re.sub(r"^from runyard\.v1 import", "from runyard._proto import", hints, flags=re.MULTILINE)
            (target / f"{module}.pyi").write_text(hints)


class BuildStubs(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - signature of the hook
        if self.target_name == "wheel":
            generate()


if __name__ == "__main__":
    generate()
