"""``orchestrator doctor``: checks the installation or an archive and says what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from orchestrator.app.doctor.archive import examine_archive
from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.doctor.installation import examine
from orchestrator.app.installation.settings import settings_of
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console
from orchestrator.config import Settings
from orchestrator.domain.errors import UserError

MARKS = {
    Health.GOOD: "[green]good   [/green]",
    Health.WARNING: "[yellow]warning[/yellow]",
    Health.BAD: "[red]bad    [/red]",
}


def command(
    archive: Annotated[str | None, typer.Option(help="Test this archive or destination of the settings.")] = None,
    store: Annotated[
        bool, typer.Option("--store", help="With --archive: send a synthetic patient's study and read it back.")
    ] = False,
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Check disk, ledger, rules, worker cage, models, receiver and archives, and say what to change."""
    checks = []
    for check in _examine(archive, settings_of(settings), store):
        checks.append(check)
        if not json:
            _print(check)
    if json:
        as_json(checks)
    raise typer.Exit(1 if any(check.health is Health.BAD for check in checks) else 0)


def _examine(archive: str | None, settings: Settings, store: bool) -> Iterator[Check]:
    if archive is not None:
        return examine_archive(archive, settings, store=store)
    if store:
        raise UserError("--store needs --archive NAME")
    return examine(settings)


def _print(check: Check) -> None:
    console.print(f"{MARKS[check.health]} [bold]{check.name}[/bold]: ", end="")
    console.print(check.found, markup=False)
    if check.advice:
        console.print(f"        -> {check.advice}", markup=False)
