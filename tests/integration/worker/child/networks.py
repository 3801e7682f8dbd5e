"""Tiny ONNX networks whose answer is known, and their model.toml."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from onnx import GraphProto, NodeProto, TensorProto, helper

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
    return _written(folder, rest, graph)


def _written(folder: Path, rest: str, graph: GraphProto) -> Path:
    folder.mkdir(parents=True)
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


def nan_above(limit: float, output: str = "y") -> dict[str, Any]:
    """Return the nodes and constants of a network that gives NaN above the limit and a root elsewhere."""
    nodes = [helper.make_node("Sub", ["limit", "x"], ["rest"]), helper.make_node("Sqrt", ["rest"], [output])]
    return {"nodes": nodes, "limit": [float(limit)]}


def nan_everywhere(output: str = "y") -> dict[str, Any]:
    """Return the nodes of a network that divides nothing by nothing."""
    nodes = [helper.make_node("Sub", ["x", "x"], ["zero"]), helper.make_node("Div", ["zero", "zero"], [output])]
    return {"nodes": nodes}


def infinity_above(limit: float, output: str = "y") -> dict[str, Any]:
    """Return the nodes and constants of a network that gives minus infinity above the limit."""
    nodes = [
        helper.make_node("Sub", ["limit", "x"], ["rest"]),
        helper.make_node("Relu", ["rest"], ["positive"]),
        helper.make_node("Log", ["positive"], [output]),
    ]
    return {"nodes": nodes, "limit": [float(limit)]}


def mean_score(network: dict[str, Any]) -> dict[str, Any]:
    """Return the network with the mean of its ``map`` as its only score."""
    mean = helper.make_node("ReduceMean", ["map"], ["y"], axes=[2, 3, 4], keepdims=0)
    return network | {"nodes": [*network["nodes"], mean], "channels": -1}


def write_detector(folder: Path, rest: str, axes: int = 2, bright: float = 0.5, faulty: str = "") -> Path:
    """Return a new model folder: a network that gives the box around all that is brighter than ``bright``.

    faulty: the output that is NaN where something is bright.

    Its outputs: ``boxes`` (1, 2 * axes), last axis first; ``scores`` (1), its brightest value; ``labels`` (1), a 2;
    ``rows`` (1, 1, numbers) and ``columns`` (1, numbers, 1) with boxes, a zero and the score in one.
    """
    spatial = ["a", "b", "c"][:axes]
    ends = [_end(axis, axes, last) for last in (False, True) for axis in reversed(range(axes))]
    nodes = [
        helper.make_node("Greater", ["x", "bright"], ["above"]),
        helper.make_node("Cast", ["above"], ["mask"], to=TensorProto.FLOAT),
        *(node for end in ends for node in end),
        helper.make_node("Concat", [end[-1].output[0] for end in ends], ["corners"], axis=1),
        helper.make_node("Cast", ["corners"], ["boxes"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["x"], ["scores"], axes=list(range(1, axes + 2)), keepdims=0),
        helper.make_node("Identity", ["two"], ["labels"]),
        helper.make_node("Unsqueeze", ["scores", "one"], ["score"]),
        helper.make_node("Sub", ["score", "score"], ["zero"]),
        helper.make_node("Concat", ["boxes", "zero", "score"], ["row"], axis=1),
        helper.make_node("Unsqueeze", ["row", "one"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["columns"], perm=[0, 2, 1]),
    ]
    nodes = [node for each in nodes for node in (_spoiled(each, axes) if each.output[0] == faulty else [each])]
    numbers = 2 * axes
    gives = {"boxes": [1, numbers], "scores": [1], "rows": [1, 1, numbers + 2], "columns": [1, numbers + 2, 1]}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in gives.items()]
    outputs.append(helper.make_tensor_value_info("labels", TensorProto.INT64, [1]))
    constants = [_constant("bright", [float(bright)]), _constant("one", [1]), _constant("two", [2])]
    constants.append(_constant("nought", [0.0]))
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, *spatial])]
    return _written(folder, rest, helper.make_graph(nodes, "test", given, outputs, constants))


def _spoiled(node: NodeProto, axes: int) -> list[NodeProto]:
    """Return nodes whose output is NaN where something is bright, and that of the node elsewhere."""
    name = node.output[0]
    node.output[0] = "sound"
    return [
        node,
        helper.make_node("ReduceMax", ["x"], ["brightest"], axes=list(range(1, axes + 2)), keepdims=0),
        helper.make_node("Sub", ["bright", "brightest"], ["rest"]),
        helper.make_node("Sqrt", ["rest"], ["root"]),
        helper.make_node("Mul", ["root", "nought"], ["fault"]),
        helper.make_node("Add", ["sound", "fault"], [name]),
    ]


def _end(axis: int, axes: int, last: bool) -> list[NodeProto]:
    """Return nodes that find the first index along an axis where the mask is set, or the one behind the last."""
    name, others = f"{axis}{last}", [1, *(other + 2 for other in range(axes) if other != axis)]
    nodes = [
        helper.make_node("ReduceMax", ["mask"], [f"along{name}"], axes=others, keepdims=0),
        helper.make_node("ArgMax", [f"along{name}"], [f"at{name}"], axis=1, keepdims=1, select_last_index=int(last)),
    ]
    return [*nodes, helper.make_node("Add", [f"at{name}", "one"], [f"behind{name}"])] if last else nodes
