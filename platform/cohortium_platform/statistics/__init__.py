"""Figures from counts. Not here: the counts (`results`), and who may see them."""

from cohortium_platform.statistics.rates import Rate, rates

__all__ = ["Rate", "rates"]
