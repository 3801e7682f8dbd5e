"""Refuses images that look like one stack and are not: two reconstructions, or slices tiled in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from orchestrator.dicom.headers import geometry
from orchestrator.dicom.headers.attributes import number
from orchestrator.dicom.read.frames import Frame
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.series import Headers, HeaderValue

OF_A_RECONSTRUCTION = (
    *("ConvolutionKernel", "FilterType", "KVP", "SliceThickness", "ReconstructionDiameter", "ImageType", "FrameType"),
    *("EchoTime", "EffectiveEchoTime", "EchoNumbers", "FlipAngle", "ComplexImageComponent"),
    *("SequenceName", "PulseSequenceName", "ReconstructionMethod", "Units"),
)
"""Attributes that tell two reconstructions of one examination apart."""

_ONE_PICTURE_MM = 1.0
"""Mosaics of a time series may follow the head by this much between two images."""


def check_reconstructions(frames: Sequence[Frame], along: npt.NDArray[np.float64]) -> None:
    """Refuse images of two reconstructions whose slices alternate: their stack looks regular.

    Different values below and above one place are no fault: thin slices at the base of the skull, thick ones above.
    One series of two kernels is never one reconstruction.
    along: the place of each image along the normal, mm, all different.
    Raises UnsupportedInput (SEVERAL_RECONSTRUCTIONS).
    """
    order = np.argsort(along)
    for keyword in OF_A_RECONSTRUCTION:
        values = [_rounded(frames[each].headers[keyword]) for each in order if keyword in frames[each].headers]
        kinds = list(dict.fromkeys(values))
        if len(kinds) > 1 and (keyword == "ConvolutionKernel" or _alternate(values, len(kinds))):
            names = ", ".join(map(_shown, kinds[:3]))
            reason = f"{len(kinds)} reconstructions are in one series, {keyword}: {names}; send each as its own series"
            raise UnsupportedInput(InputFault.SEVERAL_RECONSTRUCTIONS, reason)


def check_mosaic(frames: Sequence[Frame]) -> None:
    """Refuse Siemens mosaics: the slices are tiles of one picture, whose position is that of no slice.

    Images that were split keep the word MOSAIC in their Image Type, but lie at different places.
    Raises UnsupportedInput (MOSAIC).
    """
    mosaics = [frame for frame in frames if frame.number is None and _is_mosaic(frame.headers)]
    if mosaics and not _are_split(mosaics):
        reason = (
            f"{len(mosaics)} of {len(frames)} images are mosaics, slices as tiles of one picture, "
            f"first {mosaics[0].instance.sop_uid}; send them as enhanced MR, or one image for each slice"
        )
        raise UnsupportedInput(InputFault.MOSAIC, reason)


def _alternate(values: Sequence[tuple[HeaderValue, ...]], kinds: int) -> bool:
    """Return True where the values do not lie in one block each."""
    return 1 + sum(here != there for here, there in pairwise(values)) > kinds


def _rounded(values: tuple[HeaderValue, ...]) -> tuple[HeaderValue, ...]:
    """Return numbers to three digits: scanners state 29.99 and 30.01 ms for one echo."""
    return tuple(float(f"{value:.3g}") if isinstance(value, float) else value for value in values)


def _shown(values: tuple[HeaderValue, ...]) -> str:
    return "\\".join(map(str, values))


def _is_mosaic(headers: Headers) -> bool:
    return "MOSAIC" in (str(value).upper() for value in headers.get("ImageType", ()))


def _are_split(mosaics: Sequence[Frame]) -> bool:
    """Return True where the images lie side by side along their normal, as slices do."""
    planes = [frame.plane for frame in mosaics if frame.plane is not None]
    if len(planes) < max(2, len(mosaics)):
        return False
    thickness = number(mosaics[0].headers, "SliceThickness") or _ONE_PICTURE_MM
    return float(np.ptp(geometry.distances(planes))) > max(_ONE_PICTURE_MM, thickness / 2)
