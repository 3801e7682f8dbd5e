"""The ledger: one database, and a repository for each kind of record in it."""

from __future__ import annotations

from typing import Self

from orchestrator.database import Database, database_faults
from orchestrator.ledger.backfills import BackfillRepository
from orchestrator.ledger.deliveries import DeliveryRepository
from orchestrator.ledger.destinations import DestinationRepository
from orchestrator.ledger.events import EventRepository
from orchestrator.ledger.fetches import FetchRepository
from orchestrator.ledger.jobs import JobRepository
from orchestrator.ledger.migrations import migrate
from orchestrator.ledger.objects import ObjectRepository
from orchestrator.ledger.quarantine import QuarantineRepository
from orchestrator.ledger.results import ResultRepository
from orchestrator.ledger.reviews import ReviewRepository
from orchestrator.ledger.series import SeriesRepository
from orchestrator.ledger.watches import WatchRepository
from orchestrator.ledger.withdrawals import WithdrawalRepository


class Ledger:
    """The database of the host; thread-safe, and safe beside other processes on the same database.

    Each method of a repository is one short transaction, durable when it returns. UIDs and digests only, no patient
    data. Every change of state is an event in the same transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.series = SeriesRepository(database)
        self.quarantine = QuarantineRepository(database)
        self.jobs = JobRepository(database)
        self.objects = ObjectRepository(database)
        self.deliveries = DeliveryRepository(database)
        self.destinations = DestinationRepository(database)
        self.withdrawals = WithdrawalRepository(database)
        self.results = ResultRepository(database)
        self.reviews = ReviewRepository(database)
        self.events = EventRepository(database)
        self.watches = WatchRepository(database)
        self.fetches = FetchRepository(database)
        self.backfills = BackfillRepository(database)

    @classmethod
    def open(cls, url: str) -> Self:
        """Return the ledger at ``sqlite:///FILE`` or ``postgresql://…``, created or migrated first.

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
