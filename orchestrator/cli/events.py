"""``orchestrator events``: shows the audit trail."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.app.installation.ledger import open_ledger
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, table


def command(
    subject: Annotated[
        str,
        typer.Argument(help="Series UID, transaction UID, job key or archive, or its first characters."),
    ] = "",
    kind: Annotated[str, typer.Option(help="Show only events of this kind, such as file-unreadable.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10000, help="Show only the newest N events.")] = 50,
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Show the events of series, jobs, files and archives, the newest last. No patient data, UIDs only."""
    with open_ledger(settings) as ledger:
        events = ledger.events.newest(beginning=subject, kind=kind, limit=limit)
    if json:
        as_json(events)
        return
    table(
        ["when", "kind", "subject", "text", "by"],
        [(event.at, event.kind, event.subject, event.text, event.by) for event in events],
        empty="no events",
    )
