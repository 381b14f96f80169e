"""May they? Decisions by Cedar policies, and the agreements that give reach. Not here: who is asking (`login`)."""

from cohortium_auth.policy.actions import Action, Obligation
from cohortium_auth.policy.agreements import end_agreement, is_shared, practices_sharing_with, share
from cohortium_auth.policy.book import Policy, PolicyBook, read_policies
from cohortium_auth.policy.decisions import (
    Decision,
    PracticeRecords,
    Principal,
    Reach,
    TenantItself,
    allowed_practices,
    decide,
)

__all__ = [
    "Action",
    "Decision",
    "Obligation",
    "Policy",
    "PolicyBook",
    "PracticeRecords",
    "Principal",
    "Reach",
    "TenantItself",
    "allowed_practices",
    "decide",
    "end_agreement",
    "is_shared",
    "practices_sharing_with",
    "read_policies",
    "share",
]
