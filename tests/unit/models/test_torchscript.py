"""TorchScript without torch: what is read, what is refused, and that the ONNX graph computes the same."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from orchestrator_brain_mask.convert import convert
from orchestrator_brain_mask.torchscript import ArchiveFault, read_program
from scipy import ndimage

from tests.data.torchscript import Node, write_archive

KERNEL = np.random.default_rng(4).normal(size=(2, 1, 3, 3, 3)).astype(np.float32)
HEAD = "class Net(Module):\n  def forward(self, x: Tensor) -> Tensor:\n"
CONVOLUTION = "torch._convolution(x, weight, None, [1, 1, 1], [1, 1, 1], [1, 1, 1], False, [0, 0, 0], 1, False, False)"


def archive(folder: Path, *statements: str, kernel: np.ndarray = KERNEL, **attributes: object) -> Path:
    """Write a network of one class whose forward holds these statements."""
    code = HEAD + "".join(f"    {statement}\n" for statement in ("weight = self.weight", *statements))
    root = Node("__torch__", "Net", {"training": False, "weight": kernel, **attributes})
    return write_archive(folder / "net.pt", root, {"__torch__": code})


def run(path: Path, volume: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"volume": volume})
    return np.asarray(result)


def test_a_convolution_becomes_the_same_convolution(tmp_path):
    volume = np.random.default_rng(1).normal(size=(1, 1, 6, 7, 8)).astype(np.float32)
    convert(archive(tmp_path, f"return {CONVOLUTION}"), tmp_path / "net.onnx")
    expected = [ndimage.correlate(volume[0, 0], kernel[0], mode="constant") for kernel in KERNEL]
    np.testing.assert_allclose(run(tmp_path / "net.onnx", volume)[0], expected, atol=1e-4)


def test_submodules_normalisation_and_softmax_are_followed(tmp_path):
    code = {
        "__torch__": HEAD
        + f"    weight = self.weight\n    act = self.act\n    y = {CONVOLUTION}\n"
        + "    z = torch.instance_norm(y, None, None, None, None, True, 0.1, 1.0e-05, True)\n"
        + "    return torch.softmax((act).forward1(torch.add_(z, z), ), 1)\n",
        "__torch__.act": "class Act(Module):\n  def forward1(self, x: Tensor) -> Tensor:\n    return torch.relu_(x)\n",
    }
    root = Node("__torch__", "Net", {"weight": KERNEL, "act": Node("__torch__.act", "Act")})
    convert(write_archive(tmp_path / "net.pt", root, code), tmp_path / "net.onnx")
    volume = np.random.default_rng(2).normal(size=(1, 1, 5, 5, 5)).astype(np.float32)
    y = np.array([ndimage.correlate(volume[0, 0], kernel[0], mode="constant") for kernel in KERNEL])
    axes = (1, 2, 3)
    z = (y - y.mean(axes, keepdims=True)) / np.sqrt(y.var(axes, keepdims=True) + 1e-5)
    powers = np.exp(np.maximum(2 * z, 0))
    np.testing.assert_allclose(run(tmp_path / "net.onnx", volume)[0], powers / powers.sum(0), atol=1e-4)


def test_the_same_archive_gives_the_same_bytes(tmp_path):
    source = archive(tmp_path, f"return {CONVOLUTION}")
    for name in ("first.onnx", "second.onnx"):
        convert(source, tmp_path / name)
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["return torch.sigmoid(x)"], "torch.sigmoid"),
        (["y = torch.relu_(x)", "return torch.add(x, y)"], "in-place"),
        (["return torch.add(x, x, alpha=2)"], "cannot be converted"),
        (["if True:", "  y = x", "return y"], "cannot be converted"),
        (["y = torch.relu(x)"], "returns nothing"),
        (["return torch.instance_norm(x, weight, None, None, None, True, 0.1, 1.0e-05, True)"], "instance norm"),
    ],
)
def test_what_has_no_translation_is_refused_not_guessed(tmp_path, statements, said):
    with pytest.raises(ArchiveFault, match=said):
        convert(archive(tmp_path, *statements), tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval"), ("torch", "load")])
def test_a_pickle_that_names_another_class_is_refused(tmp_path, module, name):
    path = write_archive(tmp_path / "net.pt", Node(module, name), {})
    with pytest.raises(ArchiveFault, match=f"{module}.{name}"):
        read_program(path)


def test_a_tensor_with_strides_of_its_own_is_refused(tmp_path):
    with pytest.raises(ArchiveFault, match="strides"):
        read_program(archive(tmp_path, "return x", kernel=np.asfortranarray(KERNEL)))


def test_a_cut_tensor_is_refused(tmp_path):
    path = archive(tmp_path, "return x")
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as cut:
        for name, content in parts.items():
            cut.writestr(name, content[:8] if name.endswith("data/0") else content)
    with pytest.raises(ArchiveFault, match="has 2 values"):
        read_program(path)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_archive_is_refused_by_name(tmp_path, content):
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(ArchiveFault, match=r"net\.pt"):
        read_program(tmp_path / "net.pt")
