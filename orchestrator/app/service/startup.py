"""Checks before the service starts what a restart cannot mend: a data folder without access, a port in use."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.app.service.role import Role
from orchestrator.config import Settings
from orchestrator.domain.errors import OrchestratorError, SettingsError

_OF_THE_FOLDER = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EIO})


def check_startable(settings: Settings, roles: Collection[Role]) -> None:
    """Check data folder and ports of these roles.

    Raises SettingsError, in one sentence.
    """
    check_data_folder(settings.data.folder)
    if Role.RECEIVER in roles:
        receiver, tls = settings.receiver, settings.receiver_tls
        if not tls.replaces_plain:
            _check_port("the receiver", receiver.host, receiver.port, "[receiver] host and port")
        if tls.enabled:
            _check_port("the receiver (TLS)", receiver.host, tls.port, "[receiver_tls] port")
    if Role.WEB in roles:
        _check_port("the review page", settings.web.host, settings.web.port, "[web] host and port")


def check_data_folder(folder: Path) -> None:
    """Make the folder if it is missing, and write a file in it.

    Raises SettingsError.
    """
    trial = folder / f".trial-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as fault:
        raise SettingsError(
            f"the data folder {folder} cannot be written ({fault.strerror}); see [data] folder"
        ) from None


@contextmanager
def data_folder_faults(folder: Path) -> Iterator[None]:
    """Raise as OrchestratorError, in one sentence, where the data folder is lost or read-only while a role runs."""
    try:
        yield
    except OSError as fault:
        if fault.errno in _OF_THE_FOLDER and fault.filename and Path(fault.filename).is_relative_to(folder):
            text = f"the data folder {folder} cannot be used ({fault.strerror}); check its disk and its owner"
            raise OrchestratorError(text) from None
        raise


def _check_port(name: str, host: str, port: int, setting: str) -> None:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = addresses[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as fault:
        raise SettingsError(f"{name} cannot listen on {host} port {port} ({fault.strerror}); check {setting}") from None
