"""A tenant's own rules for access: how many officers approve, how long things last. Not here: what they apply to."""

from cohortium_auth.ig_settings.models import IgSettings
from cohortium_auth.ig_settings.service import LIMITS, change_ig_settings, read_ig_settings

__all__ = ["LIMITS", "IgSettings", "change_ig_settings", "read_ig_settings"]
