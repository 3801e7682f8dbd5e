"""Refuses numbers that are not finite: a comparison with NaN is false, which looks like "nothing found"."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import InvalidResult

ADVICE = "the model's numbers overflow: run it in float32 or check its weights"
"""What to do about a network whose output is not finite."""

INPUT_ADVICE = "check the values of the images, and window, mean and std in [input]"
"""What to do about an input that is not finite; a network may hide it, as a maximum over neighbours does."""


def check_finite(values: npt.NDArray[Any], name: str, advice: str = ADVICE) -> None:
    """Return if each value is a finite number of float32; integers and Booleans always are.

    name: what holds the values, such as "output 'y'"; advice: what to do, for the message.
    Raises InvalidResult with the number of values that are not finite.
    """
    if values.dtype.kind in "biu":
        return
    finite = np.isfinite(_as_float32(values, name))
    if not finite.all():
        refuse_infinite(finite.size - int(np.count_nonzero(finite)), finite.size, name, advice)


def refuse_infinite(count: int, size: int, name: str, advice: str = ADVICE) -> NoReturn:
    """Raise InvalidResult for ``count`` values of ``size`` that are not finite."""
    values, are = ("value", "is not a finite number") if count == 1 else ("values", "are not finite numbers")
    raise InvalidResult(f"{name} holds {count} {values} of {size} that {are} (NaN or infinity); {advice}")


def _as_float32(values: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return the values with at most the range of float32; larger ones become infinite."""
    if values.dtype in (np.float16, np.float32):
        return values
    if values.dtype.kind not in "fV":  # V: types of 16 bits and less that numpy does not have itself
        raise InvalidResult(f"{name} holds {values.dtype}, expected numbers such as float32")
    try:
        with np.errstate(over="ignore"):
            return values.astype(np.float32)
    except (TypeError, ValueError):
        raise InvalidResult(f"{name} holds {values.dtype}, expected numbers such as float32") from None
