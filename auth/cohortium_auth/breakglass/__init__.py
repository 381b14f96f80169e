"""Break-glass: a patient outside reach opened for a limited time, with a reason, and reviewed. Not here: who may."""

from cohortium_auth.breakglass.models import BreakGlass, BreakGlassReview, Reason, ReviewOutcome
from cohortium_auth.breakglass.service import Opening, break_glass, has_open, open_until, openings, review

__all__ = [
    "BreakGlass",
    "BreakGlassReview",
    "Opening",
    "Reason",
    "ReviewOutcome",
    "break_glass",
    "has_open",
    "open_until",
    "openings",
    "review",
]
