"""Plans the grids of a series for a model, from headers alone: order of slices, geometry, units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import UID

from orchestrator.dicom.headers import geometry
from orchestrator.dicom.headers.attributes import distinct, number, text
from orchestrator.dicom.headers.clean_header import NUMBERS, are_lengths
from orchestrator.dicom.headers.image_name import image_name, view_name, view_names
from orchestrator.dicom.headers.patient import comparable
from orchestrator.dicom.read.frames import Frame, frames_of
from orchestrator.dicom.read.kinds import is_image, lacks_pixels
from orchestrator.dicom.read.mixtures import check_mosaic, check_reconstructions
from orchestrator.dicom.read.pixel_values import DECODED_AT_MOST, PLAIN, UNSCALED, PixelLayout, Rescale, common_dtype
from orchestrator.dicom.read.units import check_units
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.images import NOT_COUNTED, ImageCount, LeftOut
from orchestrator.domain.model import Accepts, Geometry
from orchestrator.domain.series import Headers, HeaderValue, Instance, Plane, Series
from orchestrator.domain.volume import Affine

VOLUME_FACTS = (
    *("Modality", "BodyPartExamined", "Laterality", "ImageLaterality", "ViewPosition", "PatientPosition"),
    *("PatientOrientation", "ImageType", "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "KVP"),
    *("ConvolutionKernel", "SliceThickness", "SpacingBetweenSlices", "GantryDetectorTilt", "ContrastBolusAgent"),
    *("MagneticFieldStrength", "EchoTime", "RepetitionTime", "InversionTime", "FlipAngle", "MRAcquisitionType"),
    *("ScanningSequence", "SequenceVariant", "Units", "PixelSpacing", "ImagerPixelSpacing", "FrameTime"),
    *("PhotometricInterpretation", "BitsStored", "LossyImageCompression", "BurnedInAnnotation"),
)
"""Attributes that a model may see as ``Volume.facts``: how the images were made, no patient data."""

DISTINGUISHING = (
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime", "NominalCardiacTriggerDelayTime"),
    *("DiffusionBValue", "EchoTime", "EffectiveEchoTime", "EchoNumbers", "InversionTime", "ImageType", "FrameType"),
    *("ComplexImageComponent", "ConvolutionKernel", "KVP", "AcquisitionNumber", "AcquisitionDateTime"),
    *("FrameAcquisitionDateTime", "AcquisitionTime", "ContentTime"),
)
"""Attributes in which images at one position may differ: time, cardiac phase, diffusion, echo, reconstruction."""


_OF_A_PLANE = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
"""Attributes that give an image its place in the patient, and how many numbers each has (PS3.3 C.7.6.2)."""


@dataclass(frozen=True, slots=True)
class FrameReference:
    """One image of a grid.

    frame: number in the file from 1; None for a single-frame file.
    layout, rescale: how ``fill`` reads the pixels. name: as a PACS names the image, see ``image_name``.
    view: its side and view, ``R MLO``; may be empty.
    """

    path: Path
    sop_uid: str
    sop_class: str
    frame: int | None = None
    layout: PixelLayout | None = None
    rescale: Rescale = UNSCALED
    name: str = ""
    view: str = ""

    @classmethod
    def of(cls, frame: Frame) -> FrameReference:
        """Return the reference to an image."""
        instance = frame.instance
        return cls(
            path=instance.path,
            sop_uid=instance.sop_uid,
            sop_class=instance.sop_class,
            frame=frame.number,
            layout=frame.layout,
            rescale=frame.rescale,
            name=image_name(frame.headers, frame.number),
            view=view_name(frame.headers),
        )

    @property
    def numbers(self) -> list[int] | None:
        """Referenced Frame Number; None for a single-frame file."""
        return None if self.frame is None else [self.frame]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The plan of a volume: (slice, row, column), or (slice, row, column, 3) for colour.

    frames: one image per slice. affine, positions, unit, modality, facts: as in Volume.
    count: how many instances of the series came, are read, and are left out; the same in all grids of a series.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: Affine | None
    positions: npt.NDArray[np.float64] | None
    unit: str
    modality: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    frames: tuple[FrameReference, ...] = ()
    count: ImageCount = NOT_COUNTED


def plan(series: Series, accepts: Accepts) -> tuple[Grid, ...]:
    """Return the grids of a series: one for VOLUME and STACK, one per image size for IMAGE.

    Only ``series.images`` are read; a refusal says what was left out beside its fault.
    Images with patient geometry are ordered by it, never by file order or instance number.
    Raises UnsupportedInput with one of these faults: SHARED_UID, NO_IDENTITY, MIXED_PATIENT, MIXED_SERIES, NO_PIXELS,
    TRUNCATED, UNSUPPORTED_ENCODING, MOSAIC, WRONG_UNIT, LOCALIZER, NO_GEOMETRY, MIXED_SIZE, MIXED_ORIENTATION,
    SEVERAL_TIME_POINTS, DUPLICATE_POSITION, SEVERAL_RECONSTRUCTIONS, GANTRY_TILT, MISSING_SLICE, IRREGULAR_SPACING,
    TOO_FEW_SLICES, TOO_LARGE, UNSUPPORTED_CLASS,
    SHIFTED.
    """
    _check_uids(series)
    try:
        grids = _grids(series, accepts)
    except UnsupportedInput as refusal:
        if not series.count.left_out:
            raise
        raise UnsupportedInput(refusal.fault, f"{refusal.reason}; {series.count.left_out_sentence}") from None
    count = replace(series.count, views=view_names(instance.headers for instance in series.images))
    return tuple(replace(grid, count=count) for grid in grids)


def _grids(series: Series, accepts: Accepts) -> tuple[Grid, ...]:
    images = [instance for instance in series.images if is_image(instance)]
    if no_pixels := [instance.sop_uid for instance in series.images if lacks_pixels(instance)]:
        total = len(no_pixels) + len(images)
        reason = f"{len(no_pixels)} of {total} images have no pixels, first {no_pixels[0]}"
        raise UnsupportedInput(InputFault.NO_PIXELS, reason)
    if not images:
        is_broken = LeftOut.UNREADABLE in series.count.left_out.values()
        fault = InputFault.UNREADABLE if is_broken else InputFault.NO_PIXELS
        reason = f"series {series.series_uid} has no {'readable images' if is_broken else 'images'}"
        raise UnsupportedInput(fault, reason)
    _check_identity([instance for instance in series.instances if is_image(instance)])
    _check_classes(images)
    frames = list(frames_of(images))
    check_mosaic(frames)
    check_units(frames, accepts)
    grids = _image_grids(frames, accepts) if accepts.geometry is Geometry.IMAGE else (_stack(frames, accepts),)
    for grid in grids:
        _check_size(grid)
        if grid.shape[0] < accepts.minimum_slices:
            slices = "1 slice" if grid.shape[0] == 1 else f"{grid.shape[0]} slices"
            reason = f"the series has {slices}, the model needs at least {accepts.minimum_slices}"
            raise UnsupportedInput(InputFault.TOO_FEW_SLICES, reason)
    return grids


def _check_uids(series: Series) -> None:
    """Refuse a series in which different images have one SOP Instance UID: archives keep one of them."""
    if shared := [instance.sop_uid for instance in series.instances if instance.left_out is LeftOut.SHARED_UID]:
        also = f", and {len(shared) - 1} more SOP Instance UIDs are shared" if len(shared) > 1 else ""
        reason = (
            f"different images have the SOP Instance UID {shared[0]}{also}; the sender must give each image its own"
        )
        raise UnsupportedInput(InputFault.SHARED_UID, reason)


def _check_classes(images: Sequence[Instance]) -> None:
    """Refuse private classes: many systems read no report that refers to them."""
    if unknown := [image for image in images if UID(image.sop_class).name == image.sop_class]:
        reason = (
            f"the images are of SOP class {unknown[0].sop_class}, which is private or not known here; send them as a "
            "storage class of the standard"
        )
        raise UnsupportedInput(InputFault.UNSUPPORTED_CLASS, reason)


def _check_size(grid: Grid) -> None:
    """Refuse a volume of compressed or deflated images that would be larger than this host decodes."""
    layouts = [frame.layout for frame in grid.frames if frame.layout is not None]
    size = math.prod(grid.shape) * grid.dtype.itemsize
    if size > DECODED_AT_MOST and any(layout.location.transfer_syntax not in PLAIN for layout in layouts):
        raise UnsupportedInput(
            InputFault.TOO_LARGE,
            f"the images decode to a volume of {size >> 20} MiB; the limit is {DECODED_AT_MOST >> 20} MiB",
        )


def _image_grids(frames: Sequence[Frame], accepts: Accepts) -> tuple[Grid, ...]:
    """Return one grid for each size and kind of image, ordered by instance number."""

    def kind(frame: Frame) -> tuple[object, ...]:
        layout = frame.layout
        return layout.rows, layout.columns, layout.colour and accepts.colour, frame.rescale.unit

    def position(frame: Frame) -> tuple[float, str, int]:
        return number(frame.headers, "InstanceNumber") or 0, frame.instance.sop_uid, frame.number or 0

    images = sorted(frames, key=lambda frame: (*map(str, kind(frame)), *position(frame)))
    grids = [_grid(list(group), None, None, accepts) for _, group in groupby(images, key=kind)]
    return tuple(sorted(grids, key=lambda grid: -grid.shape[0]))


def _stack(frames: Sequence[Frame], accepts: Accepts) -> Grid:
    _check_stackable(frames)
    planes = [frame.plane for frame in frames if frame.plane is not None]
    if len(planes) < len(frames):
        raise UnsupportedInput(InputFault.NO_GEOMETRY, _without_geometry(frames))
    if shared := [frame for frame in frames if frame.number is not None and frame.headers is frame.instance.headers]:
        reason = f"the {len(shared)} frames of {shared[0].instance.sop_uid} have no places of their own"
        raise UnsupportedInput(InputFault.NO_GEOMETRY, reason)
    _check_pixel_spacing(planes)
    geometry.check_orientation(planes)
    along = geometry.distances(planes)
    _check_positions(frames, along)
    check_reconstructions(frames, along)
    _check_diffusion(frames)
    stacking = geometry.stack(
        planes,
        slice_mm=_slice_mm(frames[0].headers),
        regular=accepts.geometry is Geometry.VOLUME,
        gantry_tilt=accepts.gantry_tilt,
    )
    return _grid([frames[index] for index in stacking.order], stacking.affine, stacking.positions, accepts)


def _without_geometry(frames: Sequence[Frame]) -> str:
    """Say how many images lack their place, and what the first of them states instead of numbers."""
    missing = [frame for frame in frames if frame.plane is None]
    reason = f"{len(missing)} of {len(frames)} images have no position, orientation or pixel spacing"
    headers = missing[0].headers
    stated = {keyword: headers[keyword] for keyword in _OF_A_PLANE if keyword in headers}
    wrong = [
        f"{keyword} is {'/'.join(map(str, values))}"
        for keyword, values in stated.items()
        if len(values) != _OF_A_PLANE[keyword] or any(isinstance(value, str) for value in values)
    ]
    absent = [keyword for keyword in _OF_A_PLANE if keyword not in headers]
    return f"{reason}: {', '.join([*wrong, *(f'{keyword} is absent' for keyword in absent)])}" if wrong else reason


def _grid(
    frames: Sequence[Frame],
    affine: Affine | None,
    positions: npt.NDArray[np.float64] | None,
    accepts: Accepts,
) -> Grid:
    first = frames[0].layout
    in_colour = first.colour and accepts.colour
    grey = [(frame.layout, frame.rescale) for frame in frames if not frame.layout.colour]
    shape = (len(frames), first.rows, first.columns, *((3,) if in_colour else ()))
    return Grid(
        shape=shape,
        dtype=common_dtype(grey) if grey else np.dtype(np.uint8),
        affine=affine,
        positions=positions,
        unit=frames[0].rescale.unit,
        modality=text(frames[0].headers, "Modality"),
        facts=_volume_facts(frames),
        frames=tuple(map(FrameReference.of, frames)),
    )


def _volume_facts(frames: Sequence[Frame]) -> dict[str, Any]:
    facts = distinct(
        [{key: frame.headers[key] for key in VOLUME_FACTS if _is_valid(frame.headers, key)} for frame in frames]
    )
    return {key: values[0] if len(values) == 1 else values for key, values in facts.items()}


def _is_valid(headers: Headers, keyword: str) -> bool:
    """Return True where the attribute is present, its values match a numeric VR, and lengths are above zero."""
    values, tag = headers.get(keyword, ()), tag_for_keyword(keyword) or 0
    if dictionary_VR(tag) in NUMBERS and any(isinstance(value, str) for value in values):
        return False
    return bool(values) and are_lengths(tag, values)


def _slice_mm(headers: Headers) -> float | None:
    """Return the spacing to assume for a single slice, mm."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        if (spacing := number(headers, keyword)) is not None and spacing > 0:
            return spacing
    return None


def _check_identity(images: Sequence[Instance]) -> None:
    """Refuse images of several series or patients; an attribute may be empty in all of them (type 2)."""
    if len({(image.study_uid, image.series_uid) for image in images}) > 1:
        raise UnsupportedInput(InputFault.MIXED_SERIES, "the images are of more than one series or study")
    for keyword in ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate"):
        if len({comparable(text(image.headers, keyword)) for image in images}) > 1:
            raise UnsupportedInput(
                InputFault.MIXED_PATIENT, f"the images of series {images[0].series_uid} differ in {keyword}"
            )
    if not text(images[0].headers, "PatientID") and not text(images[0].headers, "PatientName"):
        raise UnsupportedInput(
            InputFault.NO_IDENTITY, f"series {images[0].series_uid} has neither PatientID nor PatientName"
        )


def _check_stackable(frames: Sequence[Frame]) -> None:
    """Refuse images that cannot form one stack, wherever they lie."""
    total = len(frames)
    kinds = [(*frame.headers.get("ImageType", ()), *frame.headers.get("FrameType", ())) for frame in frames]
    if localizers := sum("LOCALIZER" in map(str.upper, map(str, each)) for each in kinds):
        raise UnsupportedInput(InputFault.LOCALIZER, f"{localizers} of {total} images are localizers")
    _refuse_several(frames, lambda frame: (frame.layout.rows, frame.layout.columns), InputFault.MIXED_SIZE, "sizes")
    _refuse_several(frames, lambda frame: frame.layout.colour, InputFault.MIXED_SIZE, "colour modes")
    _refuse_several(frames, lambda frame: text(frame.headers, "Modality"), InputFault.MIXED_SERIES, "modalities")
    _refuse_several(
        frames, lambda frame: text(frame.headers, "FrameOfReferenceUID"), InputFault.MIXED_SERIES, "frames of reference"
    )
    _refuse_several(frames, lambda frame: frame.rescale.unit, InputFault.WRONG_UNIT, "units")


def _refuse_several(
    frames: Iterable[Frame], what: Callable[[Frame], HeaderValue | tuple[int, int]], fault: InputFault, name: str
) -> None:
    if (count := len({what(frame) for frame in frames})) > 1:
        raise UnsupportedInput(fault, f"the images have {count} different {name}")


def _check_pixel_spacing(planes: Sequence[Plane]) -> None:
    spacing = np.array([plane.spacing for plane in planes])
    if np.abs(spacing / spacing[0] - 1).max() > 1e-3:  # half a pixel over 512
        raise UnsupportedInput(InputFault.MIXED_SIZE, "the images have different pixel spacings")


def _check_positions(frames: Sequence[Frame], along: npt.NDArray[np.float64]) -> None:
    """Refuse several images at one position; tell several time points from duplicates."""
    positions, counts = geometry.distinct_positions(along)
    if counts.max() == 1:
        return
    crowded = int((counts > 1).sum())
    keyword = next((key for key in DISTINGUISHING if _distinguishes(key, frames, along)), None)
    if keyword is not None and crowded > len(positions) / 2:
        reason = f"{int(np.median(counts))} images at each of {len(positions)} positions, which differ in {keyword}"
        raise UnsupportedInput(InputFault.SEVERAL_TIME_POINTS, reason)
    reason = f"several images at {crowded} of {len(positions)} positions"
    raise UnsupportedInput(InputFault.DUPLICATE_POSITION, reason)


def _check_diffusion(frames: Sequence[Frame]) -> None:
    """Refuse slices of several b-values, also where an incomplete series has one image at each position."""
    b_values = {number(frame.headers, "DiffusionBValue") for frame in frames} - {None}
    if len(b_values) > 1:
        reason = f"the images have {len(b_values)} different b-values"
        raise UnsupportedInput(InputFault.SEVERAL_TIME_POINTS, reason)


def _distinguishes(keyword: str, frames: Sequence[Frame], along: npt.NDArray[np.float64]) -> bool:
    """Return True where the attribute differs between all images at one position."""
    order = np.argsort(along)
    starts = np.flatnonzero(np.diff(along[order], prepend=-np.inf) > geometry.SAME_PLACE_MM)
    for group in np.split(order, starts[1:]):
        values = [frames[index].headers.get(keyword) for index in group]
        if None in values or len(set(values)) < len(values):
            return False
    return True
