"""Rules: decide which model runs on a series, and explain the decision."""

from orchestrator.rules.evaluation import Ternary, evaluate, evaluate_from_ledger, may_match
from orchestrator.rules.explanation import ConditionExplanation, Explanation, RuleExplanation
from orchestrator.rules.identity import is_identifying
from orchestrator.rules.ledger_facts import LedgerFacts, select_ledger_facts
from orchestrator.rules.loading import default_rules, load_rules, parse_rules
from orchestrator.rules.query import to_query
from orchestrator.rules.rule import Match, Rule
from orchestrator.rules.rules_file import RulesFile
from orchestrator.rules.ruleset import RuleSet

__all__ = [
    "ConditionExplanation",
    "Explanation",
    "LedgerFacts",
    "Match",
    "Rule",
    "RuleExplanation",
    "RuleSet",
    "RulesFile",
    "Ternary",
    "default_rules",
    "evaluate",
    "evaluate_from_ledger",
    "is_identifying",
    "load_rules",
    "may_match",
    "parse_rules",
    "select_ledger_facts",
    "to_query",
]
