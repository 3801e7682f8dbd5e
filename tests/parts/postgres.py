"""A private PostgreSQL server for one test session; PostgreSQL refuses root, so it runs as its own user."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

_USER = "postgres"
_ONLY_SOCKET = "-c listen_addresses='' -c fsync=off -c max_connections=200"
"""No TCP: nothing but this machine's own processes reach it. Without fsync: a test loses nothing at a power cut."""


class Postgres:
    """A running server; each ``database()`` is a new one."""

    def __init__(self, socket_folder: Path) -> None:
        self._socket_folder = socket_folder

    def database(self, template: str = "") -> str:
        """Return the URL of a new database: an empty one, or a copy of the one with the URL ``template``."""
        name, original = f"test_{uuid.uuid4().hex}", urlsplit(template).path.lstrip("/") or "template1"
        with closing(psycopg.connect(self._conninfo("postgres"), autocommit=True)) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{original}"'.encode())
        return f"postgresql://{_USER}@/{name}?host={self._socket_folder}"

    def _conninfo(self, database: str) -> str:
        return f"host={self._socket_folder} user={_USER} dbname={database}"


def installed() -> bool:
    """Return whether this machine has a PostgreSQL server and a user to run it as."""
    return bool(_programs()) and (os.geteuid() != 0 or shutil.which("runuser") is not None)


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server in a folder of its own; it is stopped and the folder removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # below no folder that postgres may not enter
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        data = folder / "data"
        _run("initdb", f"--pgdata={data}", f"--username={_USER}", "--auth=trust", "--encoding=UTF8", "--no-sync")
        _control(data, "start", f"--options={_ONLY_SOCKET} -c unix_socket_directories={folder}")
        try:
            yield Postgres(folder)
        finally:
            _control(data, "stop", "--mode=immediate")
    finally:
        shutil.rmtree(folder)


def _control(data: Path, verb: str, *options: str) -> None:
    _run("pg_ctl", verb, f"--pgdata={data}", f"--log={data.parent / 'log'}", "--wait", "--timeout=60", *options)


def _run(program: str, *arguments: str) -> None:
    as_user = ["runuser", "-u", _USER, "--"] if os.geteuid() == 0 else []
    command = [*as_user, str(_programs() / program), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", check=False)
    if done.returncode:
        raise RuntimeError(f"{program} ended with {done.returncode}: {done.stdout}")


def _programs() -> Path | None:
    """Return the folder with initdb and pg_ctl of the newest server on this machine."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: int(each.parts[-3]))
    if folders:
        return folders[-1].parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None
