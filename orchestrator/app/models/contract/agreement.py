"""Compares two answers of a model about the same body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.app.models.contract.bench import GridAnswer, SeriesAnswer
from orchestrator.app.models.contract.clause import Broken, Inapplicable
from orchestrator.app.models.contract.places import check_places, check_score
from orchestrator.domain.result import Finding, Result
from orchestrator.domain.unit import shown_unit
from orchestrator.domain.volume import Affine
from orchestrator.testing import dice, difference, onto
from orchestrator.testing.agreement import values_onto

Mask = npt.NDArray[Any]
Values = npt.NDArray[Any]
Change = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""Applies the change of a series' voxels to a mask or a map."""

LEAST_DICE = 0.95
SAME_PLACE = 0.01
"""Voxels by which a place may differ between two answers to the same input, because of rounding."""


def check_agreement(
    base: SeriesAnswer,
    other: SeriesAnswer,
    change: Change,
    affine: Affine | None,
    *,
    motion: Affine | None = None,
    least: float = LEAST_DICE,
) -> str:
    """Return how well an answer agrees with the answer to the original series.

    change: maps a mask from the original grid to the new grid, which lies at ``affine``.
    motion: how the body moved, LPS -> LPS mm; None if it did not.
    least: required Dice of each segment; measurements, and the mean of a map, may differ by 1 - least.
    Raises Broken that says what differs, Inapplicable if there is nothing to compare.
    """
    pairs = list(zip(base.parts, other.parts, strict=True))
    agreements = list(chain.from_iterable(_segments(one, two, change, affine, least) for one, two in pairs))
    agreements += chain.from_iterable(_maps(one, two, change, affine, least) for one, two in pairs)
    for one, two in pairs:
        _check_findings(one.result, two.result)
        check_places(one, two, motion)
        _check_numbers(one.result, two.result, 1 - least)
        agreements += [_finding(item) for item in one.result.findings]
        agreements += [item.name.meaning for item in one.result.measurements]
    if not agreements:
        raise Inapplicable("the model finds nothing in this series, so there is nothing to compare")
    return f"agrees: {', '.join(agreements)}"


def check_identical(first: SeriesAnswer, second: SeriesAnswer) -> None:
    """Return if two answers to the same input are equal, voxel by voxel.

    Raises Broken.
    """
    for one, two in zip(first.parts, second.parts, strict=True):
        masks, others = _masks(one.result), _masks(two.result)
        if list(masks) != list(others):
            raise Broken(f"the segments are {list(masks)} in the first run and {list(others)} in the second")
        for label, mask in masks.items():
            if not np.array_equal(mask, others[label]):
                raise Broken(f"segment {label!r} differs: Dice {dice(mask, others[label]):.4f} to the first run")
        _check_same_maps(one.result, two.result)
        _check_findings(one.result, two.result)
        check_places(one, two, near=SAME_PLACE)
        _check_numbers(one.result, two.result, 1e-6)


def _segments(
    base: GridAnswer, other: GridAnswer, change: Change, affine: Affine | None, least: float
) -> Iterator[str]:
    """Yield the Dice coefficient of each segment, as text."""
    before, after = _masks(base.result), _masks(other.result)
    nothing = np.zeros(base.grid.shape[:3], bool)
    for label in dict.fromkeys((*before, *after)):
        target = change(before.get(label, nothing))
        mask = _on_grid(after[label], other, target, affine) if label in after else np.zeros_like(target)
        overlap = dice(mask, target)
        if overlap < least:
            how = difference(mask, target, affine)
            raise Broken(f"segment {label!r} has Dice {overlap:.2f}, expected at least {least:g}: {how}")
        if target.any():
            yield f"{label} (Dice {overlap:.3f})"


def _on_grid(mask: Mask, part: GridAnswer, target: Mask, affine: Affine | None) -> Mask:
    """Return the mask on the grid of the target; usually the host reads the files with that same grid."""
    read = part.grid.affine
    if affine is None or read is None or np.allclose(read, affine, atol=1e-3):
        return mask
    slices, rows, columns = target.shape
    return onto(mask, read, affine, (slices, rows, columns))


def _maps(base: GridAnswer, other: GridAnswer, change: Change, affine: Affine | None, least: float) -> Iterator[str]:
    """Yield the mean difference of each map as a part of its span, as text."""
    before, after = _values(base.result), _values(other.result)
    _check_names(before, after)
    for name, values in before.items():
        target, read = change(values), other.grid.affine
        array = after[name]
        if affine is not None and read is not None and not np.allclose(read, affine, atol=1e-3):
            slices, rows, columns = target.shape
            array = values_onto(array, read, affine, (slices, rows, columns))
        span = float(values.max() - values.min()) or 1.0
        differs = float(np.abs(array - target).mean()) / span
        if differs > 1 - least:
            raise Broken(
                f"map {name!r} differs by {differs:.0%} of its span on average, at most {1 - least:.0%} is allowed"
            )
        yield f"{name} (within {differs:.1%})"


def _check_same_maps(first: Result, second: Result) -> None:
    one, two = _values(first), _values(second)
    _check_names(one, two)
    for name, values in one.items():
        if not np.array_equal(values, two[name]):
            most = float(np.abs(values - two[name]).max())
            raise Broken(f"map {name!r} differs, by at most {most:.3g}, from the first run")


def _check_names(before: Mapping[str, Values], after: Mapping[str, Values]) -> None:
    if list(before) != list(after):
        raise Broken(f"the maps are {list(before)}, and {list(after)} here")


def _values(result: Result) -> dict[str, Values]:
    return {heat.name: heat.values for heat in result.maps}


def _masks(result: Result) -> dict[str, Mask]:
    return {segment.label: segment.mask for segment in result.segments}


def _check_findings(first: Result, second: Result) -> None:
    """Refuse a finding that appears, disappears or changes its side or score; the order does not matter."""
    one, two = (sorted(result.findings, key=_sort_key) for result in (first, second))
    for before, after in zip_longest(one, two):
        if before is None or after is None or _full_name(before) != _full_name(after):
            names = ([_full_name(item) for item in findings] for findings in (one, two))
            raise Broken("the findings are {}, and {} here".format(*names))
        if before.presence is not after.presence:
            raise Broken(f"finding {before.name.meaning!r} is {before.presence}, and {after.presence} here")
        check_score(repr(before.name.meaning), before.score, after.score)


def _sort_key(finding: Finding) -> tuple[str, str, float]:
    return _full_name(finding), finding.presence, finding.score or 0.0


def _full_name(finding: Finding) -> str:
    """Return side, site and name of a finding."""
    codes = (finding.laterality, finding.site, finding.name)
    return " ".join(code.meaning for code in codes if code is not None)


def _finding(finding: Finding) -> str:
    """Return the name of a finding and the number of its places."""
    counts = {"region": len(finding.regions), "image": len(finding.images)}
    places = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items() if count]
    return finding.name.meaning + (f" ({', '.join(places)})" if places else "")


def _check_numbers(first: Result, second: Result, most: float) -> None:
    """Refuse a measurement that appears, disappears or changes by more than this fraction."""
    for before, after in zip_longest(first.measurements, second.measurements):
        if before is None or after is None or before.name != after.name:
            names = ([item.name.meaning for item in result.measurements] for result in (first, second))
            raise Broken("the measurements are {}, and {} here".format(*names))
        if not np.isclose(before.value, after.value, rtol=most, atol=1e-9):
            unit = shown_unit(before.unit)
            raise Broken(f"{before.name.meaning!r} is {before.value:g} {unit}, and {after.value:g} {unit} here")
