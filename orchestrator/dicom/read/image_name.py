"""Names an image as a PACS does: by its Instance Number, its frame, or the view of a radiograph."""

from __future__ import annotations

from orchestrator.dicom.read.attributes import number, text
from orchestrator.domain.series import Headers

_PROJECTIONS = frozenset({"CR", "DX", "MG", "IO", "PX", "RG"})


def image_name(headers: Headers, frame: int | None) -> str:
    """Return ``image 104``, ``frame 12`` or ``R MLO``; empty where the image states no number.

    frame: frame number from 1; None for a single-frame image.
    """
    if frame is not None:
        return f"frame {frame}"
    if text(headers, "Modality") in _PROJECTIONS and (view := view_name(headers)):
        return view
    instance_number = number(headers, "InstanceNumber")
    return "" if instance_number is None else f"image {instance_number:.0f}"


def view_name(headers: Headers) -> str:
    """Return side and view of a radiograph, ``R MLO``; empty where it states neither."""
    side = text(headers, "ImageLaterality") or text(headers, "Laterality")
    return " ".join(filter(None, [side, text(headers, "ViewPosition")]))
