"""``orchestrator config``: shows and checks the settings."""

from __future__ import annotations

from json import loads

import typer

from orchestrator.app.installation.settings import settings_of
from orchestrator.app.operations import explain
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console

commands = typer.Typer(help="Show or check the settings.", no_args_is_help=True)


@commands.command()
def show(settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Print the effective settings with secrets masked."""
    effective = settings_of(settings)
    if json:
        as_json(loads(effective.to_json()))
    else:
        typer.echo(effective.shown())


@commands.command()
def check(settings: SettingsFile = None) -> None:
    """Check the settings and their rules."""
    effective = settings_of(settings)
    rules = explain.rules_in_force(effective)
    count = len(rules.rules)
    console.print(f"the settings are valid; {count} {'rule' if count == 1 else 'rules'} in force", markup=False)
