"""Whether two answers say the same about the same body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.app.models.contract.bench import Answer, Part
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
"""What was done to the voxels of a series, done to a mask or a map."""

LEAST_DICE = 0.95
SAME_PLACE = 0.01
"""Voxels by which a place may differ between two answers to one question: rounding, nothing else."""


def check_agreement(
    base: Answer,
    other: Answer,
    change: Change,
    affine: Affine | None,
    *,
    motion: Affine | None = None,
    least: float = LEAST_DICE,
) -> str:
    """Return how well an answer agrees with that on the series as it is.

    change: from a mask on the grid as it is to one on the grid that was written, which lies at ``affine``.
    motion: how the body moved, LPS -> LPS mm; None where it did not.
    least: Dice of each segment; what is measured, and a map in the mean, may differ by the rest.
    Raises Broken naming what differs, Inapplicable where nothing was found that could be compared.
    """
    pairs = list(zip(base.parts, other.parts, strict=True))
    agreed = list(chain.from_iterable(_segments(one, two, change, affine, least) for one, two in pairs))
    agreed += chain.from_iterable(_maps(one, two, change, affine, least) for one, two in pairs)
    for one, two in pairs:
        _check_findings(one.result, two.result)
        check_places(one, two, motion)
        _check_numbers(one.result, two.result, 1 - least)
        agreed += [_finding(item) for item in one.result.findings]
        agreed += [item.name.meaning for item in one.result.measurements]
    if not agreed:
        raise Inapplicable("it finds nothing in this series, so there is nothing to compare")
    return f"agrees: {', '.join(agreed)}"


def check_identical(first: Answer, second: Answer) -> None:
    """Return where two answers to one question are the same, voxel by voxel.

    Raises Broken.
    """
    for one, two in zip(first.parts, second.parts, strict=True):
        masks, others = _masks(one.result), _masks(two.result)
        if list(masks) != list(others):
            raise Broken(f"the segments are {list(masks)} the first time and {list(others)} the second")
        for label, mask in masks.items():
            if not np.array_equal(mask, others[label]):
                raise Broken(f"segment {label!r} differs: Dice {dice(mask, others[label]):.4f} to the first time")
        _check_same_maps(one.result, two.result)
        _check_findings(one.result, two.result)
        check_places(one, two, near=SAME_PLACE)
        _check_numbers(one.result, two.result, 1e-6)


def _segments(base: Part, other: Part, change: Change, affine: Affine | None, least: float) -> Iterator[str]:
    """Yield the Dice coefficient of each segment, as text."""
    wanted, found = _masks(base.result), _masks(other.result)
    nothing = np.zeros(base.grid.shape[:3], bool)
    for label in dict.fromkeys((*wanted, *found)):
        asked = change(wanted.get(label, nothing))
        got = _on_grid(found[label], other, asked, affine) if label in found else np.zeros_like(asked)
        reached = dice(got, asked)
        if reached < least:
            how = difference(got, asked, affine)
            raise Broken(f"segment {label!r} agrees with Dice {reached:.2f} only, {least:g} is needed: {how}")
        if asked.any():
            yield f"{label} (Dice {reached:.3f})"


def _on_grid(mask: Mask, part: Part, wanted: Mask, affine: Affine | None) -> Mask:
    """Return the mask on the grid that was written; the host read the same one, unless it cuts it otherwise."""
    read = part.grid.affine
    if affine is None or read is None or np.allclose(read, affine, atol=1e-3):
        return mask
    slices, rows, columns = wanted.shape
    return onto(mask, read, affine, (slices, rows, columns))


def _maps(base: Part, other: Part, change: Change, affine: Affine | None, least: float) -> Iterator[str]:
    """Yield how much each map differs in the mean, in parts of its span, as text."""
    wanted, found = _values(base.result), _values(other.result)
    _check_names(wanted, found)
    for name, values in wanted.items():
        asked, read = change(values), other.grid.affine
        got = found[name]
        if affine is not None and read is not None and not np.allclose(read, affine, atol=1e-3):
            slices, rows, columns = asked.shape
            got = values_onto(got, read, affine, (slices, rows, columns))
        span = float(values.max() - values.min()) or 1.0
        differs = float(np.abs(got - asked).mean()) / span
        if differs > 1 - least:
            raise Broken(f"map {name!r} differs by {differs:.0%} of its span in the mean, {1 - least:.0%} may be")
        yield f"{name} (within {differs:.1%})"


def _check_same_maps(first: Result, second: Result) -> None:
    one, two = _values(first), _values(second)
    _check_names(one, two)
    for name, values in one.items():
        if not np.array_equal(values, two[name]):
            most = float(np.abs(values - two[name]).max())
            raise Broken(f"map {name!r} differs, by at most {most:.3g}, from the first time")


def _check_names(wanted: Mapping[str, Values], found: Mapping[str, Values]) -> None:
    if list(wanted) != list(found):
        raise Broken(f"the maps are {list(wanted)}, and {list(found)} here")


def _values(result: Result) -> dict[str, Values]:
    return {heat.name: heat.values for heat in result.maps}


def _masks(result: Result) -> dict[str, Mask]:
    return {segment.label: segment.mask for segment in result.segments}


def _check_findings(wanted: Result, found: Result) -> None:
    """Refuse a finding that comes or goes or changes sides, or whose score moves; their order means nothing."""
    one, two = (sorted(result.findings, key=_stated) for result in (wanted, found))
    for before, after in zip_longest(one, two):
        if before is None or after is None or _called(before) != _called(after):
            names = ([_called(item) for item in findings] for findings in (one, two))
            raise Broken("the findings are {}, and {} here".format(*names))
        if before.presence is not after.presence:
            raise Broken(f"finding {before.name.meaning!r} is {before.presence}, and {after.presence} here")
        check_score(repr(before.name.meaning), before.score, after.score)


def _stated(finding: Finding) -> tuple[str, str, float]:
    return _called(finding), finding.presence, finding.score or 0.0


def _called(finding: Finding) -> str:
    """Return side, site and name of a finding."""
    codes = (finding.laterality, finding.site, finding.name)
    return " ".join(code.meaning for code in codes if code is not None)


def _finding(finding: Finding) -> str:
    """Return a finding and at how many places it was found again."""
    counts = {"region": len(finding.regions), "image": len(finding.images)}
    places = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items() if count]
    return finding.name.meaning + (f" ({', '.join(places)})" if places else "")


def _check_numbers(wanted: Result, found: Result, most: float) -> None:
    """Refuse a measurement that comes or goes, or changes by more than this part."""
    for before, after in zip_longest(wanted.measurements, found.measurements):
        if before is None or after is None or before.name != after.name:
            names = ([item.name.meaning for item in result.measurements] for result in (wanted, found))
            raise Broken("the measurements are {}, and {} here".format(*names))
        if not np.isclose(before.value, after.value, rtol=most, atol=1e-9):
            unit = shown_unit(before.unit)
            raise Broken(f"{before.name.meaning!r} is {before.value:g} {unit}, and {after.value:g} {unit} here")
