"""Checks every clause of the contract on a synthetic series, and on series of the user."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from orchestrator.app.installation.connections import start_workers
from orchestrator.app.models.contract import behaviour, odd_input, orientation
from orchestrator.app.models.contract.bench import Bench, SeriesAnswer
from orchestrator.app.models.contract.case import Case
from orchestrator.app.models.contract.clause import Clause, ContractReport, Mark, check_clause
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
"""Clauses about one answer; the last one decides whether two answers can be compared."""

COMPARED: tuple[tuple[str, Callable[[Case], str]], ...] = (
    ("instance numbers descending", orientation.descending),
    *((name, partial(orientation.reoriented, name=name)) for name in orientation.TURNS),
    ("patient lying oblique", orientation.oblique),
    ("anisotropic pixels", odd_input.anisotropic),
    ("multi-frame", odd_input.multi_frame),
    ("MONOCHROME1", odd_input.monochrome1),
)
"""Clauses that compare two answers: to the original series, and to the series stored in another way."""


def check_model(
    name: str, settings: Settings, source: Path | None = None, *, report: Callable[[Clause], None] = lambda _: None
) -> ContractReport:
    """Return whether the model keeps the contract.

    source: a folder of further DICOM series to check it on. report: called with each clause when it is done.
    Raises UserError for an unknown model or a missing folder.
    """
    own = list(of_folder(source)) if source is not None else []
    clauses = []
    with closing(start_workers(settings)) as workers, tempfile.TemporaryDirectory(prefix="orchestrator-check-") as work:
        bench = Bench(workers, name)
        for clause in examine(bench, own, Path(work)):
            report(clause)
            clauses.append(clause)
    return ContractReport(bench.model, tuple(clauses), bench.outputs, bench.devices)


def examine(bench: Bench, own: Sequence[Specimen], work: Path) -> Iterator[Clause]:
    """Yield the outcome of each clause, on a synthetic series and on series of the user."""
    yield check_clause("declares", "", lambda: behaviour.declared(bench))
    loading = check_clause("loads", "", lambda: behaviour.loads(bench))
    yield loading
    if loading.mark is not Mark.PASSED:
        return
    series = synthetic(bench.model, work / "synthetic")
    if series is None:
        modalities = ", ".join(bench.model.intended.modality)
        yield Clause(RUNS, "synthetic", Mark.NOT_APPLICABLE, f"there is no synthetic {modalities}; use --input FOLDER")
    for specimen in [*([series] if series else []), *own]:
        yield from _on_series(bench, specimen, work)
    yield check_clause("memory", "", lambda: behaviour.memory(bench))
    yield check_clause("prints", "", lambda: behaviour.printed(bench))


def _on_series(bench: Bench, specimen: Specimen, work: Path) -> Iterator[Clause]:
    with tempfile.TemporaryDirectory(dir=work) as folder:
        answers: list[SeriesAnswer] = []
        runs = check_clause(RUNS, specimen.title, lambda: _runs(bench, specimen, Path(folder), answers))
        yield runs
        if not answers:
            why = runs.says if runs.mark is Mark.NOT_APPLICABLE else "the model does not run on this series"
            yield from _skip((*ALONE, *COMPARED), specimen, why)
            return
        for name, clause in ALONE:
            last = _check_in_folder(name, clause, bench, specimen, answers[0], work)
            yield last
        if last.mark is Mark.FAILED:
            yield from _skip(COMPARED, specimen, "the model is not deterministic, so answers cannot be compared")
            return
        for name, clause in COMPARED:
            yield _check_in_folder(name, clause, bench, specimen, answers[0], work)


def _skip(clauses: Sequence[tuple[str, object]], specimen: Specimen, why: str) -> Iterator[Clause]:
    for name, _ in clauses:
        yield Clause(name, specimen.title, Mark.NOT_APPLICABLE, why)


def _runs(bench: Bench, specimen: Specimen, folder: Path, answers: list[SeriesAnswer]) -> str:
    """Run the model on the series, keep the answer, and return the shape and orientation of its input."""
    answer = bench.show(specimen.paths, folder)
    answers.append(answer)
    grids = [" x ".join(map(str, part.grid.shape)) for part in answer.parts]
    way = "/".join(map(str, answer.series.facts.get("Orientation", ())))
    return f"on {' and '.join(grids)} {way}".strip()


def _check_in_folder(
    name: str, clause: Callable[[Case], str], bench: Bench, specimen: Specimen, answer: SeriesAnswer, work: Path
) -> Clause:
    """Check a clause in a folder of its own, removed afterwards, since copies of a series are large."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        return check_clause(name, specimen.title, lambda: clause(Case(bench, specimen, answer, Path(folder))))
