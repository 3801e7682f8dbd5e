"""Names an image as a PACS does: by its Instance Number, its frame, or its side and view."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.dicom.headers.attributes import number, text
from orchestrator.domain.series import Headers

_PROJECTIONS = frozenset({"CR", "DX", "MG", "IO", "PX", "RG"})
_NAMED_SIDES = frozenset({"L", "R", "B"})  # and not U, unpaired
_SIDES = ("ImageLaterality", "FrameLaterality", "Laterality")


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
    """Return side and view of an image, ``R MLO``; empty where it states neither."""
    side = next((side for keyword in _SIDES if (side := text(headers, keyword)) in _NAMED_SIDES), "")
    return " ".join(filter(None, [side, text(headers, "ViewPosition")]))


def view_names(images: Iterable[Headers]) -> tuple[str, ...]:
    """Return side and view of the images, each once, in order: ``("R CC", "R MLO")``."""
    return tuple(sorted(set(filter(None, map(view_name, images)))))
