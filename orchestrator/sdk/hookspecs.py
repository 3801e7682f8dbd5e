"""The hooks of contract 1; these docstrings are their reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from orchestrator.domain.ports import Archive
from orchestrator.domain.records import JobRecord, ObjectRecord, ReviewRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import Headers, Series
from orchestrator.domain.volume import Volume

if TYPE_CHECKING:
    import typer

PROJECT = "orchestrator"
hookimpl = pluggy.HookimplMarker(PROJECT)
hookspec = pluggy.HookspecMarker(PROJECT)

MODEL_HOOKS = frozenset({"register_models"})
HOST_HOOKS = frozenset(
    {
        "connect_archive",
        "declare_facts",
        "series_facts",
        "extra_objects",
        "result_delivered",
        "review_changed",
        "register_commands",
    }
)


class Model(Protocol):
    """What a model plugin registers.

    Besides these, a model may have ``description``, ``manufacturer``, ``licence``,
    ``intended: Intended``, ``accepts: Accepts``, ``resources: Resources``, ``empty: Empty``,
    ``qualification``, ``parameters: dict[str, str]``, and ``load(weights: Path | None, device: str)``,
    called once before the first ``predict`` with the folder of its pulled weights (None where its
    manifest names none) and ``cpu`` or ``cuda:0``, the only GPU that it sees. A model that loads
    elsewhere says so by its attribute ``device``; what it says stands in the SR. What the class leaves
    out, ``name`` and ``version`` too, a model.toml given to ``register`` may say.
    """

    name: str
    version: str

    def predict(self, volume: Volume) -> Result:
        """Return what the model finds in the volume; segments' masks have the volume's shape.

        Raise UnsupportedInput("why") for a volume that the model must not judge, and NotApplicable("why")
        for a sound one that it has nothing to say about.
        """


class Register(Protocol):
    """Takes one model; ``manifest`` names a model.toml that says the rest about it."""

    def __call__(self, model: Model, manifest: Path | None = None) -> None:
        """Take the model."""


@hookspec
def register_models(register: Register) -> None:
    """Call ``register(model)`` for each model. Runs once, in the worker process only."""


@hookspec(firstresult=True)
def connect_archive(url: str, settings: Mapping[str, Any]) -> Archive | None:
    """Return an archive for a URL scheme of yours, None for any other. Once per archive at start."""


@hookspec
def declare_facts() -> Mapping[str, str]:
    """Return the names of your facts with their kinds (text, number, date ...), so that rules may use them."""


@hookspec
def series_facts(series: Series, headers: Headers) -> Mapping[str, Any]:
    """Return facts that rules can ask for, before matching; a tuple where there are several values.

    Each name must be declared. Two plugins giving one name is an error; so is whatever this raises:
    the series then waits and the administrator is told.
    """


@hookspec
def extra_objects(job: JobRecord, result: Result, sources: Sequence[Path]) -> Sequence[Any]:
    """Return further pydicom Datasets to send with the result. If it raises, the attempt fails."""


@hookspec
def result_delivered(job: JobRecord, objects: Sequence[ObjectRecord]) -> None:
    """Be told that an archive confirmed the objects. Whatever it raises is logged only."""


@hookspec
def review_changed(job: JobRecord, before: ReviewRecord, after: ReviewRecord) -> None:
    """Be told of a verdict. Whatever it raises is logged only."""


@hookspec
def register_commands(cli: typer.Typer) -> None:
    """Add commands to the ``orchestrator`` command line."""
