"""A tenant's own rules for access: how many officers approve, how long things last, how counts are suppressed.

Not here: what they apply to.
"""

from cohortium_auth.ig_settings.models import IgSettings, SuppressionChoice
from cohortium_auth.ig_settings.service import LIMITS, change_ig_settings, read_ig_settings
from cohortium_auth.ig_settings.suppression import (
    choose_suppression,
    suppression_choices,
    suppression_name,
    suppression_policy,
)

__all__ = [
    "LIMITS",
    "IgSettings",
    "SuppressionChoice",
    "change_ig_settings",
    "choose_suppression",
    "read_ig_settings",
    "suppression_choices",
    "suppression_name",
    "suppression_policy",
]
