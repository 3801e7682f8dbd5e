"""R4, R5, R6: what a HU volume costs against np.fromfile and a rescale into int16.

300 CT slices of 512 x 512, headers already read. Yardstick and ours fill the same kind of array in turn,
each run in a fresh one (page faults are part of the cost). R5 is measured in a process of its own: the
peak of its resident memory while it loads, less what it had before, over the volume. R6: 60 slices in
JPEG 2000 and JPEG-LS against imagecodecs with one thread per core.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless

from benchmarks.row import Row, compared, row, show
from benchmarks.series import write_ct
from orchestrator.dicom import Grid, fill, gather, plan, read_instance
from orchestrator.dicom.read.pixels import THREADS
from orchestrator.domain.model import Accepts

Volume = npt.NDArray[Any]
SLICES = 300
COMPRESSED_SLICES = 60
_CODECS: dict[str, tuple[UID, Callable[[Volume], bytes], Callable[[bytes], Volume]]] = {
    "JPEG 2000": (
        JPEG2000Lossless,
        lambda pixels: bytes(imagecodecs.jpeg2k_encode(pixels, reversible=True)),
        imagecodecs.jpeg2k_decode,
    ),
    "JPEG-LS": (JPEGLSLossless, lambda pixels: bytes(imagecodecs.jpegls_encode(pixels)), imagecodecs.jpegls_decode),
}
_MEMORY = """
import json, re, sys
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
    return out.nbytes / 1e6, (kibibytes("VmHWM") - before) * 1024 / 1e6

load(sys.argv[2])  # decoders and their tables are loaded once
print(json.dumps(load(sys.argv[1])))
"""


def rows(rounds: int = 7) -> Iterator[Row]:
    """Yield R4, R5 and R6."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid = grid_of(write_ct(folder / "ct", SLICES))
        assert (floor(grid) == ours(grid)).all(), "both must read the same volume"
        walls = compared(lambda: floor(grid), lambda: ours(grid), rounds=rounds)
        yield row("R4", f"HU volume of {SLICES} CT, wall", "np.fromfile and rescale", walls, target=1.2)
        write_ct(folder / "small", 8)
        memory = [loaded_memory(folder / "ct", folder / "small")]
        yield row("R5", "memory of loading it", "the volume itself", memory, target=1.15, unit="MB")
        for codec in _CODECS:
            yield _compressed(folder / codec, codec, rounds)


def grid_of(paths: list[Path]) -> Grid:
    """Return the grid of a series, headers read."""
    return plan(gather([read_instance(path) for path in paths]), Accepts())[0]


def floor(grid: Grid) -> Volume:
    """Return the volume as np.fromfile reads and numpy rescales it, slice by slice."""
    out = np.empty(grid.shape, np.int16)
    for target, frame in zip(out, grid.frames, strict=True):
        assert frame.stored is not None
        assert frame.stored.location.offset is not None  # uncompressed
        offset = frame.stored.location.offset
        stored = np.fromfile(frame.path, np.int16, target.size, offset=offset).reshape(target.shape)
        np.add(stored, np.int16(frame.rescale.intercept), out=target)
    return out


def ours(grid: Grid) -> Volume:
    """Return the volume as the host reads it."""
    return fill(grid, np.empty(grid.shape, grid.dtype)).voxels


def loaded_memory(folder: Path, warm_up: Path) -> tuple[float, float]:
    """Return the bytes of the volume and those that loading it took, in MB."""
    command = [sys.executable, "-c", _MEMORY, str(folder), str(warm_up)]
    volume, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return volume, peak


def _compressed(folder: Path, codec: str, rounds: int) -> Row:
    syntax, encode, decode = _CODECS[codec]
    grid = grid_of(write_ct(folder, COMPRESSED_SLICES, syntax=syntax, encode=encode))
    encoded = [next(generate_frames(dcmread(frame.path).PixelData, number_of_frames=1)) for frame in grid.frames]
    walls = compared(lambda: codec_floor(decode, encoded, grid.shape), lambda: ours(grid), rounds=max(3, rounds // 2))
    return row("R6", f"{codec} volume of {COMPRESSED_SLICES} CT, wall", "imagecodecs", walls, target=1.15)


def codec_floor(decode: Callable[[bytes], Volume], encoded: list[bytes], shape: tuple[int, ...]) -> Volume:
    """Return the volume as bare imagecodecs decodes it, one thread per core."""
    out = np.empty(shape, np.int16)

    def one(index: int) -> None:
        out[index] = decode(encoded[index]).view(np.int16)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, range(len(encoded))))
    return out


if __name__ == "__main__":
    show(rows, __doc__, rounds=7)
