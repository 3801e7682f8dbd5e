"""The ledger of series, jobs and reviews."""

from orchestrator.jobs.ledger import Ledger, StoredInstance

__all__ = ["Ledger", "StoredInstance"]
