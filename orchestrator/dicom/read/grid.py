"""From headers alone: the grid, or grids, that a model which accepts this can be given of a series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_VR, tag_for_keyword

from orchestrator.dicom.read import geometry
from orchestrator.dicom.read.attributes import distinct, number, text
from orchestrator.dicom.read.clean_header import NUMBERS
from orchestrator.dicom.read.frames import Frame, frames_of
from orchestrator.dicom.read.pixel_values import UNSCALED, Rescale, Stored, common_dtype
from orchestrator.dicom.read.series import is_image, lacks_pixels
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from orchestrator.domain.series import Headers, HeaderValue, Instance, Plane, Series
from orchestrator.domain.volume import Affine

PASSED_ON = (
    *("Modality", "BodyPartExamined", "Laterality", "ImageLaterality", "ViewPosition", "PatientPosition"),
    *("PatientOrientation", "ImageType", "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "KVP"),
    *("ConvolutionKernel", "SliceThickness", "SpacingBetweenSlices", "GantryDetectorTilt", "ContrastBolusAgent"),
    *("MagneticFieldStrength", "EchoTime", "RepetitionTime", "InversionTime", "FlipAngle", "MRAcquisitionType"),
    *("ScanningSequence", "SequenceVariant", "Units", "PixelSpacing", "ImagerPixelSpacing", "FrameTime"),
    *("PhotometricInterpretation", "BitsStored", "LossyImageCompression", "BurnedInAnnotation"),
)
"""Attributes that a model may see as ``Volume.facts``: how the images were made, never whose they are."""

TOLD_APART_BY = (
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime", "NominalCardiacTriggerDelayTime"),
    *("DiffusionBValue", "EchoTime", "EffectiveEchoTime", "EchoNumbers", "InversionTime", "ImageType", "FrameType"),
    *("ComplexImageComponent", "ConvolutionKernel", "KVP", "AcquisitionNumber", "AcquisitionDateTime"),
    *("FrameAcquisitionDateTime", "AcquisitionTime", "ContentTime"),
)
"""What can differ between images at one place: time, cardiac phase, diffusion, echo, kind of image, reconstruction."""


@dataclass(frozen=True, slots=True)
class FrameReference:
    """One image of a grid: its file, its identity, its number in the file (1-based, None in a single-frame file).

    stored, rescale: where its pixels lie and what they mean, for ``fill``.
    """

    path: Path
    sop_uid: str
    sop_class: str
    frame: int | None = None
    stored: Stored | None = None
    rescale: Rescale = UNSCALED

    @property
    def numbers(self) -> list[int] | None:
        """Its Referenced Frame Number, None where the file is the image."""
        return None if self.frame is None else [self.frame]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """What a volume will be: (slice, row, column), or (slice, row, column, 3) for colour.

    frames: the image of each slice. affine, positions, unit, modality, facts: as in Volume.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: Affine | None
    positions: npt.NDArray[np.float64] | None
    unit: str
    modality: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    frames: tuple[FrameReference, ...] = ()


def plan(series: Series, accepts: Accepts) -> tuple[Grid, ...]:
    """Return the grids that the series is read into: one for VOLUME and STACK, one per image size for IMAGE.

    Instances without images (a report, a presentation state among the images) are left aside.
    File order and instance numbers never matter where images have a place in the patient.
    Raises UnsupportedInput naming the fault: NO_IDENTITY, MIXED_PATIENT, MIXED_SERIES, NO_PIXELS,
    TRUNCATED, UNSUPPORTED_ENCODING, LOCALIZER, NO_GEOMETRY, MIXED_SIZE, MIXED_ORIENTATION,
    SEVERAL_TIME_POINTS, DUPLICATE_POSITION, GANTRY_TILT, MISSING_SLICE, IRREGULAR_SPACING, TOO_FEW_SLICES.
    """
    images = [instance for instance in series.instances if is_image(instance)]
    if lacking := [instance.sop_uid for instance in series.instances if lacks_pixels(instance)]:
        found = f"{len(lacking)} of {len(lacking) + len(images)} images have no pixels, first {lacking[0]}"
        raise UnsupportedInput(InputFault.NO_PIXELS, found)
    if not images:
        raise UnsupportedInput(InputFault.NO_PIXELS, f"series {series.series_uid} has no images")
    _check_identity(images)
    frames = list(frames_of(images))
    grids = _pictures(frames, accepts) if accepts.geometry is Geometry.IMAGE else (_stack(frames, accepts),)
    for grid in grids:
        if grid.shape[0] < accepts.minimum_slices:
            found = f"{grid.shape[0]} slices where the model takes {accepts.minimum_slices} or more"
            raise UnsupportedInput(InputFault.TOO_FEW_SLICES, found)
    return grids


def _pictures(frames: Sequence[Frame], accepts: Accepts) -> tuple[Grid, ...]:
    """Return one grid for all images of one size and kind, in the order of their instance numbers."""

    def kind(frame: Frame) -> tuple[object, ...]:
        stored = frame.stored
        return stored.rows, stored.columns, stored.colour and accepts.colour, frame.rescale.unit

    def turn(frame: Frame) -> tuple[float, str, int]:
        return number(frame.headers, "InstanceNumber") or 0, frame.instance.sop_uid, frame.number or 0

    ordered = sorted(frames, key=lambda frame: (*map(str, kind(frame)), *turn(frame)))
    grids = [_grid(list(group), None, None, accepts) for _, group in groupby(ordered, key=kind)]
    return tuple(sorted(grids, key=lambda grid: -grid.shape[0]))


def _stack(frames: Sequence[Frame], accepts: Accepts) -> Grid:
    _check_alike(frames)
    planes = [frame.plane for frame in frames if frame.plane is not None]
    if len(planes) < len(frames):
        lacking = len(frames) - len(planes)
        raise UnsupportedInput(
            InputFault.NO_GEOMETRY, f"{lacking} of {len(frames)} images have no place in the patient"
        )
    _check_pixel_spacing(planes)
    geometry.check_orientation(planes)
    _check_places(frames, geometry.distances(planes))
    _check_diffusion(frames)
    stacking = geometry.stack(
        planes,
        slice_mm=_slice_mm(frames[0].headers),
        regular=accepts.geometry is Geometry.VOLUME,
        gantry_tilt=accepts.gantry_tilt,
    )
    return _grid([frames[index] for index in stacking.order], stacking.affine, stacking.positions, accepts)


def _grid(
    frames: Sequence[Frame],
    affine: Affine | None,
    positions: npt.NDArray[np.float64] | None,
    accepts: Accepts,
) -> Grid:
    first = frames[0].stored
    in_colour = first.colour and accepts.colour
    shape = (len(frames), first.rows, first.columns, *((3,) if in_colour else ()))
    return Grid(
        shape=shape,
        dtype=_dtype(frames),
        affine=affine,
        positions=positions,
        unit=frames[0].rescale.unit,
        modality=text(frames[0].headers, "Modality"),
        facts=_passed_on(frames),
        frames=tuple(map(_reference, frames)),
    )


def _dtype(frames: Sequence[Frame]) -> np.dtype[Any]:
    """Return uint8 where all is colour or its luminance, else what holds the grey values."""
    grey = [(frame.stored, frame.rescale) for frame in frames if not frame.stored.colour]
    return common_dtype(grey) if grey else np.dtype(np.uint8)


def _reference(frame: Frame) -> FrameReference:
    instance = frame.instance
    return FrameReference(
        instance.path, instance.sop_uid, instance.sop_class, frame.number, frame.stored, frame.rescale
    )


def _passed_on(frames: Sequence[Frame]) -> dict[str, Any]:
    found = distinct(
        [{key: frame.headers[key] for key in PASSED_ON if _is_sound(frame.headers, key)} for frame in frames]
    )
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _is_sound(headers: Headers, keyword: str) -> bool:
    """True where the attribute is there and no text stands where its VR asks for numbers."""
    values = headers.get(keyword, ())
    numeric = dictionary_VR(tag_for_keyword(keyword) or 0) in NUMBERS
    return bool(values) and not (numeric and any(isinstance(value, str) for value in values))


def _slice_mm(headers: Headers) -> float | None:
    """Return how far a slice that has no neighbour reaches."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        if (found := number(headers, keyword)) is not None and found > 0:
            return found
    return None


def _check_identity(images: Sequence[Instance]) -> None:
    """Refuse images of two series or two patients; empty attributes are fine where all are empty (type 2)."""
    if len({(image.study_uid, image.series_uid) for image in images}) > 1:
        raise UnsupportedInput(InputFault.MIXED_SERIES, "the images are of more than one series or study")
    for keyword in ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate"):
        if len({_same_person(text(image.headers, keyword)) for image in images}) > 1:
            raise UnsupportedInput(
                InputFault.MIXED_PATIENT, f"the images of series {images[0].series_uid} differ in {keyword}"
            )
    if not text(images[0].headers, "PatientID") and not text(images[0].headers, "PatientName"):
        raise UnsupportedInput(
            InputFault.NO_IDENTITY, f"series {images[0].series_uid} has neither PatientID nor PatientName"
        )


def _same_person(value: str) -> str:
    return value.strip().rstrip("^= ").casefold()  # trailing delimiters of a PN carry nothing, PS3.5 6.2.1


def _check_alike(frames: Sequence[Frame]) -> None:
    """Refuse images that cannot be one stack, whatever their places."""
    total = len(frames)
    if localizers := sum("LOCALIZER" in _kinds(frame.headers) for frame in frames):
        raise UnsupportedInput(InputFault.LOCALIZER, f"{localizers} of {total} images are localizers")
    _refuse_several(frames, lambda frame: (frame.stored.rows, frame.stored.columns), InputFault.MIXED_SIZE, "sizes")
    _refuse_several(frames, lambda frame: frame.stored.colour, InputFault.MIXED_SIZE, "numbers of colours")
    _refuse_several(frames, lambda frame: text(frame.headers, "Modality"), InputFault.MIXED_SERIES, "modalities")
    _refuse_several(
        frames, lambda frame: text(frame.headers, "FrameOfReferenceUID"), InputFault.MIXED_SERIES, "frames of reference"
    )
    _refuse_several(frames, lambda frame: frame.rescale.unit, InputFault.UNSUPPORTED_ENCODING, "units")


def _refuse_several(
    frames: Iterable[Frame], what: Callable[[Frame], HeaderValue | tuple[int, int]], fault: InputFault, name: str
) -> None:
    if (count := len({what(frame) for frame in frames})) > 1:
        raise UnsupportedInput(fault, f"{count} {name} in one series")


def _check_pixel_spacing(planes: Sequence[Plane]) -> None:
    spacing = np.array([plane.spacing for plane in planes])
    if np.abs(spacing / spacing[0] - 1).max() > 1e-3:  # half a pixel over 512
        raise UnsupportedInput(InputFault.MIXED_SIZE, "several pixel spacings in one series")


def _kinds(headers: Headers) -> set[str]:
    return {str(kind).upper() for keyword in ("ImageType", "FrameType") for kind in headers.get(keyword, ())}


def _check_places(frames: Sequence[Frame], along: npt.NDArray[np.float64]) -> None:
    """Refuse several images at one place, and say whether they are several time points or one sent twice."""
    places, counts = geometry.places_of(along)
    if counts.max() == 1:
        return
    several = int((counts > 1).sum())
    told_apart = next((key for key in TOLD_APART_BY if _tells_apart(key, frames, along)), None)
    if told_apart is not None and several > len(places) / 2:
        found = f"{int(np.median(counts))} images at each of {len(places)} places, told apart by {told_apart}"
        raise UnsupportedInput(InputFault.SEVERAL_TIME_POINTS, found)
    raise UnsupportedInput(InputFault.DUPLICATE_POSITION, f"several images at {several} of {len(places)} places")


def _check_diffusion(frames: Sequence[Frame]) -> None:
    """Refuse slices of several b-values that never share a place, as an incomplete series may leave them."""
    stated = {number(frame.headers, "DiffusionBValue") for frame in frames} - {None}
    if len(stated) > 1:
        raise UnsupportedInput(InputFault.SEVERAL_TIME_POINTS, f"{len(stated)} b-values in one series")


def _tells_apart(keyword: str, frames: Sequence[Frame], along: npt.NDArray[np.float64]) -> bool:
    """True where the attribute differs between all images that share a place."""
    order = np.argsort(along)
    starts = np.flatnonzero(np.diff(along[order], prepend=-np.inf) > geometry.SAME_PLACE_MM)
    for group in np.split(order, starts[1:]):
        values = [frames[index].headers.get(keyword) for index in group]
        if None in values or len(set(values)) < len(values):
            return False
    return True
