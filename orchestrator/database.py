"""Opens a database and gives transactions, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.domain.errors import OrchestratorError, SettingsError

BUSY_SECONDS = 30.0
"""How long a writer of a SQLite file waits for another before it gives up."""


def parse_url(url: str) -> sa.URL:
    """Return the URL with its driver: psycopg on PostgreSQL, the standard library's on SQLite.

    Raises SettingsError for another database, and for SQLite without a file: jobs must survive a restart.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise SettingsError("the database is no URL; expected sqlite:///FILE or postgresql://HOST/NAME") from None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite+pysqlite")
        case "sqlite":
            raise SettingsError("a SQLite database needs a file: sqlite:///data/orchestrator.db")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise SettingsError(f"the database is {other}; expected sqlite:///FILE or postgresql://HOST/NAME")


def sqlite_file(url: sa.URL) -> Path | None:
    """Return the file of a SQLite database, None on PostgreSQL."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


class DatabaseUnavailable(OrchestratorError):
    """The database does not answer, cannot be read, or cannot be written; a retry may work."""


@contextmanager
def database_faults() -> Iterator[None]:
    """Raise a database error of this block as DatabaseUnavailable, in one sentence."""
    try:
        yield
    except sa.exc.DatabaseError as fault:
        if type(fault) not in {sa.exc.OperationalError, sa.exc.DatabaseError}:
            raise  # a broken constraint, a wrong statement: a bug
        reason = (str(fault.orig).splitlines() or [type(fault).__name__])[0]
        raise DatabaseUnavailable(
            f"the database cannot be used: {reason}; see [data] database in the settings"
        ) from None


def connection_fault(url: str) -> str:
    """Return why the database does not answer within a few seconds, in one sentence; empty where it does."""
    engine = sa.create_engine(parse_url(url), connect_args={"connect_timeout": 3}, poolclass=sa.NullPool)
    try:
        with database_faults(), engine.connect():
            return ""
    except DatabaseUnavailable as fault:
        return str(fault)


class Database:
    """A pool of connections; ``reading`` and ``writing`` are transactions that end with their block."""

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        if file := sqlite_file(self.url):
            file.parent.mkdir(parents=True, exist_ok=True)
            self._readers = sa.create_engine(self.url, connect_args={"timeout": BUSY_SECONDS})
            sa.event.listen(self._readers, "connect", _prepare_sqlite)
            sa.event.listen(self._readers, "begin", _begin_sqlite)
        else:
            self._readers = sa.create_engine(self.url, pool_pre_ping=True)
        self._writers = self._readers.execution_options(writes=True)

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Return one consistent view of the database on SQLite, committed rows on PostgreSQL."""
        return self._readers.begin()

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """Return a transaction that commits at the end of its block, or changes nothing.

        On SQLite it is the only writer from its first line, so that what it read still holds when it
        writes; on PostgreSQL the rows must be read ``with_for_update``.
        """
        return self._writers.begin()

    def close(self) -> None:
        """Close every connection."""
        self._readers.dispose()


def insert_new(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Return True where the row was inserted, False where one with the same key was there and stays."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    inserted = insert(table).values(**row).on_conflict_do_nothing().returning(sa.literal(1))
    return connection.execute(inserted).first() is not None


def upsert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert the row, or put it in the place of the one with the same key."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in row.items() if name not in keys}
    connection.execute(insert(table).values(**row).on_conflict_do_update(index_elements=keys, set_=rest))


def insert_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows, which may be none."""
    if rows:
        connection.execute(sa.insert(table), list(rows))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Make a new SQLite connection durable, patient and strict.

    synchronous=FULL: with NORMAL a power cut may take the last commits of a WAL database back, but what
    was accepted, and a verdict above all, must stay. WAL: readers and the one writer do not stop each other.
    """
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where the driver guesses
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
