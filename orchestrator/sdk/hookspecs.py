"""Hook specifications of contract version 1; their docstrings are the reference."""

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
    """A model that a plugin registers.

    Optional attributes: ``description``, ``manufacturer``, ``licence``, ``intended: Intended``, ``accepts: Accepts``,
    ``resources: Resources``, ``empty: Empty``, ``qualification``, ``parameters: dict[str, str]``.
    Optional method: ``load(weights: Path | None, device: str)``, called once before the first ``predict``.
    weights: the folder of the pulled weights, None where the manifest has none.
    device: ``cpu`` or ``cuda:0``, the only GPU that the process sees.
    A model that runs on another device sets its attribute ``device``; the SR names that device.
    The model.toml given to ``register`` may supply what the class leaves out, ``name`` and ``version`` too.
    """

    name: str
    version: str

    def predict(self, volume: Volume) -> Result:
        """Return the result for the volume; masks of segments have the shape of the volume.

        Raise UnsupportedInput("why") for a volume that the model cannot handle, and NotApplicable("why")
        for a valid volume that the model does not apply to.
        """


class Register(Protocol):
    """Registers one model; ``manifest`` is the path of a model.toml with its remaining attributes."""

    def __call__(self, model: Model, manifest: Path | None = None) -> None:
        """Register the model."""


@hookspec
def register_models(register: Register) -> None:
    """Call ``register(model)`` for each model. Called once, in the model process only."""


@hookspec(firstresult=True)
def connect_archive(url: str, settings: Mapping[str, Any]) -> Archive | None:
    """Return an archive for a URL scheme of your plugin, None for other schemes. Called once per archive at start."""


@hookspec
def declare_facts() -> Mapping[str, str]:
    """Return the names and kinds (text, number, date ...) of your facts, so that rules may use them."""


@hookspec
def series_facts(series: Series, headers: Headers) -> Mapping[str, Any]:
    """Return facts for rules; a tuple where a fact has several values. Called before rules are matched.

    Each name must be declared by one plugin only. If this raises, the series waits and the log says why.
    """


@hookspec
def extra_objects(job: JobRecord, result: Result, sources: Sequence[Path]) -> Sequence[Any]:
    """Return additional pydicom Datasets to send with the result. If this raises, the attempt fails."""


@hookspec
def result_delivered(job: JobRecord, objects: Sequence[ObjectRecord]) -> None:
    """Called when an archive has confirmed the objects. Errors are only logged."""


@hookspec
def review_changed(job: JobRecord, before: ReviewRecord, after: ReviewRecord) -> None:
    """Called after a verdict. Errors are only logged."""


@hookspec
def register_commands(cli: typer.Typer) -> None:
    """Add commands to the ``orchestrator`` command line."""
