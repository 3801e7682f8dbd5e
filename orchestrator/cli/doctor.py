"""``orchestrator doctor``: look at everything and say what to change."""

from __future__ import annotations

import typer

from orchestrator.app.choice import settings_of
from orchestrator.app.doctor import Check, Health, examine
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console

MARKS = {
    Health.GOOD: "[green]good   [/green]",
    Health.WARNING: "[yellow]warning[/yellow]",
    Health.BAD: "[red]bad    [/red]",
}


def command(settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Check disk, ledger, rules, cage, models, receiver and archives, and say what to do."""
    checks = []
    for check in examine(settings_of(settings)):
        checks.append(check)
        if not json:
            _print(check)
    if json:
        as_json(checks)
    raise typer.Exit(1 if any(check.health is Health.BAD for check in checks) else 0)


def _print(check: Check) -> None:
    console.print(f"{MARKS[check.health]} [bold]{check.name}[/bold]: ", end="")
    console.print(check.found, markup=False)
    if check.advice:
        console.print(f"        -> {check.advice}", markup=False)
