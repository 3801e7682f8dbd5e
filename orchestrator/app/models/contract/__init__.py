"""The contract run behind ``orchestrator models check``."""

from orchestrator.app.models.contract.card import check_card, write_card
from orchestrator.app.models.contract.checking import check_model
from orchestrator.app.models.contract.clause import Clause, Mark, Report

__all__ = ["Clause", "Mark", "Report", "check_card", "check_model", "write_card"]
