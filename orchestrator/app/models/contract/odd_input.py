"""Clauses about unusual or broken input: the model may refuse it, but must not fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.app.models.contract.agreement import check_agreement
from orchestrator.app.models.contract.bench import SeriesAnswer
from orchestrator.app.models.contract.case import Case
from orchestrator.app.models.contract.clause import Broken, Inapplicable
from orchestrator.domain.errors import InputFault, NotApplicable, UnsupportedInput
from orchestrator.domain.model import Empty, Geometry
from orchestrator.domain.result import Presence

COARSE_DICE = 0.9
"""Required Dice coefficient when every second column is removed."""
FEWEST_SLICES = 5
REFUSALS = {InputFault.REFUSED_BY_MODEL: "the model", InputFault.TOO_FEW_SLICES: "the host"}
"""Refusals that count as an answer; any other means that the copy was not suitable."""
MEASURED_MODALITIES = frozenset({"CT", "MR", "PT", "NM"})
"""Modalities whose values are measurements; MONOCHROME1 changes only their display."""


def anisotropic(case: Case) -> str:
    """Check agreement without every second column, so that pixels are twice as wide as high."""
    return case.agrees(lambda stack: stack.thinned("anisotropic", axis=2), least=COARSE_DICE)


def one_slice(case: Case) -> str:
    """Return the result for one slice: the one with most marks, else the middle one."""
    stack = case.stack
    marks = np.zeros(len(stack.voxels))
    for segment in case.answer.parts[0].result.segments:
        marks += segment.mask.sum(axis=(1, 2))
    for finding in case.answer.parts[0].result.findings:
        slices = [region.slice for region in finding.regions] + [image.slice for image in finding.images]
        np.add.at(marks, slices, 1)
    index = int(marks.argmax()) if marks.any() else len(marks) // 2
    return _run_or_refuse(case, stack.one_slice("one slice", index).write(case.folder / "copy"))


def missing_slice(case: Case) -> str:
    """Return the result for a series with a missing slice, which must not become a volume."""
    slices = len(case.placed.voxels)
    if slices < FEWEST_SLICES:
        raise Inapplicable(f"the series has only {slices} slices")
    paths = case.placed.write(case.folder / "copy", without=[slices // 2])
    try:
        answer = case.show(paths)
    except UnsupportedInput as refusal:
        if refusal.fault is not InputFault.MISSING_SLICE:
            raise
        return f"refused by the host: {refusal.reason}"
    if case.geometry is Geometry.VOLUME:
        raise Broken("the host gave the model a volume with a gap; please report this bug")
    return _in_words(answer)


def multi_frame(case: Case) -> str:
    """Check agreement on the same series as one multi-frame object."""
    if case.specimen.multi_frame is None:
        raise Inapplicable("there is no multi-frame form of this series")
    answer = case.show(case.specimen.multi_frame(case.folder / "copy"))
    if case.answer.parts[0].grid.affine is None:
        return _in_words(answer)
    return check_agreement(case.answer, answer, lambda mask: mask, case.answer.parts[0].grid.affine)


def monochrome1(case: Case) -> str:
    """Check agreement on images that are stored inverted but look the same."""
    stack = case.stack
    if stack.voxels.ndim == len(("slice", "row", "column", "colour")) or stack.header.Modality in MEASURED_MODALITIES:
        raise Inapplicable("only grey-scale images without measured values are stored inverted")
    answer = case.show(stack.write(case.folder / "copy", inverted=True))
    return check_agreement(case.answer, answer, lambda mask: mask, None)


def all_background(case: Case) -> str:
    """Return the result for images that show only background."""
    return _run_or_refuse(case, case.stack.blank("all background").write(case.folder / "copy"))


def _run_or_refuse(case: Case, paths: list[Path]) -> str:
    """Return the result of the model, or the refusal of model or host."""
    try:
        answer = case.show(paths)
    except UnsupportedInput as refusal:
        if refusal.fault not in REFUSALS:
            raise
        return f"refused by {REFUSALS[refusal.fault]}: {refusal.reason}"
    except NotApplicable as refusal:
        return f"the model does not apply: {refusal}"
    if not _findings(answer) and case.bench.model.empty is Empty.FAILURE:
        return 'finds nothing, which the manifest calls a failure (empty = "failure")'
    return _in_words(answer)


def _in_words(answer: SeriesAnswer) -> str:
    return f"finds {', '.join(_findings(answer)) or 'nothing'}"


def _findings(answer: SeriesAnswer) -> list[str]:
    """Return labels of segments and names of present findings."""
    results = [part.result for part in answer.parts]
    labels = [segment.label for result in results for segment in result.segments if segment.mask.any()]
    present = [item.name.meaning for result in results for item in result.findings if item.presence is Presence.PRESENT]
    return list(dict.fromkeys([*labels, *present]))
