"""How the model behaves as a process: it loads, repeats itself, keeps to what it declares."""

from __future__ import annotations

from orchestrator.app.models.contract.agreement import check_identical
from orchestrator.app.models.contract.bench import Bench
from orchestrator.app.models.contract.case import Case
from orchestrator.app.models.contract.clause import Broken, Inapplicable
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.model import Empty, Resources

MUCH = 4
"""A declaration this many times above what was used is worth a word: it keeps other models out."""


def declared(bench: Bench) -> str:
    """Return what the model says that it needs, and for whom it is."""
    model, needs = bench.model, bench.model.resources
    given = "" if needs != Resources() else " (the defaults: the model declares nothing)"
    meant = ", ".join(model.intended.modality) or "any modality"
    kind = model.accepts.geometry
    return f"{meant}, {kind}; {needs.device}, {needs.memory_mb} MB, {needs.timeout_seconds:g} s at most{given}"


def loads(bench: Bench) -> str:
    """Return how the model describes itself, once its process holds it."""
    bench.load()
    model = bench.model
    return f"{model.name} {model.version}, {model.runtime}, digest {model.digest[:12]}"


def valid_objects(case: Case) -> str:
    """Return which objects the host writes of the result; its own rules are kept or nothing is written."""
    try:
        objects = case.bench.write(case.answer, case.folder)
    except InvalidResult as fault:
        if case.bench.model.empty is Empty.FAILURE and "found nothing" in str(fault):
            raise Inapplicable('it finds nothing here and calls that a failure (empty = "failure")') from None
        raise
    kinds = [written.kind.value for written in objects]
    return " and ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def deterministic(case: Case) -> str:
    """Return that the same files give the same result again, in this process and in a fresh one."""
    paths = case.specimen.paths
    check_identical(case.answer, case.bench.show(paths, case.folder / "again"))
    case.bench.rest()
    try:
        check_identical(case.answer, case.bench.show(paths, case.folder / "fresh"))
    except Broken as fault:
        raise Broken(f"{fault}, in a fresh process") from None
    return "the same again, and the same in a fresh process"


def time_taken(case: Case) -> str:
    """Return how long the warm model takes for the series, and on which device, against what it declares."""
    again = case.show(case.specimen.paths)
    slices = sum(part.grid.shape[0] for part in again.parts)
    limit = case.bench.model.resources.timeout_seconds
    spent = f"{again.seconds:.2f} s" if again.seconds >= 0.01 else f"{again.seconds * 1000:.2g} ms"
    return f"{spent} on {again.device} for {slices} image(s); it is killed after {limit:g} s"


def memory(bench: Bench) -> str:
    """Return the most memory that the process held, against what it declares."""
    peak, limit = bench.peak_memory_mb, bench.model.resources.memory_mb
    if peak is None:
        raise Inapplicable("its process has ended")
    if peak > limit:
        raise Broken(f"it held {peak:.0f} MB and declares {limit} MB: set [resources] memory_mb")
    hint = f"; {int(peak * 2 / 128 + 1) * 128} would do" if limit > MUCH * peak else ""
    return f"at most {peak:.0f} MB of the {limit} MB that it declares{hint}"


def printed(bench: Bench) -> str:
    """Return how much the model printed; it goes nowhere, and results do not travel with it."""
    lines = bench.printed.splitlines()
    return f"{len(lines)} line(s), which reach neither log nor result" if lines else "nothing"
