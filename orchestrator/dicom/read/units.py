"""The unit of pixel values, and whether a model takes values in it."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.dicom.headers.attributes import number, text
from orchestrator.dicom.read.frames import Frame
from orchestrator.dicom.read.pixel_values import CT_CLASSES, HOUNSFIELD
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from orchestrator.domain.unit import shown_unit


def check_units(frames: Sequence[Frame], accepts: Accepts) -> None:
    """Refuse values in a unit that the model does not take.

    A model that states no unit takes CT in HU, and any unit of other modalities.
    Raises UnsupportedInput (WRONG_UNIT).
    """
    for frame in frames:
        units = accepts.unit or ((HOUNSFIELD,) if _holds_density(frame, accepts) else ())
        if units and frame.rescale.unit not in units:
            wanted = " or ".join(shown_unit(unit) or "1" for unit in units)
            reason = f"the values of image {frame.instance.sop_uid} are {_described(frame)}; the model takes {wanted}"
            raise UnsupportedInput(InputFault.WRONG_UNIT, reason)


def _holds_density(frame: Frame, accepts: Accepts) -> bool:
    """Return True where a model expects HU: on CT images, and on volumes of CT in any class; not on screenshots."""
    is_stacked = accepts.geometry is not Geometry.IMAGE
    return text(frame.headers, "Modality") == "CT" and (is_stacked or frame.instance.sop_class in CT_CLASSES)


def _described(frame: Frame) -> str:
    keyword = "Units" if text(frame.headers, "Modality") == "PT" else "RescaleType"
    stated = text(frame.headers, keyword)
    if not stated and number(frame.headers, "RescaleIntercept") is None:
        return "not rescaled to any unit"
    return f"in {shown_unit(frame.rescale.unit) or 'no known unit'} ({keyword} {stated or 'is absent'})"
