"""``orchestrator events``: what happened, as the audit trail keeps it."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.app.installation.ledger import open_ledger
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, table


def command(
    subject: Annotated[
        str, typer.Argument(help="A series or transaction UID, job key or archive, or how it begins; all if not given.")
    ] = "",
    kind: Annotated[str, typer.Option(help="Only events of this kind, such as file-unreadable.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10000, help="At most so many, the newest.")] = 50,
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Show what happened to series, jobs, files and archives, the newest last; UIDs only, no patient data."""
    with open_ledger(settings) as ledger:
        found = ledger.events.newest(beginning=subject, kind=kind, limit=limit)
    if json:
        as_json(found)
        return
    table(
        ["when", "what", "subject", "text", "by"],
        [(event.at, event.kind, event.subject, event.text, event.by) for event in found],
        empty="no events",
    )
