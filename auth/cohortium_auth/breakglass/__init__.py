"""Break-glass: a patient outside reach opened for a limited time, with a reason, and reviewed. Not here: who may."""

from cohortium_auth.breakglass.models import BreakGlass, BreakGlassReview, Reason, ReviewOutcome
from cohortium_auth.breakglass.service import (
    MOST_AN_HOUR,
    Opening,
    break_glass,
    has_open,
    open_until,
    opened_lately,
    openings,
    review,
    see_words,
    unreviewed,
)

__all__ = [
    "MOST_AN_HOUR",
    "BreakGlass",
    "BreakGlassReview",
    "Opening",
    "Reason",
    "ReviewOutcome",
    "break_glass",
    "has_open",
    "open_until",
    "opened_lately",
    "openings",
    "review",
    "see_words",
    "unreviewed",
]
