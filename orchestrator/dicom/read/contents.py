"""Several contents under one SOP Instance UID: a corrected image that was sent again, or different images.

A SOP Instance UID names one image (PS3.3 C.12.1). Some writers and exporters give it to several. An archive keeps
one of them, and nobody knows which.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from orchestrator.dicom.headers import geometry
from orchestrator.dicom.headers.attributes import text
from orchestrator.domain.images import LeftOut
from orchestrator.domain.series import HeaderValue, Instance, Plane

_PLACE: Final = (
    *("InstanceNumber", "AcquisitionNumber", "TriggerTime", "TemporalPositionIdentifier", "TemporalPositionIndex"),
    *("DiffusionBValue", "EchoTime", "EchoNumbers", "InversionTime", "ComplexImageComponent", "ConvolutionKernel"),
)
"""Attributes that a correction leaves as they are: they say which image of its series it is."""
_TIMES: Final = {"AcquisitionTime": 6, "AcquisitionDateTime": 14}
"""Times that a correction leaves as they are; digits to the second, since archives rewrite the fraction."""


def newest_content(known: Instance, newer: Instance) -> Instance:
    """Return the newer of two contents of one SOP Instance UID; left out as SHARED_UID where they are different images.

    Once different images came under a UID, every later content is left out too: a series digest stays the same then.
    A content that cannot be read says nothing about its image.
    """
    if known.left_out is LeftOut.SHARED_UID or newer.left_out is LeftOut.SHARED_UID:
        return known if known.left_out is LeftOut.SHARED_UID else newer
    unreadable = LeftOut.UNREADABLE in (known.left_out, newer.left_out)
    if unreadable or known.path == newer.path or known.digest == newer.digest or _is_same_image(known, newer):
        return newer
    digest = hashlib.sha256(f"{newer.sop_uid} {LeftOut.SHARED_UID}".encode()).hexdigest()
    return replace(newer, left_out=LeftOut.SHARED_UID, digest=digest)


def one_per_uid(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Return one instance for each SOP Instance UID, by ``newest_content``. instances: the oldest content first."""
    by_uid: dict[str, Instance] = {}
    for instance in instances:
        known = by_uid.get(instance.sop_uid)
        by_uid[instance.sop_uid] = instance if known is None else newest_content(known, instance)
    return tuple(by_uid.values())


def _is_same_image(one: Instance, other: Instance) -> bool:
    """Return whether both have the same place: in the patient, in the series, in time, echo and reconstruction."""
    values = [(one.headers.get(keyword), other.headers.get(keyword)) for keyword in _PLACE]
    values += [(_digits(one, keyword), _digits(other, keyword)) for keyword in _TIMES]
    return (
        (one.sop_class, one.frames) == (other.sop_class, other.frames)
        and all(None in pair or pair[0] == pair[1] for pair in values)
        and _is_same_plane(one.plane, other.plane)
    )


def _digits(instance: Instance, keyword: str) -> tuple[HeaderValue, ...] | None:
    """Return a time to the second, None where it is absent or shorter."""
    value = text(instance.headers, keyword)
    return (value[: _TIMES[keyword]],) if len(value) >= _TIMES[keyword] else None


def _is_same_plane(one: Plane | None, other: Plane | None) -> bool:
    """Return whether the planes coincide; a plane that one content lacks may be what was corrected."""
    if one is None or other is None:
        return True
    is_same_place = np.abs(np.subtract(one.position, other.position)).max() <= geometry.SAME_PLACE_MM
    turned = np.abs(np.subtract(one.orientation, other.orientation)).max() > geometry.DIRECTION_TOLERANCE
    return bool(is_same_place and not turned)
