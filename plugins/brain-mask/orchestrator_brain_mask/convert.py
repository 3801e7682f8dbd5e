"""Converts a traced TorchScript network to ONNX without torch; the result is always byte-identical.

The code in the archive was written by ``torch.jit.trace``: assignments and calls, no branches. The converter
evaluates it with names of ONNX values in place of tensors, which builds the graph. Unknown operators are refused.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator_brain_mask.torchscript import ArchiveFault, Module, Program, Tensor, read_program

OPSET = 17
IR_VERSION = 8


def convert(source: Path, target: Path) -> None:
    """Write the ONNX form of the TorchScript network ``source`` to ``target``.

    Input ``volume`` (1, 1, x, y, z) float32, output ``probability`` (1, classes, x, y, z).
    Raises ArchiveFault for a network that cannot be converted, ImportError without the package onnx.
    """
    program = read_program(source)
    graph = _Graph()
    result = _CodeEvaluator(program, graph).call(program.root, "forward", [_Value("volume", 1)])
    target.write_bytes(graph.serialize("volume", result.name))


@dataclass(slots=True, eq=False)
class _Value:
    """A tensor of the graph. is_stale: an in-place operator (``relu_``) has overwritten it."""

    name: str
    channels: int
    is_stale: bool = False


@dataclass
class _Graph:
    """The nodes and constants of the ONNX graph."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            import onnx
        except ImportError:
            raise ImportError(
                "converting these weights needs the package onnx: pip install 'radiology-orchestrator[models]'"
            ) from None
        self._onnx = onnx

    def add(self, operator: str, inputs: Sequence[str], channels: int, **attributes: Any) -> _Value:
        """Append one node and return its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return _Value(name, channels)

    def constant(self, values: Tensor) -> str:
        """Add a constant tensor and return its name."""
        name = f"c{len(self.constants)}"
        kind = self._onnx.TensorProto.FLOAT
        content = np.ascontiguousarray(values, dtype="<f4")
        self.constants.append(self._onnx.helper.make_tensor(name, kind, values.shape, content.tobytes(), raw=True))
        return name

    def serialize(self, source: str, result: str) -> bytes:
        """Return the whole model as bytes; ``result`` is renamed to ``probability``."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self.nodes.append(helper.make_node("Identity", [result], ["probability"]))
        space = ["x", "y", "z"]
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(source, kind, [1, 1, *space])],
            [helper.make_tensor_value_info("probability", kind, [1, None, *space])],
            self.constants,
        )
        model = helper.make_model(
            graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="orchestrator"
        )
        self._onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


class _CodeEvaluator:
    """Evaluates the traced code statement by statement and adds its operators to the graph."""

    def __init__(self, program: Program, graph: _Graph) -> None:
        self._code = program.code
        self._graph = graph
        self._operators: dict[str, Callable[..., _Value]] = {
            "_convolution": self._convolution,
            "instance_norm": self._instance_norm,
            "max_pool3d": self._max_pool,
            "relu": self._relu,
            "relu_": self._relu,
            "add": self._add,
            "add_": self._add,
            "softmax": self._softmax,
        }

    def call(self, module: Module, method: str, arguments: Sequence[object]) -> _Value:
        """Evaluate a method of a module and return its result."""
        function = self._code[module.kind][method]
        names: dict[str, Any] = dict(
            zip((argument.arg for argument in function.args.args), [module, *arguments], strict=True)
        )
        for statement in function.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    names[name] = self._evaluate(value, names)
                case ast.Return(value=ast.expr() as value):
                    result: _Value = self._evaluate(value, names)
                    return result
                case _:
                    raise _unknown(statement)
        raise ArchiveFault(f"{module.kind}.{method} returns nothing")

    def _evaluate(self, node: ast.expr, names: dict[str, Any]) -> Any:
        match node:
            case ast.Name(id=name):
                return names[name]
            case ast.Constant(value=value):
                return value
            case ast.List(elts=items):
                return [self._evaluate(item, names) for item in items]
            case ast.Attribute(value=owner, attr=name):
                return self._evaluate(owner, names).attributes[name]
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=name)]):
                return self._evaluate(owner, names).attributes[name]
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr=operator), args=items, keywords=[]):
                return self._apply(operator, [self._evaluate(item, names) for item in items])
            case ast.Call(func=ast.Attribute(value=owner, attr=method), args=items, keywords=[]):
                arguments = [self._evaluate(item, names) for item in items]
                return self.call(self._evaluate(owner, names), method, arguments)
            case _:
                raise _unknown(node)

    def _apply(self, operator: str, arguments: list[Any]) -> _Value:
        if operator not in self._operators:
            raise ArchiveFault(f"the network uses torch.{operator}, which cannot be converted")
        if any(isinstance(value, _Value) and value.is_stale for value in arguments):
            raise ArchiveFault(f"torch.{operator} reads a tensor that an in-place operator has overwritten")
        result = self._operators[operator](*arguments)
        arguments[0].is_stale = operator.endswith("_")
        return result

    def _convolution(
        self,
        x: _Value,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        is_transposed: bool,
        output_padding: list[int],
        groups: int,
        *_: object,
    ) -> _Value:
        inputs = [x.name, *(self._graph.constant(part) for part in (weight, bias) if part is not None)]
        attributes: dict[str, Any] = {
            "kernel_shape": list(weight.shape[2:]),
            "strides": stride,
            "pads": padding * 2,
            "dilations": dilation,
            "group": groups,
        }
        if not is_transposed:
            return self._graph.add("Conv", inputs, weight.shape[0], **attributes)
        attributes["output_padding"] = output_padding
        return self._graph.add("ConvTranspose", inputs, weight.shape[1] * groups, **attributes)

    def _instance_norm(
        self,
        x: _Value,
        weight: None,
        bias: None,
        mean: None,
        variance: None,
        use_input_stats: bool,
        momentum: float,  # noqa: ARG002 - only for running statistics
        epsilon: float,
        *_: object,
    ) -> _Value:
        if not use_input_stats or any(part is not None for part in (weight, bias, mean, variance)):
            raise ArchiveFault("instance normalisation with learned or running values cannot be converted")
        scale = self._graph.constant(np.ones(x.channels, np.float32))
        shift = self._graph.constant(np.zeros(x.channels, np.float32))
        return self._graph.add("InstanceNormalization", [x.name, scale, shift], x.channels, epsilon=epsilon)

    def _max_pool(
        self,
        x: _Value,
        kernel: list[int],
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        ceil: bool = False,
    ) -> _Value:
        shape: dict[str, Any] = {"kernel_shape": kernel, "strides": stride, "pads": padding * 2, "dilations": dilation}
        shape["ceil_mode"] = int(ceil)
        return self._graph.add("MaxPool", [x.name], x.channels, **shape)

    def _relu(self, x: _Value) -> _Value:
        return self._graph.add("Relu", [x.name], x.channels)

    def _add(self, x: _Value, y: _Value) -> _Value:
        return self._graph.add("Add", [x.name, y.name], x.channels)

    def _softmax(self, x: _Value, axis: int) -> _Value:
        return self._graph.add("Softmax", [x.name], x.channels, axis=axis)


def _unknown(node: ast.AST) -> ArchiveFault:
    return ArchiveFault(f"the traced code has {ast.unparse(node)!r}, which cannot be converted")
