"""Clients of the model servers that the settings allow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from orchestrator.config import EgressSettings, Settings
from orchestrator.model_servers.client import InferenceServers
from orchestrator.model_servers.egress import Egress, Exit

log = logging.getLogger(__name__)

KIND = "egress"
"""Kind of the events in the audit trail."""

Record = Callable[[str, str, str], object]
"""Records an event with kind, subject and text in the audit trail."""


def model_servers(
    settings: Settings, record: Record | None = None, job_of: Callable[[Path], str] | None = None
) -> InferenceServers:
    """Return the clients of model servers; each call is recorded.

    record: writes the events; default: into the log. job_of: returns the job of the folder of a volume.
    """
    record_event = record or _log_event
    exits = [_make_exit(row) for row in settings.egress]
    return InferenceServers(Egress(exits, lambda subject, text: record_event(KIND, subject, text)), job_of or _name)


def _name(part: Path) -> str:
    return part.name


def _make_exit(row: EgressSettings) -> Exit:
    return Exit(
        name=row.name,
        url=row.url,
        purpose=row.purpose,
        kind=row.kind,
        profile=row.profile,
        expires=row.expires,
        ca_file=row.ca_file,
    )


def _log_event(kind: str, subject: str, text: str) -> None:
    log.info("%s %s: %s", kind, subject, text)
