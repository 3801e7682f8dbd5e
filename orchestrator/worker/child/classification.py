"""From the scores of a network that classifies to findings: of the series as a whole, or image by image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.sdk import Code, Finding, ImageScore, Presence
from orchestrator.worker.child.decision import Recipe, Scores, code_or_none

AGGREGATES: Mapping[str, Callable[..., Any]] = {"maximum": np.max, "mean": np.mean}
"""How the scores of several windows become one."""


def findings(recipe: Recipe, scored: Mapping[int | None, Sequence[Scores]]) -> list[Finding]:
    """Return one finding for each that the manifest names.

    scored: the activated scores (channel,) of all windows of an image, by its slice; under None those of the series.
    """
    together = AGGREGATES[recipe["output"]["aggregate"]]
    judged = {image: together(scores, axis=0) for image, scores in scored.items()}
    return [
        _finding(told, {image: scores[told["channel"]] for image, scores in judged.items()})
        for told in recipe["finding"]
    ]


def _finding(told: Mapping[str, Any], scores: Mapping[int | None, np.float32]) -> Finding:
    """Return the finding by its best score; a certainty goes with what is there, beside "absent" it would mislead."""
    best = np.max(list(scores.values()))  # NaN stays NaN, for the host to refuse
    positive = {image: float(score) for image, score in scores.items() if score >= told["threshold"]}
    return Finding(
        name=Code(**told["name"]),
        presence=Presence.PRESENT if positive else Presence.ABSENT,
        score=float(best),
        certainty_percent=100 * float(best) if told["calibrated"] and positive else None,
        site=code_or_none(told["site"]),
        laterality=code_or_none(told["laterality"]),
        images=[ImageScore(image, score) for image, score in positive.items() if image is not None],
    )
