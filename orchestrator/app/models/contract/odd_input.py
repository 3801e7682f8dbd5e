"""Input that is unusual, or broken: the model may refuse it, and must not break."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.app.models.contract.agreement import check_agreement
from orchestrator.app.models.contract.bench import Answer
from orchestrator.app.models.contract.case import Case
from orchestrator.app.models.contract.clause import Broken, Inapplicable
from orchestrator.domain.errors import InputFault, NotApplicable, UnsupportedInput
from orchestrator.domain.model import Empty, Geometry
from orchestrator.domain.result import Presence

COARSE_DICE = 0.9
"""What is left of a Dice coefficient where every second column is gone and the rest is the same."""
FEWEST_SLICES = 5
REFUSALS = {InputFault.REFUSED_BY_MODEL: "the model", InputFault.TOO_FEW_SLICES: "the host"}
"""Refusals that answer the question; any other says that the copy itself was not fit for it."""
SHOWN_AS_THEY_ARE = frozenset({"CT", "MR", "PT", "NM"})
"""Modalities whose values are measured: MONOCHROME1 says how to show them and changes no value."""


def anisotropic(case: Case) -> str:
    """Return how the model agrees where every second column is gone: pixels twice as wide as high."""
    return case.agrees(lambda stack: stack.thinned("anisotropic", axis=2), least=COARSE_DICE)


def one_slice(case: Case) -> str:
    """Return what comes of one slice alone: the one on which the model marks most, else the middle one."""
    stack = case.stack
    marked = np.zeros(len(stack.voxels))
    for segment in case.answer.parts[0].result.segments:
        marked += segment.mask.sum(axis=(1, 2))
    for finding in case.answer.parts[0].result.findings:
        shown = [region.slice for region in finding.regions] + [image.slice for image in finding.images]
        np.add.at(marked, shown, 1)
    index = int(marked.argmax()) if marked.any() else len(marked) // 2
    return _tolerated(case, stack.one_slice("one slice", index).write(case.folder / "copy"))


def missing_slice(case: Case) -> str:
    """Return what comes of a series that lacks one slice: no volume may be made of it."""
    slices = len(case.placed.voxels)
    if slices < FEWEST_SLICES:
        raise Inapplicable(f"the series has {slices} slices only")
    paths = case.placed.write(case.folder / "copy", without=[slices // 2])
    try:
        answer = case.show(paths)
    except UnsupportedInput as refusal:
        if refusal.fault is not InputFault.MISSING_SLICE:
            raise
        return f"refused by the host: {refusal.reason}"
    if case.geometry is Geometry.VOLUME:
        raise Broken("a volume with a gap was given to the model; this is a fault of the host, please report it")
    return _told(answer)


def multi_frame(case: Case) -> str:
    """Return how the model agrees on the same series as one multi-frame object."""
    if case.specimen.multi_frame is None:
        raise Inapplicable("the kit makes no multi-frame object of this series")
    answer = case.show(case.specimen.multi_frame(case.folder / "copy"))
    if case.answer.parts[0].grid.affine is None:
        return _told(answer)
    return check_agreement(case.answer, answer, lambda mask: mask, case.answer.parts[0].grid.affine)


def monochrome1(case: Case) -> str:
    """Return how the model agrees on images that are stored inverted and show the same."""
    stack = case.stack
    if stack.voxels.ndim == len(("slice", "row", "column", "colour")) or stack.header.Modality in SHOWN_AS_THEY_ARE:
        raise Inapplicable("only grey images that are looked at, not measured, are stored inverted")
    answer = case.show(stack.write(case.folder / "copy", inverted=True))
    return check_agreement(case.answer, answer, lambda mask: mask, None)


def all_background(case: Case) -> str:
    """Return what comes of images that show nothing."""
    return _tolerated(case, case.stack.blank("all background").write(case.folder / "copy"))


def _tolerated(case: Case, paths: list[Path]) -> str:
    """Return what the model says, or with which words it, or the host for it, refuses."""
    try:
        answer = case.show(paths)
    except UnsupportedInput as refusal:
        if refusal.fault not in REFUSALS:
            raise
        return f"refused by {REFUSALS[refusal.fault]}: {refusal.reason}"
    except NotApplicable as refusal:
        return f"the model says that it does not apply: {refusal}"
    if not _found(answer) and case.bench.model.empty is Empty.FAILURE:
        return 'finds nothing, which the host calls failed (empty = "failure")'
    return _told(answer)


def _told(answer: Answer) -> str:
    return f"finds {', '.join(_found(answer)) or 'nothing'}"


def _found(answer: Answer) -> list[str]:
    """Return what is marked or present, by label."""
    results = [part.result for part in answer.parts]
    marked = [segment.label for result in results for segment in result.segments if segment.mask.any()]
    present = [item.name.meaning for result in results for item in result.findings if item.presence is Presence.PRESENT]
    return list(dict.fromkeys([*marked, *present]))
