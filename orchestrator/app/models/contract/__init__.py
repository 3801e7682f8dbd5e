"""Checks that a model keeps the contract (``orchestrator models check``)."""

from orchestrator.app.models.contract.card import check_card, write_card
from orchestrator.app.models.contract.checking import check_model
from orchestrator.app.models.contract.clause import Clause, ContractReport, Mark

__all__ = ["Clause", "ContractReport", "Mark", "check_card", "check_model", "write_card"]
