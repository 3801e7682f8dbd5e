"""Grey-scale transformations of a presentation state (PS3.3 C.11.1, C.11.6, C.11.8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from pydicom import Dataset

from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.read.pixels import read_image
from orchestrator.dicom.result.source_grid import SourceGrid, references

SOFT_TISSUE = (40.0, 400.0)
"""Window centre and width in HU for a CT without a window."""
ALL_BUT_EXTREMES = (0.5, 99.5)
"""Percentiles that give the window of other images without a window."""

Window = tuple[str, str, str]
"""Centre, width and VOI LUT Function as DICOM text; the last may be empty."""


class GreyScale:
    """The grey-scale transformations of the images of one grid."""

    def __init__(self, source: SourceGrid) -> None:
        self._source = source

    def describe(self, state: Dataset, frames: Sequence[FrameReference]) -> None:
        """Add the transformations of images that share modality transformation and photometric interpretation.

        Raises UnsupportedInput.
        """
        header = self._source.image_header(frames[0])
        _add_modality(state, header)
        state.SoftcopyVOILUTSequence = self._windows(frames)
        # the presentation LUT replaces the MONOCHROME1 of the image
        inverse = header.get("PhotometricInterpretation") == "MONOCHROME1"
        state.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"

    def _windows(self, frames: Sequence[FrameReference]) -> list[Dataset]:
        """Return one item for each window; with several windows each item refers to its images."""
        by_window: dict[Window, list[FrameReference]] = {}
        tables: list[Dataset] = []
        for frame in frames:
            header = self._source.image_header(frame)
            window = _window_of(header)
            if window is None and header.get("VOILUTSequence"):
                item = Dataset()
                item.ReferencedImageSequence = references([frame])
                item.VOILUTSequence = header.VOILUTSequence[:1]
                tables.append(item)
            else:
                by_window.setdefault(window or self._default, []).append(frame)
        items = [*tables, *(_window_item(window, group) for window, group in by_window.items())]
        if len(items) == 1:
            del items[0].ReferencedImageSequence
        return items

    @cached_property
    def _default(self) -> Window:
        """The window of images without one: soft tissue for a CT, else nearly all values of the middle image."""
        if str(self._source.header.get("Modality")) == "CT":
            return str(SOFT_TISSUE[0]), str(SOFT_TISSUE[1]), ""
        frames = self._source.grid.frames
        frame = frames[len(frames) // 2]
        low, high = np.percentile(read_image(frame), ALL_BUT_EXTREMES)
        centre, width = float(low + high) / 2, max(float(high - low), 1.0)
        return f"{_before_inversion(frame, centre):.9g}", f"{width:.9g}", ""


def _before_inversion(frame: FrameReference, centre: float) -> float:
    """Return the centre in the values before MONOCHROME1 was inverted."""
    if frame.layout is None or not frame.layout.inverted:
        return centre
    return sum(frame.layout.limits) * frame.rescale.slope + 2 * frame.rescale.intercept - centre


def _add_modality(state: Dataset, header: Dataset) -> None:
    """Copy the modality transformation; without it a presentation state applies to stored values."""
    if header.get("ModalityLUTSequence"):
        state.ModalityLUTSequence = header.ModalityLUTSequence
    elif "RescaleSlope" in header or "RescaleIntercept" in header:
        state.RescaleIntercept = header.get("RescaleIntercept", "0")
        state.RescaleSlope = header.get("RescaleSlope", "1")
        state.RescaleType = str(header.get("RescaleType") or ("HU" if header.get("Modality") == "CT" else "US"))


def _window_of(header: Dataset) -> Window | None:
    """Return the first window of an image, None where it has no valid one."""
    values = [np.atleast_1d(header.get(keyword, [])) for keyword in ("WindowCenter", "WindowWidth")]
    if not all(len(each) for each in values) or float(values[1][0]) < 1:
        return None
    return str(values[0][0]), str(values[1][0]), str(header.get("VOILUTFunction") or "")


def _window_item(window: Window, frames: Sequence[FrameReference]) -> Dataset:
    item = Dataset()
    item.ReferencedImageSequence = references(frames)
    item.WindowCenter, item.WindowWidth, function = window
    if function:
        item.VOILUTFunction = function
    return item
