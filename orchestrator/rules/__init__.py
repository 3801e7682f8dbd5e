"""Which series go to which models: rules that people write, explained to people."""

from orchestrator.rules.explanation import ConditionExplanation, Explanation, RuleExplanation
from orchestrator.rules.identity import identifies
from orchestrator.rules.kept import KeptFacts, kept_facts
from orchestrator.rules.loading import default_rules, load_rules, parse_rules
from orchestrator.rules.partial import Verdict, judge, judge_kept, may_match
from orchestrator.rules.query import to_query
from orchestrator.rules.rule import Match, Rule
from orchestrator.rules.ruleset import RuleSet
from orchestrator.rules.watched import WatchedRules

__all__ = [
    "ConditionExplanation",
    "Explanation",
    "KeptFacts",
    "Match",
    "Rule",
    "RuleExplanation",
    "RuleSet",
    "Verdict",
    "WatchedRules",
    "default_rules",
    "identifies",
    "judge",
    "judge_kept",
    "kept_facts",
    "load_rules",
    "may_match",
    "parse_rules",
    "to_query",
]
