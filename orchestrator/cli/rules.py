"""``orchestrator rules``: check a rules file, explain a decision."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.app import routes
from orchestrator.app.choice import settings_of
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console

commands = typer.Typer(help="Rules: which series go to which models, and why.", no_args_is_help=True)
RulesFile = Annotated[Path | None, typer.Option("--rules", help="Rules file instead of that of the settings.")]


@commands.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Rules file; that of the settings if not given.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Read a rules file and report all its faults together, with their lines."""
    effective = settings_of(settings)
    rules = routes.rules_in_force(effective, file)
    console.print(
        f"{file or effective.rules.file or 'the shipped rules'}: {len(rules.rules)} rules, no fault", markup=False
    )
    for rule in rules.rules:
        goes_to = "held for a person" if rule.hold else ", ".join(rule.models)
        console.print(f"  {rule.name}  ->  {goes_to}  ({rule.priority})", markup=False)


@commands.command()
def explain(
    what: Annotated[str, typer.Argument(help="Folder of DICOM files, or a Series Instance UID the host has seen.")],
    rules: RulesFile = None,
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Say for each rule and each condition what was found, and why it did or did not fire."""
    effective = settings_of(settings)
    explained = routes.explain(what, effective, rules)
    if json:
        as_json({series_uid: jsons.loads(item.to_json(hide_identity=False)) for series_uid, item in explained.items()})
        return
    for series_uid, item in explained.items():
        console.print(f"\nseries {series_uid}", style="bold", markup=False)
        console.print(item.text(hide_identity=False), markup=False)
