from __future__ import annotations

import pytest

import orchestrator.engine
from orchestrator.database import parse_url, sqlite_file
from orchestrator.domain.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "drivername"),
    [
        ("sqlite:///data/orchestrator.db", "sqlite+pysqlite"),
        ("postgresql://host/name", "postgresql+psycopg"),
        ("postgresql+psycopg2://host/name", "postgresql+psycopg"),
    ],
)
def test_a_database_gets_its_driver(url: str, drivername: str) -> None:
    assert parse_url(url).drivername == drivername


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/name", "oracle://h", "data.db", ""])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="database"):
        parse_url(url)


def test_a_refused_url_does_not_tell_its_password() -> None:
    with pytest.raises(SettingsError) as refused:
        parse_url("mysql://user:secret@host/name")
    assert "secret" not in str(refused.value)


def test_only_sqlite_is_a_file() -> None:
    assert str(sqlite_file(parse_url("sqlite:////var/x.db"))) == "/var/x.db"
    assert sqlite_file(parse_url("postgresql://host/name")) is None


def test_every_exported_name_is_there() -> None:
    assert all(getattr(orchestrator.engine, name) is not None for name in orchestrator.engine.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        _ = orchestrator.engine.Manager  # type: ignore[attr-defined]
