"""Clauses about the model as a process: it loads, is deterministic and keeps to what it declares."""

from __future__ import annotations

from orchestrator.app.models.contract.agreement import check_identical
from orchestrator.app.models.contract.bench import Bench
from orchestrator.app.models.contract.case import Case
from orchestrator.app.models.contract.clause import Broken, Inapplicable
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.model import Empty, Resources

MUCH = 4
"""A declared memory this many times above the used one gets a hint, since it keeps other models waiting."""


def declared(bench: Bench) -> str:
    """Return the resources that the model declares, and its intended series."""
    model, needs = bench.model, bench.model.resources
    source = "" if needs != Resources() else " (the defaults: the model declares nothing)"
    modalities = ", ".join(model.intended.modality) or "any modality"
    kind = model.accepts.geometry
    return f"{modalities}, {kind}; {needs.device}, {needs.memory_mb} MB, {needs.timeout_seconds:g} s at most{source}"


def loads(bench: Bench) -> str:
    """Load the model and return its name, version, runtime and digest."""
    bench.load()
    model = bench.model
    return f"{model.name} {model.version}, {model.runtime}, digest {model.digest[:12]}"


def valid_objects(case: Case) -> str:
    """Return the objects that the host writes for the result; they must pass its own conformance rules."""
    try:
        objects = case.bench.write(case.answer, case.folder)
    except InvalidResult as fault:
        if case.bench.model.empty is Empty.FAILURE and "found nothing" in str(fault):
            raise Inapplicable('the model finds nothing here and calls that a failure (empty = "failure")') from None
        raise
    kinds = [written.kind.value for written in objects]
    return " and ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def deterministic(case: Case) -> str:
    """Check that the same files give the same result again, in this process and in a new one."""
    paths = case.specimen.paths
    check_identical(case.answer, case.bench.show(paths, case.folder / "again"))
    case.bench.rest()
    try:
        check_identical(case.answer, case.bench.show(paths, case.folder / "fresh"))
    except Broken as fault:
        raise Broken(f"{fault}, in a new process") from None
    return "the same result again, and in a new process"


def time_taken(case: Case) -> str:
    """Return how long the warm model needs for the series, on which device, and its time limit."""
    again = case.show(case.specimen.paths)
    slices = sum(part.grid.shape[0] for part in again.parts)
    limit = case.bench.model.resources.timeout_seconds
    duration = f"{again.seconds:.2f} s" if again.seconds >= 0.01 else f"{again.seconds * 1000:.2g} ms"
    return f"{duration} on {again.device} for {slices} image{'s' * (slices != 1)}; the limit is {limit:g} s"


def memory(bench: Bench) -> str:
    """Return the peak memory of the process and the declared memory."""
    peak, limit = bench.peak_memory_mb, bench.model.resources.memory_mb
    if peak is None:
        raise Inapplicable("the process has ended")
    if peak > limit:
        raise Broken(f"the process held {peak:.0f} MB, but memory_mb is {limit}; raise [resources] memory_mb")
    hint = f"; {int(peak * 2 / 128 + 1) * 128} would do" if limit > MUCH * peak else ""
    return f"at most {peak:.0f} MB of the declared {limit} MB{hint}"


def printed(bench: Bench) -> str:
    """Return how many lines the model printed; they are not kept."""
    lines = bench.output_text.splitlines()
    return f"{len(lines)} line{'s' * (len(lines) != 1)}, which are in neither log nor result" if lines else "nothing"
