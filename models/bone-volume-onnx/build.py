"""Makes model.onnx: 1 where the input is above 300, else 0; run it again to get the same bytes."""

from pathlib import Path

from onnx import TensorProto, checker, helper

THRESHOLD_HU = 300.0


def bone() -> bytes:
    """Return the network: hu (1, 1, row, column) float32 -> bone (1, 1, row, column) float32, 0 or 1."""
    shape = [1, 1, "rows", "columns"]
    graph = helper.make_graph(
        [
            helper.make_node("Greater", ["hu", "threshold"], ["above"]),
            helper.make_node("Cast", ["above"], ["bone"], to=TensorProto.FLOAT),
        ],
        "bone",
        [helper.make_tensor_value_info("hu", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("bone", TensorProto.FLOAT, shape)],
        [helper.make_tensor("threshold", TensorProto.FLOAT, [], [THRESHOLD_HU])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString(deterministic=True)


if __name__ == "__main__":
    Path(__file__).with_name("model.onnx").write_bytes(bone())
