"""Retry and cancel as the command line gives them: the settings name ledger, engine and destinations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from orchestrator.app.installation.ledger import ledger_of
from orchestrator.app.installation.settings import settings_of
from orchestrator.app.installation.write_options import options_of
from orchestrator.database import database_faults
from orchestrator.engine import Client
from orchestrator.pipeline.jobs.control import JobControl


@contextmanager
def open_job_control(settings_file: Path | None) -> Iterator[JobControl]:
    """Give what retries and cancels the jobs of the ledger that the settings name."""
    settings = settings_of(settings_file)
    with (
        database_faults(),
        closing(ledger_of(settings)) as ledger,
        closing(Client(settings.data.database)) as client,
    ):
        yield JobControl(ledger, client, destinations=options_of(settings))
