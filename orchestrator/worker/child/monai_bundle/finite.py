"""Refuses tensors of a bundle that are not finite, before a step of the bundle decides from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.finite import ADVICE, refuse_infinite
from orchestrator.worker.child.runtimes.packages import require


def check_tensor(tensor: Any, name: str, advice: str = ADVICE) -> None:
    """Return if each value of the tensor is a finite number, wherever the tensor lies.

    Raises InvalidResult.
    """
    finite = require("torch", "monai").isfinite(tensor)
    if not bool(finite.all()):
        size = int(finite.numel())
        refuse_infinite(size - int(finite.sum()), size, name, advice)


def check_steps(postprocessing: Any) -> Any:
    """Return the postprocessing with a check behind each of its steps: an argmax hides NaN from those after it."""
    if not isinstance(postprocessing, require("monai.transforms", "monai").Compose):
        return postprocessing
    postprocessing.transforms = tuple(part for step in postprocessing.transforms for part in (step, _check_after(step)))
    return postprocessing


def run_checked(postprocessing: Any, item: Any) -> Any:
    """Return the output of the checked steps.

    Raises InvalidResult, which MONAI wraps once for each level of steps.
    """
    try:
        return postprocessing(item)
    except RuntimeError as fault:
        reason: BaseException | None = fault
        while reason is not None and not isinstance(reason, InvalidResult):
            reason = reason.__cause__
        if reason is None:
            raise
        raise reason from None


def _check_after(step: Any) -> Callable[[Any], Any]:
    def check(item: Any) -> Any:
        prediction = item.get("pred") if isinstance(item, Mapping) else None
        if isinstance(prediction, require("torch", "monai").Tensor):
            check_tensor(prediction, f"the output of the bundle's {type(step).__name__}")
        return item

    return check
