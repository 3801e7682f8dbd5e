"""Reads the pixels of a grid into one array, without a second copy of the volume in memory.

Each thread reads uncompressed little-endian values into scratch memory of one slice, which stays in the
processor's cache, and rescales them from there into the array. Other frames are decoded one per thread.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID

from orchestrator.dicom.read.decoding import decode_frames, luminance
from orchestrator.dicom.read.grid import FrameReference, Grid
from orchestrator.dicom.read.pixel_values import AIR, HOUNSFIELD, PLAIN, PixelLayout, Rescale, common_dtype
from orchestrator.domain.errors import InputFault, UnreadablePixels, UnsupportedInput
from orchestrator.domain.volume import Volume

Array = npt.NDArray[Any]
Slices = Sequence[tuple[int, FrameReference]]

THREADS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_SLICES_PER_TASK = 16  # slices of one task: enough to be worth a task, few enough to keep all threads busy


def fill(grid: Grid, out: Array) -> Volume:
    """Read the pixels into ``out`` in ``grid.unit``; return the volume with a read-only view of it.

    out: C-contiguous, of the grid's shape and dtype, e.g. memory-mapped.
    Unused high bits are cleared. MONOCHROME1 is inverted except for measurements. HU are clipped to int16.
    Pixels that a CT marks as padding become -1024 HU.
    Raises UnreadablePixels that names all images that cannot be decoded; UnsupportedInput (TRUNCATED,
    UNSUPPORTED_ENCODING, UNREADABLE); ValueError where ``out`` does not fit.
    """
    if out.shape != grid.shape or out.dtype != grid.dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"out must be a contiguous {grid.dtype} array of shape {grid.shape}, it is {out.dtype} {out.shape}"
        )
    with ThreadPoolExecutor(THREADS, thread_name_prefix="fill") as pool:
        pending = [pool.submit(task, slices, out) for task, slices in _tasks(grid)]
        try:
            _wait(pending)
        finally:
            pool.shutdown(cancel_futures=True)
    voxels = out.view()
    voxels.flags.writeable = False
    return Volume(voxels, grid.affine, grid.unit, grid.modality, grid.positions, grid.facts)


def _wait(pending: Sequence[Future[None]]) -> None:
    """Wait for all tasks; the images that cannot be decoded are raised together, any other fault at once."""
    faults: list[UnreadablePixels] = []
    for task in pending:
        try:
            task.result()
        except UnreadablePixels as fault:
            faults.append(fault)
    if faults:
        uids = tuple(dict.fromkeys(uid for fault in faults for uid in fault.sop_uids))
        raise UnreadablePixels(uids, faults[0].reason) from faults[0]


def read_image(frame: FrameReference) -> Array:
    """Return the pixels of one image like ``fill``: (row, column) in its unit, or (row, column, 3) in colour.

    Raises UnsupportedInput.
    """
    layout = _layout_of(frame)
    dtype = np.dtype(np.uint8) if layout.colour else common_dtype([(layout, frame.rescale)])
    shape = (1, layout.rows, layout.columns, *((3,) if layout.colour else ()))
    grid = Grid(shape, dtype, None, None, "1", "", {}, (frame,))
    return np.asarray(fill(grid, np.empty(shape, dtype)).voxels[0])


def _tasks(grid: Grid) -> Iterator[tuple[Callable[[Slices, Array], None], Slices]]:
    """Yield the tasks of the threads: read some plain slices, or decode some frames of one file."""
    plain: list[tuple[int, FrameReference]] = []
    encoded_frames: dict[Path, list[tuple[int, FrameReference]]] = {}
    for index, frame in enumerate(grid.frames):
        if _is_plain(_layout_of(frame)):
            plain.append((index, frame))
        else:
            encoded_frames.setdefault(frame.path, []).append((index, frame))
    for start in range(0, len(plain), _SLICES_PER_TASK):
        yield _read, plain[start : start + _SLICES_PER_TASK]
    for slices in encoded_frames.values():
        for part in range(min(THREADS, len(slices))):
            yield _decode, slices[part::THREADS]


def _layout_of(frame: FrameReference) -> PixelLayout:
    if frame.layout is None:
        raise ValueError(f"the reference to image {frame.sop_uid} has no pixel layout: it does not come from plan()")
    return frame.layout


def _is_plain(layout: PixelLayout) -> bool:
    """Return True where the pixel values can be read in place."""
    location = layout.location
    return location.transfer_syntax in PLAIN and location.keyword == "PixelData" and not layout.colour


def _read(slices: Slices, out: Array) -> None:
    """Read slices whose pixel values can be read in place."""
    scratch = np.empty(0)
    for index, frame in slices:
        layout = _layout_of(frame)
        if scratch.dtype != layout.dtype:
            scratch = np.empty(out.shape[1:3], layout.dtype)
        with _as_unsupported(frame):
            _read_values(frame, layout, scratch)
        _clear_unused_bits(scratch, layout)
        apply_rescale(scratch, layout, frame.rescale, out[index])


def _read_values(frame: FrameReference, layout: PixelLayout, values: Array) -> None:
    """Read the stored values of one frame; raises UnsupportedInput where the file is too short."""
    assert layout.location.offset is not None
    offset = layout.location.offset + ((frame.frame or 1) - 1) * values.nbytes
    buffer = memoryview(values.data).cast("B")
    file = os.open(frame.path, os.O_RDONLY)
    try:
        _check_same_file(file, frame, layout)
        while buffer:
            count = os.preadv(file, [buffer], offset)
            if not count:
                raise UnsupportedInput(InputFault.TRUNCATED, f"the pixels of image {frame.sop_uid} end early")
            buffer, offset = buffer[count:], offset + count
    finally:
        os.close(file)


def _decode(slices: Slices, out: Array) -> None:
    """Decode frames of one file into their slices."""
    at = {(frame.frame or 1) - 1: (index, frame) for index, frame in slices}
    _, first = slices[0]
    layout = _layout_of(first)
    with _as_unsupported(first):
        _check_same_file(first.path, first, layout)
        for number, pixels in decode_frames(first.path, layout, list(at)):
            index, frame = at[number]
            if layout.colour:
                out[index] = pixels if out.ndim == 4 else luminance(pixels)
            else:
                apply_rescale(pixels, layout, frame.rescale, out[index])


@contextmanager
def _as_unsupported(frame: FrameReference) -> Iterator[None]:
    """Turn exceptions of files into UnsupportedInput that names the image, those of decoders into UnreadablePixels."""
    try:
        yield
    except UnsupportedInput:
        raise
    except Exception as error:  # codecs raise exceptions of any type
        syntax = UID(_layout_of(frame).location.transfer_syntax).name
        reason = f"the pixels of image {frame.sop_uid} cannot be read as {syntax} ({type(error).__name__})"
        if isinstance(error, OSError | MemoryError):
            raise UnsupportedInput(InputFault.UNREADABLE, reason) from error
        raise UnreadablePixels((frame.sop_uid,), reason) from error


def _check_same_file(file: int | Path, frame: FrameReference, layout: PixelLayout) -> None:
    """Refuse a file that was replaced since its header was read: the offsets would be wrong."""
    if os.stat(file).st_size != layout.location.file_size:  # noqa: PTH116 - also takes an open file
        raise UnsupportedInput(InputFault.UNREADABLE, f"the file of image {frame.sop_uid} changed after it was read")


def _clear_unused_bits(values: Array, layout: PixelLayout) -> None:
    """Clear the bits above and below the stored bits (old files keep overlays there) and extend the sign."""
    above = layout.bits_allocated - 1 - layout.high_bit
    unused = layout.bits_allocated - layout.bits_stored
    if unused:
        np.left_shift(values, above, out=values)
        np.right_shift(values, unused, out=values)


def apply_rescale(values: Array, layout: PixelLayout, scale: Rescale, out: Array) -> None:
    """Write the values in ``scale.unit`` to ``out``; ``values`` is overwritten.

    Whole numbers are computed modulo the size of the type: a result that fits is right even where an
    intermediate value overflows.
    """
    padding = _padding(values, layout, scale)
    if layout.inverted:
        np.subtract(values.dtype.type(sum(layout.limits)), values, out=values)
    if scale.table is not None:
        outputs = np.array(scale.table.outputs)
        out[...] = outputs[np.clip(values.astype(np.int64) - scale.table.first, 0, len(outputs) - 1)]
    elif out.dtype.kind == "f":
        out[...] = values * np.float64(scale.slope) + scale.intercept
    else:
        _keep_within(values, layout, scale, out.dtype)
        same_size = values.itemsize == out.itemsize
        whole = values.view(out.dtype) if same_size else values.astype(out.dtype)
        if scale.slope != 1:
            np.multiply(whole, np.int64(scale.slope).astype(out.dtype), out=whole)
        np.add(whole, np.int64(scale.intercept).astype(out.dtype), out=out)
    if padding is not None:
        out[padding] = AIR


def _keep_within(values: Array, layout: PixelLayout, scale: Rescale, dtype: np.dtype[Any]) -> None:
    """Clip stored values whose output would exceed the type; this happens for HU only (see ``common_dtype``)."""
    limits = np.iinfo(dtype)
    ends = sorted(((limits.min - scale.intercept) / scale.slope, (limits.max - scale.intercept) / scale.slope))
    lowest, highest = math.ceil(ends[0]), math.floor(ends[1])
    least, most = layout.limits
    # The check takes a thirtieth of the time of clipping, and few series need clipping.
    if (least < lowest and values.min() < lowest) or (most > highest and values.max() > highest):
        native = np.iinfo(values.dtype)
        np.clip(values, max(lowest, native.min), min(highest, native.max), out=values)


def _padding(values: Array, layout: PixelLayout, scale: Rescale) -> npt.NDArray[np.bool_] | None:
    """Return the mask of the pixels that a CT marks as padding, None where there are none."""
    if layout.padding is None or scale.unit != HOUNSFIELD:
        return None
    lowest, highest = layout.padding
    mask = values == lowest if lowest == highest else (values >= lowest) & (values <= highest)
    return mask if mask.any() else None
