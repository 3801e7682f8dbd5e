"""``orchestrator quarantine``: images that conflict with those of another sender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.app.installation.ledger import open_ledger
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console, table
from orchestrator.pipeline.arrival.quarantine import decide

commands = typer.Typer(help="Quarantine: list, take, refuse images.", no_args_is_help=True)
SeriesUid = Annotated[str, typer.Argument(metavar="SERIES_UID", help="Series Instance UID.")]
Sender = Annotated[str, typer.Option("--sender", help="AE title, or name of the source, that sent the images.")]
By = Annotated[str, typer.Option(help="Your name, for the audit trail.")]


@commands.command("list")
def list_quarantined(settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Show the images that wait for a decision, the oldest first."""
    with open_ledger(settings) as ledger:
        waiting = ledger.quarantine.waiting()
    if json:
        as_json(waiting)
        return
    table(
        ["series", "sender", "images", "since", "conflict"],
        [(each.series_uid, each.sender, each.count, each.since, str(each)) for each in waiting],
        empty="no image is in quarantine",
    )


@commands.command()
def take(series_uid: SeriesUid, sender: Sender, by: By, settings: SettingsFile = None) -> None:
    """Use the images of this sender: a running service makes a new revision of the series."""
    _decide(settings, series_uid, sender, by, take=True)


@commands.command()
def refuse(series_uid: SeriesUid, sender: Sender, by: By, settings: SettingsFile = None) -> None:
    """Keep the earlier images: those of this sender never count."""
    _decide(settings, series_uid, sender, by, take=False)


def _decide(settings: Path | None, series_uid: str, sender: str, by: str, *, take: bool) -> None:
    with open_ledger(settings) as ledger:
        count = decide(ledger, series_uid, sender, take=take, by=by)
    images = "1 image" if count == 1 else f"{count} images"
    console.print(f"{images} from {sender} {'taken' if take else 'refused'}", markup=False)
