"""Reads modules, tensors and code of a TorchScript archive without torch, and executes none of it.

The archive is a zip: ``data.pkl`` (the tree of modules), ``data/N`` (raw tensor storages) and
``code/**.py`` (the traced program as text). A pickle can create objects of any class; this reader
allows four names and refuses all others.
"""

from __future__ import annotations

import ast
import io
import math
import pickle  # its Unpickler is restricted below
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[np.float32]


class ArchiveFault(ValueError):
    """The file is not a TorchScript archive, or has content that this reader does not support."""


class Module:
    """One module of the archive. kind: its class in the code. attributes: its tensors, values and children."""

    kind = ""

    def __setstate__(self, state: Mapping[str, object]) -> None:
        self.attributes = dict(state)


@dataclass(frozen=True, slots=True)
class Program:
    """A module tree and the code of its classes: class name -> method name -> syntax tree."""

    root: Module
    code: Mapping[str, Mapping[str, ast.FunctionDef]]


def read_program(path: Path) -> Program:
    """Return the program in a TorchScript archive.

    Raises ArchiveFault.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            folder = archive.namelist()[0].split("/")[0]
            root = _Unpickler(archive, folder).load()
            return Program(root, dict(_classes(archive, folder)))
    except (zipfile.BadZipFile, KeyError, IndexError, pickle.UnpicklingError, SyntaxError) as fault:
        raise ArchiveFault(f"{path.name} cannot be read as a TorchScript archive: {fault}") from fault


class _Storage:
    """Stands for torch.FloatStorage: little-endian 32-bit floats."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        self._archive = archive
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return type(name, (Module,), {"kind": f"{module}.{name}"})
        classes = {
            ("torch", "FloatStorage"): _Storage,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) not in classes:
            raise ArchiveFault(f"the archive asks for {module}.{name}, which is not allowed")
        return classes[module, name]

    def persistent_load(self, identity: Any) -> Tensor:
        _, kind, key, _, count = identity
        if kind is not _Storage:
            raise ArchiveFault("the archive has tensors that are not 32-bit floats")
        values = np.frombuffer(self._archive.read(f"{self._folder}/data/{key}"), dtype="<f4")
        if len(values) != count:
            raise ArchiveFault(f"tensor storage {key} has {len(values)} values instead of {count}")
        return values


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    """Return the tensor; the other arguments (gradient, hooks) are ignored."""
    dense = tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
    if stride != dense:
        raise ArchiveFault(f"a tensor of size {size} has strides {stride} instead of {dense}")
    return storage[offset : offset + math.prod(size)].reshape(size)


def _classes(archive: zipfile.ZipFile, folder: str) -> Any:
    prefix = f"{folder}/code/"
    for name in archive.namelist():
        if not (name.startswith(prefix) and name.endswith(".py")):
            continue
        module = name.removeprefix(prefix).removesuffix(".py").replace("/", ".")
        for node in ast.parse(archive.read(name)).body:
            if isinstance(node, ast.ClassDef):
                methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
                yield f"{module}.{node.name}", methods
