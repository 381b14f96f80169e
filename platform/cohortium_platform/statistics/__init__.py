"""Figures from counts. Not here: the counts (`results`), and who may see them."""

from cohortium_platform.statistics.alike import made_alike
from cohortium_platform.statistics.lattice import COUNTED, Figures, Key, Level, Month, Stratified, split
from cohortium_platform.statistics.rates import Rate, rates
from cohortium_platform.statistics.suppression import (
    POLICIES,
    STRICT,
    Path,
    Publication,
    Published,
    SuppressionPolicy,
    policy_of,
    rate_of,
)

__all__ = [
    "COUNTED",
    "POLICIES",
    "STRICT",
    "Figures",
    "Key",
    "Level",
    "Month",
    "Path",
    "Publication",
    "Published",
    "Rate",
    "Stratified",
    "SuppressionPolicy",
    "made_alike",
    "policy_of",
    "rate_of",
    "rates",
    "split",
]
