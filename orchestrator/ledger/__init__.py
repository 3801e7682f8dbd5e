"""The ledger: what the host knows of series, jobs, objects, deliveries, reviews and events."""

from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.series import RoutedSeries, StoredInstance

__all__ = ["Ledger", "RoutedSeries", "StoredInstance"]
