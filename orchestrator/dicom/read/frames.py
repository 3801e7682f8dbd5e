"""The images of a series: single-frame files and the frames of multi-frame files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut

from orchestrator.dicom.headers.attributes import frame_attributes, plane
from orchestrator.dicom.headers.header import read_header
from orchestrator.dicom.read.pixel_values import PixelLayout, Rescale, Table, pixel_layout, read_rescale
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.series import Headers, Instance, Plane


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of an instance.

    number: frame number from 1; None for a file with one image and no functional groups, whatever its Number of Frames:
        a reference to a frame is invalid for single-frame classes (PS3.3 10.3).
    headers: attributes of this frame: functional groups override the attributes of the object.
    plane: None without patient geometry.
    """

    instance: Instance
    number: int | None
    headers: Headers
    plane: Plane | None
    layout: PixelLayout
    rescale: Rescale


def frames_of(instances: Iterable[Instance]) -> Iterator[Frame]:
    """Yield each image of the instances. Headers of multi-frame files are read, pixels never.

    Raises UnsupportedInput (NO_PIXELS, TRUNCATED, UNSUPPORTED_ENCODING, UNREADABLE).
    """
    for instance in instances:
        if instance.pixels is None:
            raise UnsupportedInput(InputFault.NO_PIXELS, f"instance {instance.sop_uid} has no pixel data")
        layout = pixel_layout(instance.headers, instance.pixels, instance.frames, instance.sop_uid)
        needs_header = instance.headers.keys() & {"NumberOfFrames", "ModalityLUTType"}
        header = _header(instance) if needs_header else None
        table = None if header is None else _modality_lut(header, layout)
        for number, headers in _frame_headers(instance, header):
            scale = read_rescale(headers, instance.sop_class, instance.sop_uid, table)
            yield Frame(instance, number, headers, plane(headers), layout, scale)


def _header(instance: Instance) -> Dataset:
    try:
        return read_header(instance.path)
    except (OSError, ValueError) as error:
        raise UnsupportedInput(
            InputFault.UNREADABLE,
            f"the file of instance {instance.sop_uid} cannot be read anymore ({type(error).__name__})",
        ) from error


def _frame_headers(instance: Instance, header: Dataset | None) -> Sequence[tuple[int | None, Headers]]:
    if header is None or "NumberOfFrames" not in instance.headers:
        return [(None, instance.headers)]
    groups = frame_attributes(header)
    if not groups and instance.frames == 1:
        return [(None, instance.headers)]
    groups = groups or [instance.headers] * instance.frames
    if len(groups) != instance.frames:
        raise UnsupportedInput(
            InputFault.UNSUPPORTED_ENCODING,
            f"instance {instance.sop_uid} describes {len(groups)} frames but has {instance.frames}",
        )
    return list(enumerate(groups, start=1))


def _modality_lut(header: Dataset, layout: PixelLayout) -> Table | None:
    """Return the modality LUT (PS3.3 C.11.1), None where there is none."""
    for item in header.get("ModalityLUTSequence") or ():
        count, first, _ = (int(value) for value in item.LUTDescriptor)
        outputs = apply_modality_lut(np.arange(first, first + (count or 65536)), header)
        # implicit VR reads the first value as unsigned even where the pixels are signed
        return Table(first - 65536 if layout.signed and first >= 32768 else first, tuple(outputs.tolist()))
    return None
