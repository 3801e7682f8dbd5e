"""The ledger: what the host knows of series, jobs, objects, deliveries, reviews and events."""

from orchestrator.jobs.ledger.book import Ledger
from orchestrator.jobs.ledger.series import StoredInstance

__all__ = ["Ledger", "StoredInstance"]
