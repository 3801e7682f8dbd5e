"""Passes volumes to a model process and results back; used by both sides.

The folder of a request has the input ``input/voxels.raw`` and ``input/volume.json``, and the output
``output/masks.raw``, ``output/maps.raw`` and ``output/result.json``. The process gets these as open files, the input
read-only. It learns no path, so that it cannot reach other series.
Masks follow one another with one byte a voxel, maps with one float32 a voxel. Rows outside the first and last
non-zero row of a slice stay holes in the file, which cost neither disk nor time.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.result import Finding, HeatMap, Region, Result, Segment
from orchestrator.domain.volume import Volume


def volume_document(volume: Volume) -> dict[str, Any]:
    """Return everything of a volume but its voxels, as JSON values."""
    return {
        "shape": list(volume.voxels.shape),
        "dtype": volume.voxels.dtype.str,
        "affine": _to_list(volume.affine),
        "positions": _to_list(volume.positions),
        "unit": volume.unit,
        "modality": volume.modality,
        "facts": dict(volume.facts),
    }


def read_volume(voxels: BinaryIO, document: BinaryIO) -> Volume:
    """Return the volume; its voxels are mapped read-only from the open file, not copied."""
    header = json.load(document)
    count = int(np.prod(header["shape"]))
    buffer = mmap.mmap(voxels.fileno(), 0, access=mmap.ACCESS_READ)
    array = np.frombuffer(buffer, dtype=header["dtype"], count=count).reshape(header["shape"])
    return Volume(
        voxels=array,
        affine=_array(header["affine"]),
        unit=header["unit"],
        modality=header["modality"],
        positions=_array(header["positions"]),
        facts=header["facts"],
    )


def write_result(result: Any, shape: tuple[int, int, int], document: BinaryIO, masks: BinaryIO, maps: BinaryIO) -> None:
    """Write the result of a model to the three open files.

    Raises InvalidResult for values that cannot be written; the host checks everything else.
    """
    if not isinstance(result, Result):
        raise InvalidResult(f"the model returned {type(result).__name__}, expected a Result")
    values = {
        "segments": [_segment(segment, shape) for segment in result.segments],
        "findings": [_finding(finding) for finding in result.findings],
        "measurements": [asdict(measurement) for measurement in result.measurements],
        "notes": dict(result.notes),
        "maps": [_map(heat, shape) for heat in result.maps],
    }
    text = json.dumps(values, default=plain_number).encode()
    _write_arrays([segment.mask for segment in result.segments], np.dtype(np.uint8), shape, masks)
    _write_arrays([heat.values for heat in result.maps], np.dtype(np.float32), shape, maps)
    document.write(text)
    document.flush()


def _segment(segment: Segment, shape: tuple[int, int, int]) -> dict[str, Any]:
    mask = np.asarray(segment.mask)
    if mask.shape != shape:
        raise InvalidResult(f"segment {segment.label!r} has the shape {mask.shape}, the volume has {shape}")
    if mask.dtype != bool and not (np.issubdtype(mask.dtype, np.integer) and mask.min() >= 0 and mask.max() <= 1):
        raise InvalidResult(f"segment {segment.label!r} is {mask.dtype}, expected bool or uint8 of 0 and 1")
    return {
        "label": segment.label,
        "type": _code(segment.type),
        "category": _code(segment.category),
        "anatomy": _code(segment.anatomy),
        "laterality": _code(segment.laterality),
        "colour": segment.colour,
    }


def _map(heat: HeatMap, shape: tuple[int, int, int]) -> dict[str, Any]:
    values = np.asarray(heat.values)
    if values.shape != shape:
        raise InvalidResult(f"map {heat.name!r} has the shape {values.shape}, the volume has {shape}")
    if values.dtype.kind not in "fiu":
        raise InvalidResult(f"map {heat.name!r} is {values.dtype}, expected numbers such as float32")
    limits = None if heat.range is None else list(heat.range)
    return {"name": heat.name, "unit": heat.unit, "quantity": _code(heat.quantity), "range": limits}


def _write_arrays(arrays: Sequence[Any], dtype: np.dtype[Any], shape: tuple[int, int, int], file: BinaryIO) -> None:
    size = int(np.prod(shape)) * dtype.itemsize
    for number, array in enumerate(arrays):
        _write_array(np.asarray(array), dtype, number * size, file)
    file.truncate(len(arrays) * size)


def _write_array(array: npt.NDArray[Any], dtype: np.dtype[Any], start: int, file: BinaryIO) -> None:
    _, rows, columns = array.shape
    for index in np.flatnonzero(array.any(axis=(1, 2))):
        nonzero = np.flatnonzero(array[index].any(axis=1))
        first, last = int(nonzero[0]), int(nonzero[-1])
        with np.errstate(over="ignore"):  # values beyond float32 become infinite; the host refuses them
            band = np.ascontiguousarray(array[index, first : last + 1], dtype=dtype)
        offset = start + (int(index) * rows + first) * columns * dtype.itemsize
        _write_all(file.fileno(), band.data.cast("B"), offset)


def _write_all(file: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(file, data, offset)
        data, offset = data[count:], offset + count


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "name": _code(finding.name),
        "presence": finding.presence,
        "score": finding.score,
        "certainty_percent": finding.certainty_percent,
        "site": _code(finding.site),
        "laterality": _code(finding.laterality),
        "urgency": finding.urgency,
        "regions": [_region(region) for region in finding.regions],
        "segment": finding.segment,
        "images": [{"slice": image.slice, "score": image.score} for image in finding.images],
    }


def _region(region: Region) -> dict[str, Any]:
    return {
        "slice": region.slice,
        "points": np.asarray(region.points, dtype=np.float64).tolist(),
        "shape": region.shape,
        "score": region.score,
        "label": region.label,
    }


def _code(code: Any) -> Any:
    """Return the three parts of the code.

    Raises InvalidResult for an object that is not a Code.
    """
    if code is None:
        return None
    try:
        return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
    except AttributeError:
        raise InvalidResult(f"{code!r} is not a Code; write codes[...] or Code(...)") from None


def plain_number(value: object) -> object:
    """Return a numpy number as a Python number, since JSON has no numpy types."""
    if isinstance(value, np.generic):
        return value.item()
    raise InvalidResult(f"the result contains {type(value).__name__}; expected numbers, text or codes")


def _to_list(array: npt.NDArray[np.float64] | None) -> list[Any] | None:
    return None if array is None else array.tolist()


def _array(values: Sequence[Any] | None) -> npt.NDArray[np.float64] | None:
    return None if values is None else np.array(values, dtype=np.float64)
