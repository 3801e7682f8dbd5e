"""``orchestrator serve``: the service."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.app.installation.logs import start_logging
from orchestrator.app.installation.settings import DEFAULT_SETTINGS, settings_of
from orchestrator.app.service import supervisor as serve
from orchestrator.app.service.shutdown import end_with_supervisor
from orchestrator.cli.show import SettingsFile, console
from orchestrator.config import Settings


def command(
    settings: SettingsFile = None,
    role: Annotated[
        list[serve.Role] | None, typer.Option(help="Only this part of the service; may be repeated. All if not given.")
    ] = None,
    supervisor: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Receive images, run models, deliver results and show the review pages until stopped."""
    start_logging()
    effective = settings_of(settings)
    if supervisor is not None:
        end_with_supervisor(supervisor)
    roles = role or _roles(effective)
    if len(roles) == 1:
        serve.play(roles[0], effective)
        return
    if effective.web.enabled:
        console.print(f"review page: http://localhost:{effective.web.port}/", markup=False)
    file = settings if settings is not None else (DEFAULT_SETTINGS if DEFAULT_SETTINGS.exists() else None)
    raise typer.Exit(serve.supervise(file, roles))


def _roles(settings: Settings) -> list[serve.Role]:
    roles = [serve.Role.ENGINE]
    if settings.receiver.enabled:
        roles.insert(0, serve.Role.RECEIVER)
    if settings.archives:  # to be watched, or to backfill from
        roles.append(serve.Role.WATCHER)
    if settings.web.enabled:
        roles.append(serve.Role.WEB)
    return roles
