"""Patterns of access that an IG officer should look at, each with the rule that flagged it. Not here: any judgement."""

from cohortium_auth.patterns.service import OWN_NAME, RULES, SAME_SURNAME, Flagged, Rule, flagged, name_flags

__all__ = ["OWN_NAME", "RULES", "SAME_SURNAME", "Flagged", "Rule", "flagged", "name_flags"]
