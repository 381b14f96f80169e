"""Onboarding of organisations: the steps before anything of theirs shows. Not here: sharing agreements themselves."""

from cohortium_tenants.onboarding.models import OnboardingStep, Step
from cohortium_tenants.onboarding.service import (
    Progress,
    StepDone,
    complete,
    live_organisations,
    onboard,
    progress_of,
    steps_of,
    withdraw,
)

__all__ = [
    "OnboardingStep",
    "Progress",
    "Step",
    "StepDone",
    "complete",
    "live_organisations",
    "onboard",
    "progress_of",
    "steps_of",
    "withdraw",
]
