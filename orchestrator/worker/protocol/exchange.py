"""How a volume goes into a model process and a result comes out of it; used by both sides.

A request's folder holds ``input/voxels.raw`` and ``input/volume.json``, which the process gets as open
read-only files, and ``output/masks.raw``, ``output/maps.raw`` and ``output/result.json``, which it gets to
write. It is told no path, so that it reaches no other series. Masks lie one after the other, one byte a
voxel, and so do maps, one float32 a voxel; rows above the first and below the last voxel of a slice that is
not 0 are left a hole in the file, which costs neither disk nor time.
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
    """Return all of a volume but its voxels as JSON values."""
    return {
        "shape": list(volume.voxels.shape),
        "dtype": volume.voxels.dtype.str,
        "affine": _listed(volume.affine),
        "positions": _listed(volume.positions),
        "unit": volume.unit,
        "modality": volume.modality,
        "facts": dict(volume.facts),
    }


def read_volume(voxels: BinaryIO, document: BinaryIO) -> Volume:
    """Return the volume whose read-only voxels are mapped, not copied, from the open file."""
    told = json.load(document)
    count = int(np.prod(told["shape"]))
    mapped = mmap.mmap(voxels.fileno(), 0, access=mmap.ACCESS_READ)
    array = np.frombuffer(mapped, dtype=told["dtype"], count=count).reshape(told["shape"])
    return Volume(
        voxels=array,
        affine=_array(told["affine"]),
        unit=told["unit"],
        modality=told["modality"],
        positions=_array(told["positions"]),
        facts=told["facts"],
    )


def write_result(result: Any, shape: tuple[int, int, int], document: BinaryIO, masks: BinaryIO, maps: BinaryIO) -> None:
    """Write what a model returned to the three open files.

    Raises InvalidResult for what cannot even be written; all else the host checks.
    """
    if not isinstance(result, Result):
        raise InvalidResult(f"the model returned {type(result).__name__}, expected a Result")
    told = {
        "segments": [_segment(segment, shape) for segment in result.segments],
        "findings": [_finding(finding) for finding in result.findings],
        "measurements": [asdict(measurement) for measurement in result.measurements],
        "notes": dict(result.notes),
        "maps": [_map(heat, shape) for heat in result.maps],
    }
    text = json.dumps(told, default=plain_number).encode()
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
        "type": _coded(segment.type),
        "category": _coded(segment.category),
        "anatomy": _coded(segment.anatomy),
        "laterality": _coded(segment.laterality),
        "colour": segment.colour,
    }


def _map(heat: HeatMap, shape: tuple[int, int, int]) -> dict[str, Any]:
    values = np.asarray(heat.values)
    if values.shape != shape:
        raise InvalidResult(f"map {heat.name!r} has the shape {values.shape}, the volume has {shape}")
    if values.dtype.kind not in "fiu":
        raise InvalidResult(f"map {heat.name!r} is {values.dtype}, expected numbers such as float32")
    told_range = None if heat.range is None else list(heat.range)
    return {"name": heat.name, "unit": heat.unit, "quantity": _coded(heat.quantity), "range": told_range}


def _write_arrays(arrays: Sequence[Any], dtype: np.dtype[Any], shape: tuple[int, int, int], file: BinaryIO) -> None:
    size = int(np.prod(shape)) * dtype.itemsize
    for number, array in enumerate(arrays):
        _write_array(np.asarray(array), dtype, number * size, file)
    file.truncate(len(arrays) * size)


def _write_array(array: npt.NDArray[Any], dtype: np.dtype[Any], start: int, file: BinaryIO) -> None:
    _, rows, columns = array.shape
    for index in np.flatnonzero(array.any(axis=(1, 2))):
        filled = np.flatnonzero(array[index].any(axis=1))
        first, last = int(filled[0]), int(filled[-1])
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, for the host to refuse
            band = np.ascontiguousarray(array[index, first : last + 1], dtype=dtype)
        offset = start + (int(index) * rows + first) * columns * dtype.itemsize
        _write_all(file.fileno(), band.data.cast("B"), offset)


def _write_all(file: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "name": _coded(finding.name),
        "presence": finding.presence,
        "score": finding.score,
        "certainty_percent": finding.certainty_percent,
        "site": _coded(finding.site),
        "laterality": _coded(finding.laterality),
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


def _coded(code: Any) -> Any:
    """Return the code's three parts; what a plugin gave that is no Code becomes its own InvalidResult."""
    if code is None:
        return None
    try:
        return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
    except AttributeError:
        raise InvalidResult(f"{code!r} is no Code; look one up with codes[...] or give Code(...)") from None


def plain_number(value: object) -> object:
    """Return a numpy number as Python's; models compute with numpy, JSON knows none of it."""
    if isinstance(value, np.generic):
        return value.item()
    raise InvalidResult(f"the result holds {type(value).__name__}, which is no number, text or code")


def _listed(array: npt.NDArray[np.float64] | None) -> list[Any] | None:
    return None if array is None else array.tolist()


def _array(values: Sequence[Any] | None) -> npt.NDArray[np.float64] | None:
    return None if values is None else np.array(values, dtype=np.float64)
