"""TorchScript archives written by hand: the zip, the pickle of modules and the traced code, without torch."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Node:
    """A module: its class in ``code`` and what it holds (arrays, numbers, other nodes)."""

    module: str
    name: str
    attributes: Mapping[str, object] = field(default_factory=dict)


def write_archive(path: Path, root: Node, code: Mapping[str, str]) -> Path:
    """Write the archive; ``code``: dotted module name -> text of its classes."""
    writer = _Pickle()
    writer.node(root)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + writer.text + b".")
        for number, values in enumerate(writer.storages):
            archive.writestr(f"net/data/{number}", values)
        for module, text in code.items():
            archive.writestr(f"net/code/{module.replace('.', '/')}.py", text)
    return path


class _Pickle:
    """Opcodes as torch.jit.save writes them (protocol 2), byte by byte: its classes exist in no interpreter."""

    def __init__(self) -> None:
        self.text = b""
        self.storages: list[bytes] = []

    def node(self, node: Node) -> None:
        self.text += f"c{node.module}\n{node.name}\n".encode() + b")\x81}("
        for name, value in node.attributes.items():
            self._value(name)
            self._value(value)
        self.text += b"ub"

    def _value(self, value: object) -> None:
        if isinstance(value, Node):
            self.node(value)
        elif isinstance(value, np.ndarray):
            self._tensor(value)
        else:
            self.text += pickle.dumps(value, 2)[2:-1]

    def _tensor(self, values: npt.NDArray[np.float32]) -> None:
        key = str(len(self.storages))
        self.storages.append(values.astype("<f4").tobytes())
        strides = tuple(int(step // values.itemsize) for step in values.strides)
        self.text += b"ctorch._utils\n_rebuild_tensor_v2\n((" + self._text("storage") + b"ctorch\nFloatStorage\n"
        self.text += self._text(key) + self._text("cpu") + self._number(values.size) + b"tQ" + self._number(0)
        self.text += self._numbers(values.shape) + self._numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR"

    @staticmethod
    def _text(text: str) -> bytes:
        return b"X" + struct.pack("<I", len(text)) + text.encode()

    @staticmethod
    def _number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def _numbers(self, values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(self._number(value) for value in values) + b"t"
