"""``orchestrator config``: the effective settings."""

from __future__ import annotations

import json as jsons

import typer

from orchestrator.app.installation.settings import settings_of
from orchestrator.app.operations import explain
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console

commands = typer.Typer(help="Settings: show what is in force, check a file.", no_args_is_help=True)


@commands.command()
def show(settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Print the effective settings with secrets masked."""
    effective = settings_of(settings)
    if json:
        as_json(jsons.loads(effective.to_json()))
    else:
        typer.echo(effective.shown())


@commands.command()
def check(settings: SettingsFile = None) -> None:
    """Check the settings and the rules that they name."""
    effective = settings_of(settings)
    rules = explain.rules_in_force(effective)
    console.print(f"the settings are sound; {len(rules.rules)} rules are in force", markup=False)
