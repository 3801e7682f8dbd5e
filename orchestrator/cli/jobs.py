"""``orchestrator jobs``: list and show jobs, retry and cancel them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from orchestrator.app.installation.ledger import describe_unreachable, job_file, open_ledger
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console, deliveries_table, table
from orchestrator.domain.job import LEAVING, JobState
from orchestrator.domain.records import DeliveryState, JobRecord
from orchestrator.ledger import Ledger

commands = typer.Typer(help="Jobs: list, show, retry, cancel.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="Job key, or its first 6 digits and more.")]


@commands.command("list")
def list_jobs(
    settings: SettingsFile = None,
    state: Annotated[list[JobState] | None, typer.Option(help="Only jobs in this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show only the newest N jobs.")] = 50,
    json: JsonFlag = False,
) -> None:
    """Show jobs, newest first."""
    with open_ledger(settings) as ledger:
        jobs = ledger.jobs.search(states=state or (), limit=limit)
        away = describe_unreachable(ledger)
        rows = [_row(job, job.reason or _waits_for(ledger, job)) for job in jobs]
    if json:
        as_json(jobs)
        return
    table(
        ["key", "state", "model", "priority", "rule", "created", "reason"],
        rows,
        empty="no jobs",
    )
    _tell(away)


def _row(job: JobRecord, reason: str) -> list[object]:
    model = f"{job.model} {job.model_version}"
    return [job.key[:12], job.state, model, job.priority, job.rule, job.created_at, reason]


def _waits_for(ledger: Ledger, job: JobRecord) -> str:
    """Return why deliveries of the job wait, empty where none has failed."""
    rows = ledger.deliveries.of_job(job.key) if job.state in LEAVING else ()
    return "; ".join(row.error for row in rows if row.error and row.state is DeliveryState.WAITING)


def _tell(away: Mapping[str, str]) -> None:
    for said in away.values():
        console.print(said, style="yellow", markup=False)


@commands.command()
def show(key: Key, settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Show one job with its objects, deliveries and history."""
    with open_ledger(settings) as ledger:
        file = job_file(ledger, key)
        away = describe_unreachable(ledger)
    if json:
        as_json(file)
        return
    job = file.job
    console.print(f"[bold]{job.model} {job.model_version}[/bold] on series {job.series_uid} revision {job.revision}")
    console.print(f"state {job.state}" + (f": {job.reason}" if job.reason else ""), markup=False)
    table(
        ["kind", "object", "file"], [(item.kind, item.sop_uid, item.path) for item in file.objects], empty="no objects"
    )
    deliveries_table(file.deliveries, file.notes)
    _tell({row.destination: away[row.destination] for row in file.deliveries if row.destination in away})
    table(["when", "what", "by", "text"], [(event.at, event.kind, event.by, event.text) for event in file.events])


@commands.command()
def retry(
    key: Key,
    by: Annotated[str, typer.Option(help="Your name, for the audit trail.")] = "command line",
    settings: SettingsFile = None,
) -> None:
    """Try a failed, parked, held or unsupported job again."""
    from orchestrator.app.operations.jobs import open_job_control  # loads the engine's client

    with open_job_control(settings) as jobs:
        job = jobs.retry(key, by=by)
    console.print(f"job {job.key[:12]} is {job.state}; a running service runs it", markup=False)


@commands.command()
def cancel(
    key: Key,
    by: Annotated[str, typer.Option(help="Your name, for the audit trail.")] = "command line",
    settings: SettingsFile = None,
) -> None:
    """End a job that has not delivered anything."""
    from orchestrator.app.operations.jobs import open_job_control  # loads the engine's client

    with open_job_control(settings) as jobs:
        job = jobs.cancel(key, by=by)
    console.print(f"job {job.key[:12]} is {job.state}", markup=False)
