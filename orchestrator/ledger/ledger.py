"""The ledger as one book of all its pages."""

from __future__ import annotations

from typing import Self

from orchestrator.database import Database, database_faults
from orchestrator.ledger.backfills import BackfillPages
from orchestrator.ledger.deliveries import DeliveryPages
from orchestrator.ledger.destinations import DestinationPages
from orchestrator.ledger.events import EventPages
from orchestrator.ledger.fetches import FetchPages
from orchestrator.ledger.jobs import WorkPages
from orchestrator.ledger.migrations import migrate
from orchestrator.ledger.results import ResultPages
from orchestrator.ledger.reviews import ReviewPages
from orchestrator.ledger.series import SeriesPages
from orchestrator.ledger.withdrawals import WithdrawalPages


class Ledger(
    SeriesPages,
    WorkPages,
    DeliveryPages,
    DestinationPages,
    ReviewPages,
    ResultPages,
    WithdrawalPages,
    EventPages,
    FetchPages,
    BackfillPages,
):
    """Everything the host remembers; thread-safe, and safe beside other processes on the same database.

    Each method is one short transaction; what it returned is durable. UIDs and digests only, no
    patient data. Every change of state is an event in the same transaction.
    """

    @classmethod
    def open(cls, url: str) -> Self:
        """Return the ledger at ``sqlite:///FILE`` or ``postgresql://…``, made or brought up to date first.

        Raises SettingsError for another URL and for a database of a newer version, DatabaseUnavailable.
        """
        database = Database(url)
        try:
            with database_faults():
                migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()
