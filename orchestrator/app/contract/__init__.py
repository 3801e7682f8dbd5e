"""The contract run behind ``orchestrator models check``."""

from orchestrator.app.contract.checking import check_model
from orchestrator.app.contract.clause import Clause, Mark, Report

__all__ = ["Clause", "Mark", "Report", "check_model"]
