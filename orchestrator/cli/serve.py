"""``orchestrator serve``: runs the service."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.app.installation.logs import start_logging
from orchestrator.app.installation.settings import DEFAULT_SETTINGS, settings_of
from orchestrator.app.service.role import Role
from orchestrator.app.service.shutdown import end_with_supervisor
from orchestrator.app.service.startup import check_startable
from orchestrator.app.service.supervisor import run_role, supervise
from orchestrator.cli.show import SettingsFile
from orchestrator.config import Settings


def command(
    settings: SettingsFile = None,
    role: Annotated[
        list[Role] | None, typer.Option(help="Run only this part of the service; may be repeated. Default: all.")
    ] = None,
    supervisor: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Receive images, run models, deliver results and serve the review pages until stopped."""
    start_logging()
    effective = settings_of(settings)
    if supervisor is not None:
        end_with_supervisor(supervisor)
    roles = role or _roles(effective)
    if len(roles) == 1:
        if supervisor is None:
            check_startable(effective, roles)
        run_role(roles[0], effective)
        return
    file = settings if settings is not None else (DEFAULT_SETTINGS if DEFAULT_SETTINGS.exists() else None)
    raise typer.Exit(supervise(effective, file, roles))


def _roles(settings: Settings) -> list[Role]:
    roles = [Role.ENGINE]
    if settings.receiver.enabled:
        roles.insert(0, Role.RECEIVER)
    if settings.archives:  # to watch, or to backfill from
        roles.append(Role.WATCHER)
    if settings.web.enabled:
        roles.append(Role.WEB)
    return roles
