"""Reads Parametric Maps and maps their values to display colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ParametricMapStorage

from orchestrator.dicom.headers.header import read_header, read_instance
from orchestrator.dicom.objects import sr_tree
from orchestrator.dicom.read.frames import frames_of
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.read.pixels import read_image
from orchestrator.dicom.view.marks import Colour, Place, place_of
from orchestrator.domain.unit import shown_unit

SCALE: tuple[Colour, ...] = (
    *((68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141)),
    *((39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37)),
)
"""Colours from the lowest to the highest value, evenly spaced (viridis): readable for the colour-blind."""

FADES_BELOW = 0.25
"""Fraction of the range below which the colour of a likelihood fades into the image."""


@dataclass(frozen=True, slots=True, eq=False)
class MapMarks:
    """One Parametric Map.

    number: number of the map in the result. range: values of the first and the last colour. frames: by image.
    """

    number: int
    name: str
    unit: str
    range: tuple[float, float]
    frames: Mapping[Place, FrameReference]

    @property
    def text(self) -> str:
        """The text of the legend: range and unit."""
        lowest, highest = (f"{end:.4g}" for end in self.range)
        return f"{lowest} to {highest} {shown_unit(self.unit)}".strip()

    @property
    def fades(self) -> bool:
        """Whether low values mean that nothing is there, as in a map without unit (a likelihood)."""
        return self.unit == "1"

    def shares(self, place: Place) -> npt.NDArray[np.float32]:
        """Return the values on an image as (row, column), from 0 for the first colour to 1 for the last."""
        lowest, highest = self.range
        values = read_image(self.frames[place]).astype(np.float32, copy=False)
        return np.asarray(np.clip((values - lowest) / (highest - lowest), 0, 1), dtype=np.float32)

    def peak(self, place: Place) -> float:
        """Return the highest value on an image."""
        return float(read_image(self.frames[place]).max())


def is_map(path: Path) -> bool:
    """Return whether a file is a Parametric Map; only its file meta information is read."""
    return bool(read_file_meta_info(path).MediaStorageSOPClassUID == ParametricMapStorage)


def map_marks(path: Path) -> MapMarks:
    """Return the map in a file; its values are read on demand.

    Raises UnreadableFile and UnsupportedInput.
    """
    header, instance = read_header(path), read_instance(path)
    groups = header.SharedFunctionalGroupsSequence[0]
    mapping, window = groups.RealWorldValueMappingSequence[0], groups.FrameVOILUTSequence[0]
    half = float(window.WindowWidth) / 2
    frames = map(FrameReference.of, frames_of([instance]))
    places = [
        place_of(each.DerivationImageSequence[0].SourceImageSequence[0])
        for each in header.PerFrameFunctionalGroupsSequence
    ]
    return MapMarks(
        number=int(header.InstanceNumber),
        name=mapping.LUTExplanation,
        unit=sr_tree.value_of(mapping.MeasurementUnitsCodeSequence[0]),
        range=(float(window.WindowCenter) - half, float(window.WindowCenter) + half),
        frames=dict(zip(places, frames, strict=True)),
    )


def apply_colours(shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the colours (row, column, 3), RGB 0..255, of shares (row, column) from 0 to 1."""
    ends = np.linspace(0, 1, len(SCALE))
    channels = [np.interp(shares, ends, [colour[channel] for colour in SCALE]) for channel in range(len("RGB"))]
    return np.stack(channels, axis=-1).astype(np.float32)
