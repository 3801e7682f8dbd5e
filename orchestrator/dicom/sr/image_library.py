"""Headers for the Image Library (TID 1600) of a report, only for images that its content refers to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from highdicom.sr.utils import find_content_items
from pydicom import Dataset

from orchestrator.dicom.objects.references import is_known_class
from orchestrator.dicom.result.grid_result import GridResult

_NEEDED = {
    "CT": ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness"),
    "MR": ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness"),
    "PT": ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness"),
    **dict.fromkeys(("CR", "DX", "IO", "MG", "PX", "RF", "RG", "XA"), ("PatientOrientation", "ImagerPixelSpacing")),
}
"""Modality -> attributes that highdicom requires to describe an image (TID 1603, 1604)."""

_PAIRS = frozenset({"PixelSpacing", "PatientOrientation", "ImagerPixelSpacing"})


def library_headers(grid_results: Iterable[GridResult], groups: Sequence[Sequence[Dataset]]) -> list[Dataset]:
    """Return a header for each image that a region lies on, with functional groups flattened.

    300 images would take 7 s and 1.2 MB, one takes 0.02 s. Evidence lists all images in any case.
    """
    image_uids = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for group in groups
        for item in find_content_items(group[0], value_type="IMAGE", recursive=True)
    }
    return [
        _describable(grid_result.source.image_header(image))
        for grid_result in grid_results
        for image in grid_result.source.instances
        if image.sop_uid in image_uids and is_known_class(image.sop_class)
    ]


def _describable(header: Dataset) -> Dataset:
    """Return a copy of the header, without modality where highdicom would miss a required attribute."""
    copy = Dataset()
    copy.update(header)
    if not all(_is_whole(header, keyword) for keyword in _NEEDED.get(str(header.get("Modality")), ())):
        copy.Modality = ""
    return copy


def _is_whole(header: Dataset, keyword: str) -> bool:
    """Return whether an attribute has all its values; some senders write half a Patient Orientation."""
    return bool(header.get(keyword)) and (keyword not in _PAIRS or header[keyword].VM > 1)
