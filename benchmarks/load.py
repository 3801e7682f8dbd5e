"""R4 and R5: what a HU volume costs against np.fromfile and a rescale into int16.

300 CT slices of 512 x 512, int16, headers already read. Yardstick and ours fill the same kind of
array in turn, each run in a fresh one (page faults are part of the cost). R5 is measured in a process
of its own: the peak of its resident memory while it loads, less what it had before, over the volume.
R6: the same in JPEG 2000 and JPEG-LS against imagecodecs with one thread per core. Prints one line each.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

sys.path.insert(0, str(Path(__file__).parents[1]))

from orchestrator.dicom import Grid, fill, gather, plan, read_instance
from orchestrator.dicom.pixels import THREADS
from orchestrator.domain.model import Accepts
from tests.data.series import ct_series

Volume = npt.NDArray[Any]

_MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from orchestrator.dicom import fill, gather, plan, read_instance
from orchestrator.domain.model import Accepts

def kibibytes(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def load(folder):
    grid = plan(gather([read_instance(path) for path in sorted(Path(folder).iterdir())]), Accepts())[0]
    out = np.empty(grid.shape, grid.dtype)
    before = kibibytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    fill(grid, out)
    return (kibibytes("VmHWM") - before) * 1024 / out.nbytes

load(sys.argv[2])  # decoders and their tables are loaded once
print(load(sys.argv[1]))
"""


def grid_of(paths: list[Path]) -> Grid:
    """Return the grid of a series, headers read."""
    return plan(gather([read_instance(path) for path in paths]), Accepts())[0]


def floor(grid: Grid) -> Volume:
    """Return the volume as np.fromfile reads and numpy rescales it, slice by slice."""
    out = np.empty(grid.shape, np.int16)
    for target, frame in zip(out, grid.frames, strict=True):
        offset = frame.stored.location.offset
        stored = np.fromfile(frame.path, np.int16, target.size, offset=offset).reshape(target.shape)
        np.add(stored, np.int16(frame.rescale.intercept), out=target)
    return out


def ours(grid: Grid) -> Volume:
    """Return the volume as the host reads it."""
    return fill(grid, np.empty(grid.shape, grid.dtype)).voxels


def codec_floor(decode: Callable[[bytes], Volume], encoded: list[bytes], shape: tuple[int, ...]) -> Volume:
    """Return the volume as bare imagecodecs decodes it, one thread per core."""
    out = np.empty(shape, np.int16)

    def one(index: int) -> None:
        out[index] = decode(encoded[index]).view(np.int16)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, range(len(encoded))))
    return out


def compare(yardstick: Callable[[], Volume], mine: Callable[[], Volume], rounds: int) -> str:
    """Return the median ratio of the walls, A and B in turn after one round of each to warm up."""
    walls: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        walls.append((_seconds(yardstick), _seconds(mine)))
    ratio = statistics.median(b / a for a, b in walls[1:])
    a, b = (statistics.median(column) for column in zip(*walls[1:], strict=True))
    return f"{ratio:.2f} ({b:.3f} s against {a:.3f} s)"


def _seconds(run: Callable[[], Volume]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print R4, R5 and R6."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    size = {"rows": 512, "columns": 512, "spacing": (1.0, 0.7, 0.7)}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = ct_series(root / "ct", slices=options.slices, order="shuffled", **size)
        grid = grid_of(paths)
        assert (floor(grid) == ours(grid)).all(), "both must read the same volume"
        print("R4 HU volume, wall:", compare(lambda: floor(grid), lambda: ours(grid), options.rounds))
        ct_series(root / "small", slices=8, **size)
        command = [sys.executable, "-c", _MEMORY, str(root / "ct"), str(root / "small")]
        memory = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
        print(f"R5 memory of loading over the volume: {float(memory.stdout):.2f}")
        for name, syntax, decode in (
            ("JPEG 2000", JPEG2000Lossless, imagecodecs.jpeg2k_decode),
            ("JPEG-LS", JPEGLSLossless, imagecodecs.jpegls_decode),
        ):
            _compressed(root / name, name, syntax, decode, options)


def _compressed(folder: Path, name: str, syntax: str, decode: Callable[[bytes], Volume], options: Any) -> None:
    slices = max(2, options.slices // 5)
    size = {"rows": 512, "columns": 512, "spacing": (1.0, 0.7, 0.7), "bits": (16, 12), "signed": False}
    grid = grid_of(ct_series(folder, slices=slices, transfer_syntax=syntax, **size))
    encoded = [next(generate_frames(dcmread(frame.path).PixelData, number_of_frames=1)) for frame in grid.frames]
    yardstick = compare(
        lambda: codec_floor(decode, encoded, grid.shape), lambda: ours(grid), max(3, options.rounds // 2)
    )
    print(f"R6 {name} volume, wall: {yardstick}")


if __name__ == "__main__":
    main()
