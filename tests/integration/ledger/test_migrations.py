from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator.database import Database
from orchestrator.domain.errors import SettingsError
from orchestrator.domain.records import DeliveryState, Note, ReviewRecord
from orchestrator.domain.review import ReviewState
from orchestrator.ledger import Ledger, migrations
from orchestrator.ledger.tables import metadata
from tests.data.records import NOON

FIRST_SERIES = (
    "INSERT INTO series (series_uid, revision, study_uid, state, instance_count, digest, source, modality, "
    "complete_by, matched, explanation, first_seen, released_at) "
    "VALUES ('1.2', 1, '1', 'released', 1, '', '', 'CT', '', true, '', :noon, :noon)"
)
FIRST_JOB = (
    "INSERT INTO jobs VALUES ('job', '1.2', 1, '1', 'm', '1', 'd', 'r', 'routine', 'live', 'delivering', '', '', 0, "
    "NULL, '{}', '[]', '[]', :noon, :noon)"
)
FIRST_REVIEW = (
    'INSERT INTO reviews (job_key, state, "by", organization, reason, comment, at, newest) '
    "VALUES ('job', 'accepted', 'Dr A', 'Radiology', '', '', :noon, true)"
)
FIRST_RESULT = (
    FIRST_SERIES,
    FIRST_JOB,
    "INSERT INTO objects VALUES ('2.25.1', 'job', 'SEG', '1.2.840', '2.25.2', '1', '/outbox/1.dcm', 'aa', false, 0)",
    "INSERT INTO deliveries VALUES ('job', 'pacs', 'waiting', 2, :noon, 'no answer', NULL, '')",
)
OPEN = "import sys; from orchestrator.ledger import Ledger; Ledger.open(sys.argv[1]).close()"


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """An empty database: here the ledger is migrated each time."""
    return new_database()


@pytest.fixture
def database(ledger: Ledger, database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def test_the_steps_make_the_tables_that_the_code_uses(database: Database) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_newest_step_is_the_one_that_the_code_names() -> None:
    assert ScriptDirectory.from_config(_config()).get_heads() == [migrations.HEAD]


def test_a_ledger_that_is_opened_again_keeps_what_it_holds(ledger: Ledger, database_url: str) -> None:
    event = ledger.events.record("note", "a", "text")
    again = Ledger.open(database_url)
    assert again.events.after() == (event,)
    again.close()


def test_a_ledger_of_the_first_version_keeps_what_it_holds(database_url: str) -> None:
    database = Database(database_url)
    with database.writing() as connection:
        _upgrade_to("0001", connection)
        for statement in FIRST_RESULT:
            connection.execute(sa.text(statement), {"noon": "2026-03-02 12:00:00"})
    database.close()
    with closing(Ledger.open(database_url)) as ledger:
        (written,) = ledger.objects.of_job("job")
        (delivery,) = ledger.deliveries.of_job("job")
        assert (written.sop_uid, written.form) == ("2.25.1", "")
        assert ledger.deliveries.due(datetime(2026, 3, 2, 13, tzinfo=UTC)) == (delivery,)


def test_a_verdict_of_an_earlier_version_corrects_nothing_and_was_given_here(database_url: str) -> None:
    database = Database(database_url)
    with database.writing() as connection:
        _upgrade_to("0003", connection)
        for statement in (FIRST_SERIES, FIRST_JOB, FIRST_REVIEW):
            connection.execute(sa.text(statement), {"noon": "2026-03-02 12:00:00"})
    database.close()
    with closing(Ledger.open(database_url)) as ledger:
        review = ledger.reviews.newest("job")
    assert (review.by, review.changes, review.source, review.evidence, review.agreement) == ("Dr A", (), "", "", {})


def test_a_delivery_of_an_earlier_version_brought_a_result_and_can_be_followed_by_a_note(database_url: str) -> None:
    database = Database(database_url)
    with database.writing() as connection:
        _upgrade_to("0001", connection)
        for statement in FIRST_RESULT:
            connection.execute(sa.text(statement), {"noon": "2026-03-02 12:00:00"})
    database.close()
    with closing(Ledger.open(database_url)) as ledger:
        ledger.deliveries.move("job", "pacs", DeliveryState.CONFIRMED)
        ledger.reviews.open("job", NOON)
        ledger.withdrawals.retract(ReviewRecord(job_key="job", state=ReviewState.RETRACTED, by="Ada", at=NOON))
        (delivery,), (note,) = ledger.deliveries.of_job("job"), ledger.withdrawals.notes("job")
    assert (delivery.note, delivery.sent, note.note) == (Note.NONE, None, Note.RETRACTED)


def test_several_processes_may_open_a_new_database_at_once(database_url: str) -> None:
    openers = [subprocess.Popen([sys.executable, "-W", "error", "-c", OPEN, database_url]) for _ in range(4)]
    assert [opener.wait(120) for opener in openers] == [0, 0, 0, 0]


def test_a_database_of_a_newer_version_is_refused_with_a_sentence(database: Database, database_url: str) -> None:
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match=r"stands at version 9999.*run the newer version"):
        Ledger.open(database_url)


def test_a_new_sqlite_ledger_makes_its_folder_and_is_durable(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "50%" / "orchestrator.db"
    Ledger.open(f"sqlite:///{file}").close()
    database = Database(f"sqlite:///{file}")
    with database.reading() as connection:
        pragmas = [
            connection.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    database.close()
    assert pragmas == ["wal", 2, 1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return config


def _upgrade_to(version: str, connection: sa.Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)
