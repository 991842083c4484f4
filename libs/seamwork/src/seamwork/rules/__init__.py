"""Judge by CEL expressions: contract rules and policies, compiled once, errors never a pass."""

from seamwork.rules.cel import Verity
from seamwork.rules.ruleset import (
    CROSSING_VARIABLES,
    RESULT_VARIABLES,
    Facts,
    Rule,
    RuleError,
    RuleFailure,
    RuleOutcome,
    RuleSet,
)

__all__ = [
    "CROSSING_VARIABLES",
    "RESULT_VARIABLES",
    "Facts",
    "Rule",
    "RuleError",
    "RuleFailure",
    "RuleOutcome",
    "RuleSet",
    "Verity",
]
