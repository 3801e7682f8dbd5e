"""From a network's numbers to what its model.toml says they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.sdk import Code, HeatMap, Measurement, Segment, Volume, codes

Recipe = Mapping[str, Any]
"""The values of a checked model.toml."""

Mask = npt.NDArray[Any]
"""(slice, row, column) of 0 and 1."""

Scores = npt.NDArray[np.float32]
"""(channel, *axes), or (channel,) from a network that classifies."""


def activated(scores: Scores, activation: str) -> Scores:
    """Return the scores after the activation over their channels; argmax is a decision and changes none."""
    if activation == "sigmoid":
        with np.errstate(over="ignore"):  # far below nought it is infinite, and its sigmoid nought as it should be
            return np.asarray(1 / (1 + np.exp(-scores)), dtype=np.float32)
    if activation == "softmax":
        powers = np.exp(scores - scores.max(axis=0))
        return np.asarray(powers / powers.sum(axis=0), dtype=np.float32)
    return scores


def decided(recipe: Recipe, scores: Scores) -> npt.NDArray[np.uint8]:
    """Return (segment, *axes) of 0 and 1 from activated scores."""
    channels = [told["channel"] for told in recipe["segment"]]
    if recipe["output"]["activation"] == "argmax":
        best = scores.argmax(axis=0)
        return np.stack([best == channel for channel in channels]).view(np.uint8)
    return np.asarray(scores[channels] >= recipe["output"]["threshold"]).view(np.uint8)


def valued(recipe: Recipe, scores: Scores) -> Scores:
    """Return (map, *axes) from activated scores."""
    return scores[[told["channel"] for told in recipe["map"]]]


def segments(recipe: Recipe, masks: Iterable[Mask]) -> list[Segment]:
    """Return the segments that the manifest names, of masks on the volume's own grid."""
    largest_only = recipe["output"]["largest_component"]
    return [
        _segment(told, _largest(mask) if largest_only else mask)
        for told, mask in zip(recipe["segment"], masks, strict=True)
    ]


def maps(recipe: Recipe, values: Iterable[npt.NDArray[np.float32]]) -> list[HeatMap]:
    """Return the maps that the manifest names, of values on the volume's own grid."""
    return [
        HeatMap(
            name=told["name"],
            values=of_channel,
            unit=told["unit"],
            quantity=code_or_none(told["quantity"]),
            range=None if told["range"] is None else tuple(told["range"]),
        )
        for told, of_channel in zip(recipe["map"], values, strict=True)
    ]


def _segment(told: Mapping[str, Any], mask: Mask) -> Segment:
    return Segment(
        label=told["label"],
        mask=mask,
        type=Code(**told["type"]),
        category=Code(**told["category"]),
        anatomy=code_or_none(told["anatomy"]),
        laterality=code_or_none(told["laterality"]),
        colour=None if told["colour"] is None else tuple(told["colour"]),
    )


def code_or_none(told: Mapping[str, str] | None) -> Code | None:
    """Return the concept that the manifest gives, None where it gives none."""
    return None if told is None else Code(**told)


def measured(recipe: Recipe, found: Sequence[Segment], volume: Volume) -> Iterator[Measurement]:
    """Yield what the manifest asks to be measured on the images' own values inside the segments."""
    masks = {segment.label: segment.mask for segment in found}
    for told in recipe["measurement"]:
        inside = volume.voxels[masks[told["segment"]].astype(bool)]
        if inside.size and told["name"] != "volume":
            value = {"mean": inside.mean, "maximum": inside.max, "minimum": inside.min}[told["name"]]()
            yield Measurement(codes[told["name"]], float(value), volume.unit, told["segment"])


def _largest(mask: Mask) -> Mask:
    from scipy import ndimage

    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax())
