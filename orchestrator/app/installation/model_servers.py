"""The way to model servers, as the settings allow it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from orchestrator.config import EgressSettings, Settings
from orchestrator.model_servers.client import InferenceServers
from orchestrator.model_servers.egress import Egress, Exit

log = logging.getLogger(__name__)

KIND = "egress"
"""Of the events in the audit trail."""

Record = Callable[[str, str, str], object]
"""Takes kind, subject and text of one line of the audit trail."""


def model_servers(
    settings: Settings, record: Record | None = None, job_of: Callable[[Path], str] | None = None
) -> InferenceServers:
    """Return the model servers that the settings let be asked; each call is recorded, at least in the log.

    job_of: which job the folder of a volume belongs to.
    """
    keep = record or _logged
    exits = [_exit(row) for row in settings.egress]
    return InferenceServers(Egress(exits, lambda subject, text: keep(KIND, subject, text)), job_of or _name)


def _name(part: Path) -> str:
    return part.name


def _exit(row: EgressSettings) -> Exit:
    return Exit(
        name=row.name,
        url=row.url,
        purpose=row.purpose,
        kind=row.kind,
        profile=row.profile,
        expires=row.expires,
        ca_file=row.ca_file,
    )


def _logged(kind: str, subject: str, text: str) -> None:
    log.info("%s %s: %s", kind, subject, text)
