"""Tiny ONNX networks whose answer is known, and their model.toml."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from onnx import NodeProto, TensorProto, helper

HEAD = """contract = 1
name = "{name}"
version = "1"
runtime = "onnx"
file = "model.onnx"
sha256 = "{sha256}"
empty = "negative"
"""


def write_model(
    folder: Path, rest: str, nodes: list[NodeProto], axes: int = 3, channels: int = 1, takes: int = 1, **constants: Any
) -> Path:
    """Return a new model folder: a network from ``x`` to ``y``, scores where ``axes`` of ``y`` is none.

    constants: name -> list of floats, or of ints.
    """
    folder.mkdir(parents=True)
    spatial = ["a", "b", "c"][:axes]
    gives = [1, channels, *(spatial if channels > 0 else [])] if channels > 0 else [1, -channels]
    tensors = [_constant(name, values) for name, values in constants.items()]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, takes, *spatial])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, gives)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = model.SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    head = HEAD.format(name=folder.name, sha256=hashlib.sha256(content).hexdigest())
    (folder / "model.toml").write_text(head + rest)
    return folder


def _constant(name: str, values: list[Any]) -> Any:
    kind = TensorProto.INT64 if isinstance(values[0], int) else TensorProto.FLOAT
    return helper.make_tensor(name, kind, [len(values)], values)


SAME = [helper.make_node("Identity", ["x"], ["y"])]
