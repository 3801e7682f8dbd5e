"""``orchestrator models check``: every clause of the contract on a synthetic series, and on a person's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from orchestrator.app.installation.connections import start_workers
from orchestrator.app.models.contract import behaviour, odd_input, orientation
from orchestrator.app.models.contract.bench import Answer, Bench
from orchestrator.app.models.contract.case import Case
from orchestrator.app.models.contract.clause import Clause, Mark, Report, judged
from orchestrator.app.models.contract.specimen import Specimen, of_folder, synthetic
from orchestrator.config import Settings

RUNS = "runs"
ALONE: tuple[tuple[str, Callable[[Case], str]], ...] = (
    ("valid SEG and SR", behaviour.valid_objects),
    ("known lesion", orientation.known_lesion),
    ("one slice", odd_input.one_slice),
    ("missing slice", odd_input.missing_slice),
    ("all background", odd_input.all_background),
    ("time", behaviour.time_taken),
    ("same input, same result", behaviour.deterministic),
)
"""Clauses that look at one answer; the last tells whether two answers can be compared at all."""

COMPARED: tuple[tuple[str, Callable[[Case], str]], ...] = (
    ("instance numbers descending", orientation.descending),
    *((name, partial(orientation.turned, name=name)) for name in orientation.TURNS),
    ("patient lying oblique", orientation.oblique),
    ("anisotropic pixels", odd_input.anisotropic),
    ("multi-frame", odd_input.multi_frame),
    ("MONOCHROME1", odd_input.monochrome1),
)
"""Clauses that compare another answer with that on the series as it is."""


def check_model(
    name: str, settings: Settings, source: Path | None = None, *, told: Callable[[Clause], None] = lambda _: None
) -> Report:
    """Return how the model keeps the contract.

    source: a folder of DICOM series to check it on besides the synthetic one. told: hears of each clause at once.
    Raises UserError where there is no such model or folder.
    """
    own = list(of_folder(source)) if source is not None else []
    clauses = []
    with closing(start_workers(settings)) as workers, tempfile.TemporaryDirectory(prefix="orchestrator-check-") as work:
        bench = Bench(workers, name)
        for clause in examine(bench, own, Path(work)):
            told(clause)
            clauses.append(clause)
    return Report(bench.model, tuple(clauses), bench.gives, bench.devices)


def examine(bench: Bench, own: Sequence[Specimen], work: Path) -> Iterator[Clause]:
    """Yield clause by clause how the model keeps the contract on a synthetic series and on one's own."""
    yield judged("declares", "", lambda: behaviour.declared(bench))
    loaded = judged("loads", "", lambda: behaviour.loads(bench))
    yield loaded
    if loaded.mark is not Mark.PASSED:
        return
    made = synthetic(bench.model, work / "synthetic")
    if made is None:
        modalities = ", ".join(bench.model.intended.modality)
        yield Clause(RUNS, "synthetic", Mark.NOT_APPLICABLE, f"the kit makes no {modalities}; give --input FOLDER")
    for specimen in [*([made] if made else []), *own]:
        yield from _on_series(bench, specimen, work)
    yield judged("memory", "", lambda: behaviour.memory(bench))
    yield judged("prints", "", lambda: behaviour.printed(bench))


def _on_series(bench: Bench, specimen: Specimen, work: Path) -> Iterator[Clause]:
    with tempfile.TemporaryDirectory(dir=work) as folder:
        answers: list[Answer] = []
        runs = judged(RUNS, specimen.title, lambda: _runs(bench, specimen, Path(folder), answers))
        yield runs
        if not answers:
            why = runs.says if runs.mark is Mark.NOT_APPLICABLE else "it does not run on the series as it is"
            yield from _left_out((*ALONE, *COMPARED), specimen, why)
            return
        for name, clause in ALONE:
            last = _judged_apart(name, clause, bench, specimen, answers[0], work)
            yield last
        if last.mark is Mark.FAILED:
            yield from _left_out(COMPARED, specimen, "it does not repeat itself, so no two answers can be compared")
            return
        for name, clause in COMPARED:
            yield _judged_apart(name, clause, bench, specimen, answers[0], work)


def _left_out(clauses: Sequence[tuple[str, object]], specimen: Specimen, why: str) -> Iterator[Clause]:
    for name, _ in clauses:
        yield Clause(name, specimen.title, Mark.NOT_APPLICABLE, why)


def _runs(bench: Bench, specimen: Specimen, folder: Path, answers: list[Answer]) -> str:
    """Keep the model's answer to the series as it is, and return what it was given."""
    answer = bench.show(specimen.paths, folder)
    answers.append(answer)
    grids = [" x ".join(map(str, part.grid.shape)) for part in answer.parts]
    way = "/".join(map(str, answer.series.facts.get("Orientation", ())))
    return f"on {' and '.join(grids)} {way}".strip()


def _judged_apart(
    name: str, clause: Callable[[Case], str], bench: Bench, specimen: Specimen, answer: Answer, work: Path
) -> Clause:
    """Judge a clause in a folder of its own, which goes with it: copies of a series are large."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        return judged(name, specimen.title, lambda: clause(Case(bench, specimen, answer, Path(folder))))
