"""The protobuf messages of the API, in a descriptor pool of their own.

A program may also import stubs that it generated from the public .proto files. Both would register the same names in
protobuf's default pool, which fails if their versions differ.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from runyard._proto._descriptors import ENCODED


def _filled() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    # The files are in the order of their imports.
    for file in descriptor_pb2.FileDescriptorSet.FromString(ENCODED).file:
        pool.AddSerializedFile(file.SerializeToString())  # type: ignore[no-untyped-call, unused-ignore]
    return pool


POOL = _filled()


def publish(name: str, module: dict[str, Any]) -> None:
    """Adds the messages and enums of a .proto file to the globals of a module."""
    file: Any = POOL.FindFileByName(name)  # type: ignore[no-untyped-call, unused-ignore]
    module["DESCRIPTOR"] = file
    for message in file.message_types_by_name.values():
        module[message.name] = message_factory.GetMessageClass(message)
    for enum in file.enum_types_by_name.values():
        module[enum.name] = EnumTypeWrapper(enum)
        module.update({value.name: value.number for value in enum.values})
