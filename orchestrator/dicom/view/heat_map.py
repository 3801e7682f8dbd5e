"""Heat maps read back from their objects, and the colours in which they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ParametricMapStorage

from orchestrator.dicom.objects import sr_tree
from orchestrator.dicom.read.frames import frames_of
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.read.header import read_header, read_instance
from orchestrator.dicom.read.pixels import read_image
from orchestrator.dicom.view.marks import Colour, Place
from orchestrator.domain.unit import shown_unit

SCALE: tuple[Colour, ...] = (
    *((68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141)),
    *((39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37)),
)
"""Colours from the lowest to the highest value, evenly spaced (viridis): ever brighter, also to the colour-blind."""

FADES_BELOW = 0.25
"""Share of the range from which on a likelihood has its full colour: below, the image shows through."""


@dataclass(frozen=True, slots=True, eq=False)
class MapMarks:
    """One Parametric Map.

    number: which of a model's maps. shown: the lowest and the highest value that colours tell apart.
    frames: by their places.
    """

    number: int
    name: str
    unit: str
    shown: tuple[float, float]
    frames: Mapping[Place, FrameReference]

    @property
    def text(self) -> str:
        """What a legend says of the colours: their ends and the unit."""
        lowest, highest = (f"{end:.4g}" for end in self.shown)
        return f"{lowest} to {highest} {shown_unit(self.unit)}".strip()

    @property
    def fades(self) -> bool:
        """Whether low values say that nothing is there; where there is a unit each value says something."""
        return self.unit == "1"

    def shares(self, place: Place) -> npt.NDArray[np.float32]:
        """Return (row, column), 0 at the lower end of the colours to 1 at the upper, of the frame at a place."""
        lowest, highest = self.shown
        values = read_image(self.frames[place]).astype(np.float32, copy=False)
        return np.asarray(np.clip((values - lowest) / (highest - lowest), 0, 1), dtype=np.float32)

    def peak(self, place: Place) -> float:
        """Return the highest value on an image."""
        return float(read_image(self.frames[place]).max())


def is_map(path: Path) -> bool:
    """Return whether a file holds a Parametric Map; its pixels, which are many, stay where they are."""
    return bool(read_file_meta_info(path).MediaStorageSOPClassUID == ParametricMapStorage)


def map_marks(path: Path) -> MapMarks:
    """Return the map in a file; its values are read when they are asked for.

    Raises UnreadableFile and UnsupportedInput.
    """
    header, instance = read_header(path), read_instance(path)
    shared = header.SharedFunctionalGroupsSequence[0]
    meant, window = shared.RealWorldValueMappingSequence[0], shared.FrameVOILUTSequence[0]
    half = float(window.WindowWidth) / 2
    frames = [
        FrameReference(path, instance.sop_uid, instance.sop_class, frame.number, frame.layout, frame.rescale)
        for frame in frames_of([instance])
    ]
    places = map(_place, header.PerFrameFunctionalGroupsSequence)
    return MapMarks(
        number=int(header.InstanceNumber),
        name=meant.LUTExplanation,
        unit=sr_tree.value_of(meant.MeasurementUnitsCodeSequence[0]),
        shown=(float(window.WindowCenter) - half, float(window.WindowCenter) + half),
        frames=dict(zip(places, frames, strict=True)),
    )


def coloured(shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return (row, column, 3) RGB 0..255 of shares (row, column) in 0..1."""
    ends = np.linspace(0, 1, len(SCALE))
    channels = [np.interp(shares, ends, [colour[channel] for colour in SCALE]) for channel in range(len("RGB"))]
    return np.stack(channels, axis=-1).astype(np.float32)


def _place(groups: Dataset) -> Place:
    image = groups.DerivationImageSequence[0].SourceImageSequence[0]
    return str(image.ReferencedSOPInstanceUID), sr_tree.frame_number(image)
