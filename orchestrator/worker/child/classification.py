"""Turns the scores of a classification network into findings, for the whole series or image by image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.domain.finite import check_finite
from orchestrator.sdk import Code, Finding, ImageScore, Presence
from orchestrator.worker.child.decision import Recipe, Scores, code_or_none

AGGREGATES: Mapping[str, Callable[..., Any]] = {"maximum": np.max, "mean": np.mean}
"""How the scores of several windows are combined."""


def build_findings(recipe: Recipe, scores: Mapping[int | None, Sequence[Scores]]) -> list[Finding]:
    """Return one finding for each [[finding]] of the manifest.

    scores: slice -> activated scores (channel,) of all its windows; the key None holds those of the whole series.
    Raises InvalidResult for scores that are not finite.
    """
    aggregate = AGGREGATES[recipe["output"]["aggregate"]]
    with np.errstate(over="ignore", invalid="ignore"):
        by_image = {image: aggregate(windows, axis=0) for image, windows in scores.items()}
    for channels in by_image.values():
        check_finite(channels, f"the {recipe['output']['aggregate']} of the scores")
    return [
        _finding(spec, {image: channels[spec["channel"]] for image, channels in by_image.items()})
        for spec in recipe["finding"]
    ]


def _finding(spec: Mapping[str, Any], scores: Mapping[int | None, np.float32]) -> Finding:
    """Return the finding with its best score; only a present finding gets a certainty, "absent" with one misleads."""
    best = np.max(list(scores.values()))
    positive = {image: float(score) for image, score in scores.items() if score >= spec["threshold"]}
    return Finding(
        name=Code(**spec["name"]),
        presence=Presence.PRESENT if positive else Presence.ABSENT,
        score=float(best),
        certainty_percent=100 * float(best) if spec["calibrated"] and positive else None,
        site=code_or_none(spec["site"]),
        laterality=code_or_none(spec["laterality"]),
        images=[ImageScore(image, score) for image, score in positive.items() if image is not None],
    )
