"""One grid that a model read, with what the objects about it copy from its images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread

from orchestrator.dicom.objects.identity import patient_and_study
from orchestrator.dicom.read.clean_header import remove_invalid
from orchestrator.dicom.read.grid import FrameReference, Grid
from orchestrator.dicom.read.header import read_header
from orchestrator.domain.quiet import quiet
from orchestrator.domain.series import StudyIdentity

_SIDE = ("Laterality", "ImageLaterality", "BodyPartExamined")
_BODY_PARTS = {
    **{"818983003": "ABDOMEN", "113345001": "ABDOMEN", "12738006": "BRAIN", "51185008": "CHEST", "69536005": "HEAD"},
    **{"80891009": "HEART", "10200004": "LIVER", "45048000": "NECK", "12921003": "PELVIS"},
    **{"816092008": "PELVIS", "41216001": "PROSTATE", "421060004": "SPINE", "122494005": "CSPINE"},
    **{"122495006": "TSPINE", "122496007": "LSPINE", "38266002": "WHOLEBODY"},
}
"""Body Part Examined of unpaired anatomic regions (PS3.16 annex L), by SNOMED CT code."""


@dataclass(frozen=True)
class Source:
    """A grid and the header of its first image.

    number: which grid of the job, from 1.
    header: of the first image's file, read without pixels.
    modules: patient and study as every object of the job carries them.
    """

    number: int
    grid: Grid
    header: Dataset
    modules: Dataset

    @classmethod
    def read(cls, number: int, grid: Grid, identity: StudyIdentity | None) -> Source:
        """Return the source of a grid; ``identity`` overrides patient and study."""
        header = _header(grid.frames[0].path)
        return cls(number, grid, header, patient_and_study(header, identity))

    @cached_property
    def first(self) -> Dataset:
        """The header that applies to the grid's first frame, functional groups laid flat."""
        return laid_flat(self.header, self.grid.frames[0].frame)

    @property
    def series_uid(self) -> str:
        """The Series Instance UID of the images."""
        return str(self.header.SeriesInstanceUID)

    @cached_property
    def instances(self) -> tuple[FrameReference, ...]:
        """The first frame of each distinct image, in the grid's order."""
        return tuple({frame.sop_uid: frame for frame in reversed(self.grid.frames)}.values())[::-1]

    @property
    def frame_of_reference(self) -> str:
        """The Frame of Reference UID; empty where the images have none, or no place in it."""
        known = self.grid.positions is not None and self.orientation is not None and self.pixel_spacing is not None
        return str(self.header.get("FrameOfReferenceUID") or "") if known else ""

    @property
    def orientation(self) -> Sequence[float] | None:
        """Image Orientation (Patient) as the images have it, None where they have none."""
        found: Sequence[float] | None = self.first.get("ImageOrientationPatient")
        return found or None

    @property
    def pixel_spacing(self) -> Sequence[float] | None:
        """Distance between (rows, columns) in mm, None where it is unknown in the patient."""
        found: Sequence[float] | None = self.first.get("PixelSpacing")
        return found or None

    @property
    def slice_spacing_mm(self) -> float | None:
        """Distance between neighbouring planes along their normal, None where there is no one distance."""
        if self.grid.affine is None or len(self.grid.frames) < 2:
            return None
        step, along_column, along_row = self.grid.affine[:3, :3].T
        normal = np.cross(along_row, along_column)
        return float(abs(step @ normal) / np.linalg.norm(normal))

    def millilitres(self, voxels: int) -> float | None:
        """Return the volume of so many voxels, None where the grid has no one voxel size."""
        if self.grid.affine is None:
            return None
        return float(voxels * abs(np.linalg.det(self.grid.affine[:3, :3])) / 1000.0)

    def square_millimetres(self, pixels: float) -> float | None:
        """Return the area of so many pixels, None where their size in the patient is unknown."""
        spacing = self.pixel_spacing
        return None if spacing is None else float(pixels * spacing[0] * spacing[1])

    def lps(self, index: npt.ArrayLike) -> npt.NDArray[np.float64] | None:
        """Return the LPS mm of a (slice, row, column), None where the images have no place in the patient."""
        positions, orientation, spacing = self.grid.positions, self.orientation, self.pixel_spacing
        if positions is None or orientation is None or spacing is None:
            return None
        slice_, row, column = np.asarray(index, dtype=np.float64)
        whole = np.arange(len(positions))
        first_pixel = np.array([np.interp(slice_, whole, axis) for axis in np.asarray(positions).T])
        along_row, along_column = np.array(orientation, dtype=np.float64).reshape(2, 3)
        return np.asarray(first_pixel + along_column * row * float(spacing[0]) + along_row * column * float(spacing[1]))

    @cached_property
    def sides(self) -> Dataset:
        """Body Part Examined and Laterality; nothing where the images do not all say the same."""
        copied = Dataset()
        stated = {_side_of(self.header)}
        if any(self.header.get(keyword) for keyword in _SIDE[:2]):
            paths = {frame.path for frame in self.instances}
            stated |= {_side_of(_sides(path)) for path in paths}
        if len(stated) == 1:
            body_part, laterality = stated.pop()
            if body_part:
                copied.BodyPartExamined = body_part
            if laterality:
                copied.Laterality = laterality
        return copied

    def image_header(self, frame: FrameReference) -> Dataset:
        """Return the header of one image, functional groups of the frame laid flat."""
        if frame.path != self.grid.frames[0].path:
            return laid_flat(_header(frame.path), frame.frame)
        return self.first if frame.frame == self.grid.frames[0].frame else laid_flat(self.header, frame.frame)


def common_sides(sources: Sequence[Source]) -> Dataset:
    """Return Body Part Examined and Laterality that hold for all of several grids.

    Enhanced objects name the body part by a code of their frames. Where it is unknown a side is asked for
    (PS3.3 C.7.3.1, type 2C), and an empty one says that nobody knows it.
    """
    sides = Dataset()
    first, *others = (source.sides for source in sources)
    if all(each == first for each in others):
        sides.update(first)
    if "BodyPartExamined" not in sides:
        if part := _part_by_code(sources[0].first):
            sides.BodyPartExamined = part
        else:
            sides.setdefault("Laterality", "")
    return sides


def references(frames: Iterable[FrameReference]) -> list[Dataset]:
    """Return references to images (PS3.3 10.3), the frames of one file in one item."""
    items: dict[str, Dataset] = {}
    numbers: dict[str, list[int]] = {}
    for frame in frames:
        item = items.setdefault(frame.sop_uid, Dataset())
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = frame.sop_class, frame.sop_uid
        numbers.setdefault(frame.sop_uid, []).extend(frame.numbers or ())
    for uid, item in items.items():
        if numbers[uid]:
            item.ReferencedFrameNumber = sorted(numbers[uid])
    return list(items.values())


def compression_of(header: Dataset) -> Dataset:
    """Return whether the pixels of an image, and so all that is made of them, went through a lossy compression."""
    said = Dataset()
    said.LossyImageCompression = str(header.get("LossyImageCompression") or "00")
    if said.LossyImageCompression == "01":
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if header.get(keyword):
                said[keyword] = header[keyword]
    return said


def patient_orientation(header: Dataset) -> list[str]:
    """Return the directions of rows and columns (PS3.3 C.7.6.1.1.1): as stated, else the nearest; empty if unknown."""
    if header.get("PatientOrientation"):
        return [str(letters) for letters in header.PatientOrientation]
    cosines = header.get("ImageOrientationPatient") or []
    if len(cosines) != len(("x", "y", "z")) * 2:
        return []
    along = np.array(cosines, dtype=np.float64).reshape(2, 3)
    return [("RAF", "LPH")[int(each.max() > -each.min())][int(np.abs(each).argmax())] for each in along]


def laid_flat(header: Dataset, frame: int | None) -> Dataset:
    """Return a header whose shared and per-frame macros (PS3.3 C.7.6.16) are attributes of the image itself.

    frame: 1-based; None for a single-frame image, whose header comes back as it is.
    """
    if frame is None or "PerFrameFunctionalGroupsSequence" not in header:
        return header
    flat = Dataset()
    flat.update({element.tag: element for element in header if element.VR != "SQ"})
    shared = header.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for groups in (shared[0], header.PerFrameFunctionalGroupsSequence[frame - 1]):
        for macro in groups:
            if macro.VR == "SQ" and macro.value:
                flat.update(macro.value[0])
    return remove_invalid(flat)


def _header(path: Path) -> Dataset:
    with quiet():  # its warnings quote values
        header = remove_invalid(read_header(path))
    header.setdefault("Modality", "OT")  # type 1, and an Image Library entry insists on it
    return header


def _sides(path: Path) -> Dataset:
    """Return only what tells the side, which is read of each image."""
    with quiet():
        return remove_invalid(dcmread(path, specific_tags=list(_SIDE), stop_before_pixels=True, force=True))


def _part_by_code(header: Dataset) -> str:
    regions = header.get("AnatomicRegionSequence") or [Dataset()]
    return _BODY_PARTS.get(str(regions[0].get("CodeValue")), "")


def _side_of(header: Dataset) -> tuple[str, str]:
    laterality = str(header.get("ImageLaterality") or header.get("Laterality") or "")
    return str(header.get("BodyPartExamined") or ""), laterality if laterality in {"L", "R"} else ""
