"""``orchestrator backfill``: run one rule on an archive's old studies, after all live work."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.app.installation.ledger import open_ledger
from orchestrator.app.installation.settings import settings_of
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console, table
from orchestrator.database import database_faults
from orchestrator.domain.errors import UserError
from orchestrator.domain.fetching import BackfillState, FetchState

if TYPE_CHECKING:
    from orchestrator.app.operations.backfill import BackfillStatus

commands = typer.Typer(no_args_is_help=True)
Number = Annotated[int, typer.Argument(help="Number of the backfill, as `orchestrator backfill list` shows it.")]
By = Annotated[str, typer.Option(help="Your name, for the audit trail.")]
FOLLOW_SECONDS = 1.0
_ENDS = (FetchState.DONE, FetchState.FAILED)
COLUMNS = ["number", "state", "rule", "archive", "days", "matched", "skipped", "fetched", "done", "failed", "waits for"]


@commands.callback(invoke_without_command=True, no_args_is_help=True)
def command(
    context: typer.Context,
    rule: Annotated[str | None, typer.Option(help="Name of the rule; only its models run.")] = None,
    archive: Annotated[str | None, typer.Option(help="Name of the archive in the settings.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First study date, as in 2026-01-31.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last study date.")] = None,
    per_hour: Annotated[int | None, typer.Option(help="Fetch at most N series an hour.")] = None,
    window: Annotated[str | None, typer.Option(help="Only in these hours, as in 20:00-06:00.")] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Begin with the first day.")] = False,
    by: By = "command line",
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Run one rule on the studies of some days; a running service does it, after all live work."""
    if context.invoked_subcommand is not None:
        return
    if rule is None or archive is None or first is None or last is None:
        raise UserError("a backfill needs --rule, --archive, --from and --to")
    from orchestrator.app.operations import backfill

    order = backfill.begin(
        settings_of(settings),
        rule=rule,
        archive=archive,
        first=first.date(),
        last=last.date(),
        per_hour=per_hour,
        hours=window,
        newest_first=not oldest_first,
        by=by,
    )
    if json:
        as_json(order)
        return
    console.print(f"backfill {order.number} of {order.days} days; see: orchestrator backfill show {order.number}")


@commands.command("list")
def list_backfills(settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Show all backfills and their progress."""
    from orchestrator.app.operations import backfill

    found = backfill.list_statuses(settings_of(settings))
    if json:
        as_json(found)
        return
    table(COLUMNS, [_row(item) for item in found], empty="no backfills")


@commands.command()
def show(
    number: Number,
    follow: Annotated[bool, typer.Option("--follow", help="Show a progress bar until it ends.")] = False,
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Show the progress of one backfill, and the time that is left."""
    from orchestrator.app.operations import backfill

    with open_ledger(settings) as ledger:
        item = backfill.find_status(ledger, number)
        if json:
            as_json(item)
            return
        table(COLUMNS, [_row(item)])
        if follow:
            _follow(lambda: backfill.find_status(ledger, number))
        else:
            console.print(_outlook(item), markup=False)


@commands.command()
def pause(number: Number, by: By = "command line", settings: SettingsFile = None) -> None:
    """Fetch nothing more until the backfill is resumed; fetched series are still processed."""
    _move(number, BackfillState.PAUSED, by, settings)


@commands.command()
def resume(number: Number, by: By = "command line", settings: SettingsFile = None) -> None:
    """Continue a paused backfill."""
    _move(number, BackfillState.RUNNING, by, settings)


@commands.command()
def cancel(number: Number, by: By = "command line", settings: SettingsFile = None) -> None:
    """End a backfill for good; fetched series are still processed."""
    _move(number, BackfillState.CANCELLED, by, settings)


def _move(number: int, state: BackfillState, by: str, settings: Path | None) -> None:
    from orchestrator.app.operations import backfill

    with database_faults():
        order = backfill.move(settings_of(settings), number, state, by=by)
    console.print(f"backfill {order.number} is {order.state}", markup=False)


def _follow(look: Callable[[], BackfillStatus]) -> None:
    """Show a progress bar until the backfill ends or is paused."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    bars = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[outlook]}"))
    with Progress(*bars, console=console) as progress:
        bar = progress.add_task("backfill", total=1.0, outlook="")
        while True:
            item = look()
            progress.update(bar, completed=item.share, outlook=_outlook(item))
            if item.order.state is not BackfillState.RUNNING:
                return
            time.sleep(FOLLOW_SECONDS)


def _row(item: BackfillStatus) -> list[object]:
    order, progress = item.order, item.progress
    days = f"{progress.days} of {order.days}"
    counts = (progress.matched, progress.skipped, item.fetched, *(progress.fetches.get(s, 0) for s in _ENDS))
    return [order.number, order.state, order.rule, order.archive, days, *counts, order.error]


def _outlook(item: BackfillStatus) -> str:
    """Return in a few words what is left to do and how long that takes."""
    if item.order.state is not BackfillState.RUNNING:
        return f"{item.order.state}: {item.fetched} series fetched"
    now = datetime.now().astimezone()
    if item.order.hours is not None and item.order.hours.opening(now) > now:
        return f"waiting for its hours, {item.order.hours}"
    if item.order.error:
        return f"waiting: {item.order.error}"
    progress = f"{item.fetched} series fetched, about {item.remaining} left"
    if item.seconds_left is None:
        return progress
    return f"{progress}, {timedelta(seconds=round(item.seconds_left))} at the pace of the last hour"
