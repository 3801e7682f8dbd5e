"""Selects the instances of a series that models read, so that one stray object does not decide for the series.

Scanners and archives put localizers, dose pages, screenshots, outlines and reports into the series of the images, and
two acquisitions of one series may share slices at their seam.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from orchestrator.dicom.headers import geometry
from orchestrator.dicom.headers.attributes import number, text
from orchestrator.dicom.read.kinds import machine_written, may_be_image
from orchestrator.domain.images import LeftOut
from orchestrator.domain.series import Instance, Plane

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_LOCALIZERS: Final = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"})
_SCREEN_CAPTURES: Final = frozenset(
    {"SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "SCREEN CAPTURE", "DOSE_INFO", "DOSE REPORT", "CSA REPORT"}
    | {"CT_SOM5 PROT", "CSA BLACK IMAGE"}
)
"""Values of Image Type; beside LOCALIZER none is standard, but scanners write them."""
_OF_THE_PATIENT: Final = frozenset({"CT", "MR", "PT", "NM"})
"""Modalities of slices of the patient; a screen capture beside a radiograph or ultrasound is one more picture."""
_ORDER: Final = (LeftOut.MACHINE_WRITTEN, LeftOut.LOCALIZER, LeftOut.SCREEN_CAPTURE, LeftOut.NO_IMAGE)
"""Kinds of strays; where a series holds strays only, the first of these kinds is read."""
_LARGEST_SEAM: Final = 0.1
"""Largest share of the places that two acquisitions of one stack may have in common."""
_SETTINGS: Final = (
    *("ImageType", "FrameType", "ComplexImageComponent", "ConvolutionKernel", "KVP", "ContrastBolusAgent"),
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime", "NominalCardiacTriggerDelayTime"),
    *("DiffusionBValue", "EchoTime", "EffectiveEchoTime", "EchoNumbers", "InversionTime", "Rows", "Columns"),
)
"""Attributes that are equal in images of one stack: reconstruction, time, diffusion, echo."""


def select(instances: Collection[Instance]) -> tuple[Instance, ...]:
    """Return the instances in their order, each with the reason why it is left out, or None.

    A reason that an instance already has (UNREADABLE, SHARED_UID) stays. Beside images of a scanner, these are left
    out: what is no image, localizers, screen captures, and images made by software. Of images with one place in the
    patient, one is read where they are copies, or where two acquisitions share a few slices.
    """
    without_strays = _leave_out_strays(instances)
    images = [instance for instance in without_strays if instance.left_out is None]
    repeats = set(_same_place(images))
    return tuple(
        replace(instance, left_out=LeftOut.SAME_PLACE)
        if instance.left_out is None and instance.sop_uid in repeats
        else instance
        for instance in without_strays
    )


def _leave_out_strays(instances: Collection[Instance]) -> list[Instance]:
    kinds = [None if instance.left_out else _kind(instance) for instance in instances]
    strays = _strays_among(instances, kinds)
    return [
        replace(instance, left_out=kind) if kind in strays else instance
        for instance, kind in zip(instances, kinds, strict=True)
    ]


def _strays_among(instances: Collection[Instance], kinds: Sequence[LeftOut | None]) -> set[LeftOut]:
    """Return the kinds to leave out."""
    images = [
        instance for instance, kind in zip(instances, kinds, strict=True) if kind is None and instance.left_out is None
    ]
    if not images:
        return set(_ORDER) - {next((kind for kind in _ORDER if kind in kinds), None)}
    in_patient = any(image.plane or text(image.headers, "Modality") in _OF_THE_PATIENT for image in images)
    return set(_ORDER) if in_patient else {LeftOut.MACHINE_WRITTEN, LeftOut.NO_IMAGE}


def _kind(instance: Instance) -> LeftOut | None:
    """Return the kind of stray that the instance may be, None for an image of a scanner."""
    if not may_be_image(instance):
        return LeftOut.NO_IMAGE
    image_type = {str(value).strip().upper() for value in instance.headers.get("ImageType", ())}
    is_capture = instance.sop_class == _SECONDARY_CAPTURE or instance.sop_class.startswith(f"{_SECONDARY_CAPTURE}.")
    is_picture = "SECONDARY" in image_type and number(instance.headers, "SamplesPerPixel") == 3
    if is_capture or is_picture or image_type & _SCREEN_CAPTURES:
        return LeftOut.SCREEN_CAPTURE
    if image_type & _LOCALIZERS:
        return LeftOut.LOCALIZER
    return LeftOut.MACHINE_WRITTEN if machine_written(instance) else None


def _same_place(images: Sequence[Instance]) -> Iterator[str]:
    """Yield the SOP Instance UIDs to leave out, of single images of one orientation that share their places."""
    planes = [instance.plane for instance in images if instance.plane is not None]
    if len(planes) < len(images) or not geometry.is_one_orientation(planes):
        return
    places = list(_places(images, planes))
    shared = [place for place in places if len(place) > 1]
    copies = {uid for place in shared for uid in _copies(place)}
    yield from copies
    left = [[image for image in place if image.sop_uid not in copies] for place in shared]
    seam = [place for place in left if len(place) > 1]
    if seam and len(seam) <= max(1, _LARGEST_SEAM * len(places)) and all(map(_is_of_two_acquisitions, seam)):
        sizes = Counter(number(image.headers, "AcquisitionNumber") for image in images)
        for place in seam:
            yield from (image.sop_uid for image in sorted(place, key=lambda image: _rank(image, sizes))[1:])


def _places(images: Sequence[Instance], planes: Sequence[Plane]) -> Iterator[list[Instance]]:
    """Yield the images at each position along the normal."""
    along = geometry.distances(planes)
    order = np.argsort(along, kind="stable")
    starts = np.flatnonzero(np.diff(along[order], prepend=-np.inf) > geometry.SAME_PLACE_MM)
    for group in np.split(order, starts[1:]):
        yield [images[index] for index in group]


def _copies(place: Sequence[Instance]) -> list[str]:
    """Return the SOP Instance UIDs of images that are the same as an earlier one, pixels included."""
    seen: set[tuple[object, ...]] = set()
    copies = []
    for image in sorted(place, key=lambda image: (number(image.headers, "InstanceNumber") or 0, image.sop_uid)):
        content = (image.digest, image.headers.get("AcquisitionNumber"), *_settings(image))
        if content in seen:
            copies.append(image.sop_uid)
        seen.add(content)
    return copies


def _is_of_two_acquisitions(place: Sequence[Instance]) -> bool:
    """Return whether the images at a place differ in their acquisition, not in their settings or their plane."""
    numbers = {number(image.headers, "AcquisitionNumber") for image in place}
    planes = [image.plane for image in place if image.plane is not None]
    positions = np.array([plane.position for plane in planes])
    is_one_plane = float(np.ptp(positions, axis=0).max()) <= geometry.SAME_PLACE_MM
    return (
        is_one_plane
        and None not in numbers
        and len(numbers) == len(place)
        and len({plane.spacing for plane in planes}) == 1
        and len({_settings(image) for image in place}) == 1
    )


def _settings(image: Instance) -> tuple[object, ...]:
    return tuple(image.headers.get(keyword) for keyword in _SETTINGS)


def _rank(image: Instance, sizes: Mapping[float | None, int]) -> tuple[object, ...]:
    """Return a key that sorts the image of the larger acquisition first."""
    acquisition = number(image.headers, "AcquisitionNumber")
    return -sizes[acquisition], acquisition or 0.0, number(image.headers, "InstanceNumber") or 0, image.sop_uid
