"""R10, R11, R12: what the host adds to a model's own time, and what its import costs.

Yardstick and ours in turn, in one run; prints one line for each goal.

R10  a network over overlapping windows through the host, and bare ``session.run`` over the same windows
R11  from the call of ``predict`` to the model's first line on a warm worker, and one window's run
R12  a process that imports the core (settings, rules, reading, workers, hooks), then one that imports all that
     ``orchestrator run`` needs, and one that imports pydicom and onnxruntime; never torch, monai or itk
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from orchestrator.domain.volume import Volume
from orchestrator.worker import Workers, discover
from orchestrator.worker.child.model_grid import windows

PATCH = (64, 128, 128)
CHANNELS = 12

NETWORK_TOML = """contract = 1
name = "network"
version = "1"
runtime = "onnx"
file = "model.onnx"
sha256 = "{}"
empty = "negative"
input = {{ patch = {} }}
segment = [{{ label = "Lesion", type = "lesion" }}]
"""
CLOCK = """
import time
from orchestrator.sdk import *

class Clock:
    name, version = "clock", "1"

    def predict(self, volume):
        return Result(notes={"entered": str(time.monotonic())})

@hookimpl
def register_models(register):
    register(Clock())
"""
CORE = (
    "import orchestrator.config, orchestrator.rules, orchestrator.hooks, orchestrator.sdk\n"
    "from orchestrator.dicom import gather, plan, fill, read_instance\n"
    "from orchestrator.worker import Workers, discover"
)
RUN = f"{CORE}\nimport orchestrator.app.running"
YARDSTICK = "import pydicom, onnxruntime"
NEVER = ("torch", "monai", "itk")


def write_network(folder: Path) -> Path:
    """Return a model folder: three convolutions of 3 x 3 x 3, as much work as a small U-Net's first level."""
    noise = np.random.default_rng(0)
    sizes = [(CHANNELS, 1), (CHANNELS, CHANNELS), (1, CHANNELS)]
    kernels = [
        numpy_helper.from_array(noise.normal(0, 0.1, (*size, 3, 3, 3)).astype(np.float32), f"w{number}")
        for number, size in enumerate(sizes)
    ]
    nodes = [
        helper.make_node("Conv", [f"x{number}", f"w{number}"], [f"x{number + 1}"], pads=[1] * 6) for number in range(3)
    ]
    shape = [1, 1, *PATCH]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("x3", TensorProto.FLOAT, shape)],
        kernels,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = model.SerializeToString()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    (folder / "model.toml").write_text(NETWORK_TOML.format(hashlib.sha256(content).hexdigest(), list(PATCH)))
    return folder


@contextmanager
def workers(folder: Path) -> Iterator[Workers]:
    """Give warm workers for the network and for the model that only tells the time."""
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "clock.py").write_text(CLOCK)
    sources = discover([write_network(folder / "network")], [plugins], entry_points=False)
    with closing(Workers(sources, sandbox="best", weights=folder / "weights")) as opened:
        for name in opened.models():
            opened.warm(name)
        yield opened


def volume(opened: Workers, folder: Path, voxels: npt.NDArray[np.int16]) -> Volume:
    """Return a volume in the folder, as the pipeline would have filled it."""
    array = opened.allocate(folder, voxels.shape, voxels.dtype)
    array[:] = voxels
    return Volume(array, np.eye(4), modality="CT")


def bare(model: Path, voxels: npt.NDArray[np.int16]) -> Callable[[], float]:
    """Return a function that runs the session over all windows, in this process, and says its seconds."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    one, two, three = voxels.shape
    tensors = [voxels[window][None, None].astype(np.float32) for window in windows((one, two, three), PATCH, 0.0)]

    def run() -> float:
        start = time.perf_counter()
        for tensor in tensors:
            session.run(None, {"x0": tensor})
        return time.perf_counter() - start

    run()
    return run


def through_host(opened: Workers, given: Volume, folder: Path) -> float:
    """Return the seconds of one whole ``predict``: checked, and on disk."""
    start = time.perf_counter()
    opened.predict("network", given, folder)
    return time.perf_counter() - start


def until_entered(opened: Workers, given: Volume, folder: Path) -> float:
    """Return the seconds from the call to the model's first line; both processes read one clock."""
    start = time.monotonic()
    return float(opened.predict("clock", given, folder).notes["entered"]) - start


def imported(statement: str) -> float:
    """Return the seconds of a fresh process that imports this."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def inference(rounds: int, slices: int) -> None:
    """Print R10 and R11."""
    voxels = np.random.default_rng(0).integers(-1000, 1000, (slices, 256, 256)).astype(np.int16)
    with tempfile.TemporaryDirectory() as name, workers(Path(name)) as opened:
        given = volume(opened, Path(name) / "request", voxels)
        run = bare(Path(name) / "network" / "model.onnx", voxels)
        through_host(opened, given, Path(name) / "request")
        walls = [(run(), through_host(opened, given, Path(name) / "request")) for _ in range(rounds)]
        starts = [until_entered(opened, given, Path(name) / "request") for _ in range(5 * rounds)]
    count = len(list(windows((slices, 256, 256), PATCH, 0.0)))
    print(_row(f"R10 inference through the host, {count} windows", walls, "session.run", "target 1.05"))
    window, start = statistics.median(a for a, _ in walls) / count, statistics.median(starts)
    print(
        f"R11 job start on a warm worker: {start / window:.3f} "
        f"(one window {window:.3f} s, start {start * 1000:.1f} ms; target 0.1)"
    )


def imports(rounds: int) -> None:
    """Print R12."""
    for name, statement in (("core import", CORE), ("import of all that run needs", RUN)):
        imported(f"{statement}\nimport sys\nassert not {{*sys.modules}} & {{*{NEVER!r}}}")
        walls = [(imported(YARDSTICK), imported(statement)) for _ in range(rounds)]
        print(_row(f"R12 {name}", walls, "pydicom and onnxruntime", "target 2"))


def _row(what: str, walls: list[tuple[float, float]], yardstick: str, target: str) -> str:
    ratio = statistics.median(ours / theirs for theirs, ours in walls)
    theirs, ours = (statistics.median(each) for each in zip(*walls, strict=True))
    return f"{what}: {ratio:.2f} ({yardstick} {theirs:.3f} s, ours {ours:.3f} s; {target})"


def main() -> None:
    """Print the rows of the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--slices", type=int, default=128)
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    inference(chosen.rounds, chosen.slices)
    imports(chosen.rounds)


if __name__ == "__main__":
    main()
