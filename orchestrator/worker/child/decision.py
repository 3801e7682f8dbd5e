"""Turns the output of a network into segments, maps and measurements, as its model.toml defines them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.finite import check_finite
from orchestrator.sdk import Code, HeatMap, Measurement, Segment, Volume, codes

Recipe = Mapping[str, Any]
"""The values of a checked model.toml."""

Mask = npt.NDArray[Any]
"""(slice, row, column) of 0 and 1."""

Scores = npt.NDArray[np.float32]
"""(channel, *axes), or (channel,) from a classification network."""

_SCORES = "the output after activation, blending and resampling"
"""What a decision is made from, for messages."""


def activate(scores: Scores, activation: str, output: str) -> Scores:
    """Return the scores after the activation over the channels; argmax leaves them unchanged.

    output: the name of the network's output, for the message.
    Raises InvalidResult for scores that are not finite: an activation may turn an overflow into 0 or 1.
    """
    check_finite(scores, f"output {output!r}")
    if activation == "sigmoid":
        with np.errstate(over="ignore"):  # exp may become infinite; the sigmoid is then 0, as it should be
            return np.asarray(1 / (1 + np.exp(-scores)), dtype=np.float32)
    if activation == "softmax":
        with np.errstate(over="ignore"):  # a difference may become minus infinity; its power is then 0
            powers = np.exp(scores - scores.max(axis=0))
        return np.asarray(powers / powers.sum(axis=0), dtype=np.float32)
    return scores


def decide(recipe: Recipe, scores: Scores) -> npt.NDArray[np.uint8]:
    """Return (segment, *axes) of 0 and 1 from activated scores.

    Raises InvalidResult for scores that are not finite: no threshold holds for NaN, which looks like "nothing found".
    """
    check_finite(scores, _SCORES)
    channels = [spec["channel"] for spec in recipe["segment"]]
    if recipe["output"]["activation"] == "argmax":
        best = scores.argmax(axis=0)
        return np.stack([best == channel for channel in channels]).view(np.uint8)
    return np.asarray(scores[channels] >= recipe["output"]["threshold"]).view(np.uint8)


def select_maps(recipe: Recipe, scores: Scores) -> Scores:
    """Return (map, *axes) from activated scores.

    Raises InvalidResult for values that are not finite.
    """
    values = scores[[spec["channel"] for spec in recipe["map"]]]
    check_finite(values, _SCORES)
    return values


def build_segments(recipe: Recipe, masks: Iterable[Mask]) -> list[Segment]:
    """Return one segment for each [[segment]] of the manifest, from masks on the grid of the volume."""
    largest_only = recipe["output"]["largest_component"]
    return [
        _segment(spec, _largest_component(mask) if largest_only else mask)
        for spec, mask in zip(recipe["segment"], masks, strict=True)
    ]


def build_maps(recipe: Recipe, values: Iterable[npt.NDArray[np.float32]]) -> list[HeatMap]:
    """Return one map for each [[map]] of the manifest, from values on the grid of the volume."""
    return [
        HeatMap(
            name=spec["name"],
            values=array,
            unit=spec["unit"],
            quantity=code_or_none(spec["quantity"]),
            range=None if spec["range"] is None else tuple(spec["range"]),
        )
        for spec, array in zip(recipe["map"], values, strict=True)
    ]


def _segment(spec: Mapping[str, Any], mask: Mask) -> Segment:
    return Segment(
        label=spec["label"],
        mask=mask,
        type=Code(**spec["type"]),
        category=Code(**spec["category"]),
        anatomy=code_or_none(spec["anatomy"]),
        laterality=code_or_none(spec["laterality"]),
        colour=None if spec["colour"] is None else tuple(spec["colour"]),
    )


def code_or_none(spec: Mapping[str, str] | None) -> Code | None:
    """Return the code of the manifest, None where it has none."""
    return None if spec is None else Code(**spec)


def measure(recipe: Recipe, segments: Sequence[Segment], volume: Volume) -> Iterator[Measurement]:
    """Yield the measurements of the manifest, taken on the values of the images inside the segments."""
    masks = {segment.label: segment.mask for segment in segments}
    for spec in recipe["measurement"]:
        inside = volume.voxels[masks[spec["segment"]].astype(bool)]
        if inside.size and spec["name"] != "volume":
            value = {"mean": inside.mean, "maximum": inside.max, "minimum": inside.min}[spec["name"]]()
            yield Measurement(codes[spec["name"]], float(value), volume.unit, spec["segment"])


def _largest_component(mask: Mask) -> Mask:
    from scipy import ndimage

    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax())
