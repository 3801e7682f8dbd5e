"""The ledger: what the host knows of series, jobs, objects, deliveries, reviews and events."""

from orchestrator.jobs.ledger.book import Ledger
from orchestrator.jobs.ledger.series import AskedSeries, StoredInstance

__all__ = ["AskedSeries", "Ledger", "StoredInstance"]
