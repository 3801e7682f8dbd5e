"""Pixels go from the files straight into one array: there is never a second copy of the volume.

Uncompressed little-endian values are read into one slice's worth of scratch memory for each thread,
which stays in the processor's cache, and are rescaled from there to their place; everything else is
decoded frame by frame, one frame per thread.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID

from orchestrator.dicom.read.decoding import decoded, luminance
from orchestrator.dicom.read.grid import FrameReference, Grid
from orchestrator.dicom.read.pixel_values import AIR, HOUNSFIELD, PLAIN, Rescale, Stored, Table, common_dtype
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.volume import Volume

Array = npt.NDArray[Any]
Slices = Sequence[tuple[int, FrameReference]]

THREADS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_SLICES_A_TURN = 16  # read in one task: enough to be worth a thread's turn, little enough to share the work evenly


def fill(grid: Grid, out: Array) -> Volume:
    """Return the volume whose voxels are ``out``, filled in ``grid.unit``; the volume sees it read-only.

    out: C-contiguous, of the grid's shape and dtype, e.g. memory-mapped. Unused high bits are cleared;
    MONOCHROME1 is turned round where images are only looked at; HU beyond int16 are set to its ends;
    pixels that a CT marks as padding become -1024 HU.
    Raises UnsupportedInput (TRUNCATED, UNSUPPORTED_ENCODING, UNREADABLE) and ValueError for another array.
    """
    if out.shape != grid.shape or out.dtype != grid.dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"a contiguous {grid.dtype} array of shape {grid.shape} is needed, not {out.dtype} {out.shape}"
        )
    with ThreadPoolExecutor(THREADS, thread_name_prefix="fill") as pool:
        pending = [pool.submit(task, slices, out) for task, slices in _tasks(grid)]
        try:
            for done in pending:
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)
    voxels = out.view()
    voxels.flags.writeable = False
    return Volume(voxels, grid.affine, grid.unit, grid.modality, grid.positions, grid.facts)


def image_of(frame: FrameReference) -> Array:
    """Return the pixels of one image, as ``fill`` gives them: (row, column) in its unit, or (row, column, 3).

    Raises UnsupportedInput.
    """
    stored = _stored(frame)
    dtype = np.dtype(np.uint8) if stored.colour else common_dtype([(stored, frame.rescale)])
    shape = (1, stored.rows, stored.columns, *((3,) if stored.colour else ()))
    grid = Grid(shape, dtype, None, None, "1", "", {}, (frame,))
    return np.asarray(fill(grid, np.empty(shape, dtype)).voxels[0])


def _tasks(grid: Grid) -> Iterator[tuple[Callable[[Slices, Array], None], Slices]]:
    """Yield what threads can do side by side: to read some plain slices, or to decode some frames of one file."""
    plain: list[tuple[int, FrameReference]] = []
    to_decode: dict[Path, list[tuple[int, FrameReference]]] = {}
    for index, frame in enumerate(grid.frames):
        if _is_plain(_stored(frame)):
            plain.append((index, frame))
        else:
            to_decode.setdefault(frame.path, []).append((index, frame))
    for start in range(0, len(plain), _SLICES_A_TURN):
        yield _read, plain[start : start + _SLICES_A_TURN]
    for slices in to_decode.values():
        for part in range(min(THREADS, len(slices))):
            yield _decode, slices[part::THREADS]


def _stored(frame: FrameReference) -> Stored:
    if frame.stored is None:
        raise ValueError(f"plan() did not make the reference to image {frame.sop_uid}")
    return frame.stored


def _is_plain(stored: Stored) -> bool:
    """True where the values lie in the file as they are computed with."""
    location = stored.location
    return location.transfer_syntax in PLAIN and location.keyword == "PixelData" and not stored.colour


def _read(slices: Slices, out: Array) -> None:
    """Read slices that lie in their files as they are computed with."""
    scratch = np.empty(0)
    for index, frame in slices:
        stored = _stored(frame)
        if scratch.dtype != stored.dtype:
            scratch = np.empty(out.shape[1:3], stored.dtype)
        with _named(frame):
            _read_values(frame, stored, scratch)
        _clear_unused_bits(scratch, stored)
        rescale(scratch, stored, frame.rescale, out[index])


def _read_values(frame: FrameReference, stored: Stored, values: Array) -> None:
    """Read one frame's stored values into the array; raises UnsupportedInput where the file ends before."""
    assert stored.location.offset is not None
    offset = stored.location.offset + ((frame.frame or 1) - 1) * values.nbytes
    left = memoryview(values.data).cast("B")
    file = os.open(frame.path, os.O_RDONLY)
    try:
        _check_same_file(file, frame, stored)
        while left:
            count = os.preadv(file, [left], offset)
            if not count:
                raise UnsupportedInput(InputFault.TRUNCATED, f"the pixels of image {frame.sop_uid} end early")
            left, offset = left[count:], offset + count
    finally:
        os.close(file)


def _decode(slices: Slices, out: Array) -> None:
    """Decode some frames of one file to their slices."""
    at = {(frame.frame or 1) - 1: (index, frame) for index, frame in slices}
    _, first = slices[0]
    stored = _stored(first)
    with _named(first):
        _check_same_file(first.path, first, stored)
        for number, pixels in decoded(first.path, stored, list(at)):
            index, frame = at[number]
            if stored.colour:
                out[index] = pixels if out.ndim == 4 else luminance(pixels)
            else:
                rescale(pixels, stored, frame.rescale, out[index])


@contextmanager
def _named(frame: FrameReference) -> Iterator[None]:
    """Give whatever a file or a decoder raises the name of the image."""
    try:
        yield
    except UnsupportedInput:
        raise
    except Exception as error:  # codecs raise errors of their own kinds; all mean broken pixels
        how = UID(_stored(frame).location.transfer_syntax).name
        raise UnsupportedInput(
            InputFault.UNREADABLE,
            f"the pixels of image {frame.sop_uid} cannot be read as {how} ({type(error).__name__})",
        ) from error


def _check_same_file(file: int | Path, frame: FrameReference, stored: Stored) -> None:
    """Refuse a file that was replaced since its header was read: offsets would point anywhere."""
    if os.stat(file).st_size != stored.location.file_size:  # noqa: PTH116 - of an open file, too
        raise UnsupportedInput(InputFault.UNREADABLE, f"the file of image {frame.sop_uid} changed after it was read")


def _clear_unused_bits(values: Array, stored: Stored) -> None:
    """Clear what lies above and below the stored bits (overlays once did), and carry the sign up."""
    above = stored.bits_allocated - 1 - stored.high_bit
    unused = stored.bits_allocated - stored.bits_stored
    if unused:
        np.left_shift(values, above, out=values)
        np.right_shift(values, unused, out=values)


def rescale(values: Array, stored: Stored, scale: Rescale, out: Array) -> None:
    """Write the values in ``scale.unit`` to ``out``; ``values`` is used up.

    Whole numbers are computed modulo the size of the type: what fits at the end is right whatever
    happens on the way.
    """
    padding = _padding(values, stored, scale)
    if stored.inverted:
        np.subtract(values.dtype.type(sum(stored.limits)), values, out=values)
    if scale.table is not None:
        out[...] = _look_up(values, scale.table)
    elif out.dtype.kind == "f":
        out[...] = values * np.float64(scale.slope) + scale.intercept
    else:
        _keep_within(values, stored, scale, out.dtype)
        same_size = values.itemsize == out.itemsize
        whole = values.view(out.dtype) if same_size else values.astype(out.dtype)
        if scale.slope != 1:
            np.multiply(whole, np.int64(scale.slope).astype(out.dtype), out=whole)
        np.add(whole, np.int64(scale.intercept).astype(out.dtype), out=out)
    if padding is not None:
        out[padding] = AIR


def _keep_within(values: Array, stored: Stored, scale: Rescale, dtype: np.dtype[Any]) -> None:
    """Clip stored values that would leave the type; only HU can (see ``common_dtype``)."""
    limits = np.iinfo(dtype)
    ends = sorted(((limits.min - scale.intercept) / scale.slope, (limits.max - scale.intercept) / scale.slope))
    lowest, highest = math.ceil(ends[0]), math.floor(ends[1])
    least, most = stored.limits
    # To look first costs a thirtieth of clipping, and hardly a series needs it.
    if (least < lowest and values.min() < lowest) or (most > highest and values.max() > highest):
        native = np.iinfo(values.dtype)
        np.clip(values, max(lowest, native.min), min(highest, native.max), out=values)


def _look_up(values: Array, table: Table) -> Array:
    outputs = np.array(table.outputs)
    return np.asarray(outputs[np.clip(values.astype(np.int64) - table.first, 0, len(outputs) - 1)])


def _padding(values: Array, stored: Stored, scale: Rescale) -> npt.NDArray[np.bool_] | None:
    """Return where a CT says that there is no image, None where nowhere."""
    if stored.padding is None or scale.unit != HOUNSFIELD:
        return None
    lowest, highest = stored.padding
    marked = values == lowest if lowest == highest else (values >= lowest) & (values <= highest)
    return marked if marked.any() else None
