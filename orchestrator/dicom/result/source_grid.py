"""The grid that a model read, with the attributes that written objects copy from its images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread

from orchestrator.dicom.headers.attributes import is_of_object, macros
from orchestrator.dicom.headers.clean_header import remove_invalid
from orchestrator.dicom.headers.header import read_header
from orchestrator.dicom.headers.orientation import letters_of
from orchestrator.dicom.objects.identity import patient_and_study
from orchestrator.dicom.objects.uid import derive_uid
from orchestrator.dicom.read.grid import FrameReference, Grid
from orchestrator.domain.quiet import quiet
from orchestrator.domain.series import StudyIdentity

_SIDE = ("Laterality", "ImageLaterality", "BodyPartExamined")
_BODY_PARTS = {
    **{"818983003": "ABDOMEN", "113345001": "ABDOMEN", "12738006": "BRAIN", "51185008": "CHEST", "69536005": "HEAD"},
    **{"80891009": "HEART", "10200004": "LIVER", "45048000": "NECK", "12921003": "PELVIS"},
    **{"816092008": "PELVIS", "41216001": "PROSTATE", "421060004": "SPINE", "122494005": "CSPINE"},
    **{"122495006": "TSPINE", "122496007": "LSPINE", "38266002": "WHOLEBODY"},
}
"""SNOMED CT code of unpaired anatomic regions -> Body Part Examined (PS3.16 annex L)."""


@dataclass(frozen=True)
class SourceGrid:
    """A grid and the header of its first image.

    number: number of the grid in the job, from 1.
    header: header of the first image's file, without pixels.
    modules: the patient and study modules of every object of the job.
    """

    number: int
    grid: Grid
    header: Dataset
    modules: Dataset

    @classmethod
    def read(cls, number: int, grid: Grid, identity: StudyIdentity | None) -> SourceGrid:
        """Read the headers of a grid; ``identity`` overrides patient and study."""
        header = _header(grid.frames[0].path)
        return cls(number, grid, header, patient_and_study(header, identity))

    @cached_property
    def first(self) -> Dataset:
        """The header of the grid's first frame, with functional groups flattened."""
        return flatten_header(self.header, self.grid.frames[0].frame)

    @property
    def series_uid(self) -> str:
        """The Series Instance UID of the images."""
        return str(self.header.SeriesInstanceUID)

    @cached_property
    def instances(self) -> tuple[FrameReference, ...]:
        """The first frame of each instance, in the grid's order."""
        return tuple({frame.sop_uid: frame for frame in reversed(self.grid.frames)}.values())[::-1]

    @cached_property
    def views(self) -> tuple[str, ...]:
        """Side and view of the images, each once, in order: ``("R CC", "R MLO")``."""
        return tuple(sorted({frame.view for frame in self.grid.frames} - {""}))

    @property
    def frame_of_reference(self) -> str:
        """The Frame of Reference UID; one of their own for images that lack it; empty without patient geometry."""
        has_geometry = (
            self.grid.positions is not None and self.orientation is not None and self.pixel_spacing is not None
        )
        stated = self.header.get("FrameOfReferenceUID")
        return str(stated or derive_uid("frame of reference", self.series_uid)) if has_geometry else ""

    @property
    def orientation(self) -> Sequence[float] | None:
        """Image Orientation (Patient) of the images, None where absent."""
        cosines: Sequence[float] | None = self.first.get("ImageOrientationPatient")
        return cosines or None

    @property
    def pixel_spacing(self) -> Sequence[float] | None:
        """Distance between (rows, columns) in mm, None where Pixel Spacing is absent."""
        spacing: Sequence[float] | None = self.first.get("PixelSpacing")
        return spacing or None

    @property
    def slice_spacing_mm(self) -> float | None:
        """Distance between neighbouring planes along their normal in mm, None where it is irregular."""
        if self.grid.affine is None or len(self.grid.frames) < 2:
            return None
        step, along_column, along_row = self.grid.affine[:3, :3].T
        normal = np.cross(along_row, along_column)
        return float(abs(step @ normal) / np.linalg.norm(normal))

    def millilitres(self, voxels: int) -> float | None:
        """Return the volume of a number of voxels in ml, None where the voxel size is not uniform."""
        if self.grid.affine is None:
            return None
        return float(voxels * abs(np.linalg.det(self.grid.affine[:3, :3])) / 1000.0)

    def square_millimetres(self, pixels: float) -> float | None:
        """Return the area of a number of pixels in mm2, None where their size in the patient is unknown."""
        spacing = self.pixel_spacing
        return None if spacing is None else float(pixels * spacing[0] * spacing[1])

    def lps(self, index: npt.ArrayLike) -> npt.NDArray[np.float64] | None:
        """Return the LPS mm of a (slice, row, column), None without patient geometry."""
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
        """Body Part Examined and Laterality; empty where the images differ."""
        sides = Dataset()
        values = {_side_of(self.header)}
        if any(self.header.get(keyword) for keyword in _SIDE[:2]):
            paths = {frame.path for frame in self.instances}
            values |= {_side_of(_read_sides(path)) for path in paths}
        if len(values) == 1:
            body_part, laterality = values.pop()
            if body_part:
                sides.BodyPartExamined = body_part
            if laterality:
                sides.Laterality = laterality
        return sides

    def image_header(self, frame: FrameReference) -> Dataset:
        """Return the header of one image, with the functional groups of its frame flattened."""
        if frame.path != self.grid.frames[0].path:
            return flatten_header(_header(frame.path), frame.frame)
        return self.first if frame.frame == self.grid.frames[0].frame else flatten_header(self.header, frame.frame)


def common_sides(sources: Sequence[SourceGrid]) -> Dataset:
    """Return Body Part Examined and Laterality that apply to all grids.

    Enhanced objects have the body part as a code in their frames. Without body part, Laterality is required
    (PS3.3 C.7.3.1, type 2C); it is empty where unknown.
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
    """Return references to images (PS3.3 10.3), with one item for all frames of a file."""
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


def lossy_compression(header: Dataset) -> Dataset:
    """Return the attributes of lossy compression of an image, which apply to all objects derived from it."""
    compression = Dataset()
    compression.LossyImageCompression = str(header.get("LossyImageCompression") or "00")
    if compression.LossyImageCompression == "01":
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if header.get(keyword):
                compression[keyword] = header[keyword]
    return compression


def patient_orientation(header: Dataset) -> list[str]:
    """Return Patient Orientation (PS3.3 C.7.6.1.1.1), else the letters of the cosines; empty if unknown."""
    if header.get("PatientOrientation"):
        return [str(letters) for letters in header.PatientOrientation]
    cosines = header.get("ImageOrientationPatient") or []
    return list(letters_of(cosines) or ()) if len(cosines) == len(("x", "y", "z")) * 2 else []


def flatten_header(header: Dataset, frame: int | None) -> Dataset:
    """Return a header with the shared and per-frame macros (PS3.3 C.7.6.16) as attributes at the top level.

    No macro overrides what identifies the object: a report would refer to another one.
    frame: frame number from 1; None for a single-frame image, whose header is returned unchanged.
    """
    if frame is None or "PerFrameFunctionalGroupsSequence" not in header:
        return header
    flat = Dataset()
    flat.update({element.tag: element for element in header if element.VR != "SQ"})
    shared = header.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for groups in (shared[0], header.PerFrameFunctionalGroupsSequence[frame - 1]):
        for item in macros(groups):
            flat.update({tag: element for tag, element in item.items() if not is_of_object(tag)})
    return remove_invalid(flat)


def _header(path: Path) -> Dataset:
    with quiet():  # warnings of pydicom quote values
        header = remove_invalid(read_header(path))
    header.setdefault("Modality", "OT")  # type 1; an Image Library entry requires it
    return header


def _read_sides(path: Path) -> Dataset:
    """Read only the attributes about the side, once for each image."""
    with quiet():
        return remove_invalid(dcmread(path, specific_tags=list(_SIDE), stop_before_pixels=True, force=True))


def _part_by_code(header: Dataset) -> str:
    regions = header.get("AnatomicRegionSequence") or [Dataset()]
    return _BODY_PARTS.get(str(regions[0].get("CodeValue")), "")


def _side_of(header: Dataset) -> tuple[str, str]:
    laterality = str(header.get("ImageLaterality") or header.get("Laterality") or "")
    return str(header.get("BodyPartExamined") or ""), laterality if laterality in {"L", "R"} else ""
