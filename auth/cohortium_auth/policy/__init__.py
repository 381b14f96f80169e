"""May they? Decisions by Cedar policies, and the agreements that give reach. Not here: who is asking (`login`)."""

from cohortium_auth.policy.actions import CHANGING, LEVELS, OF_PRACTICES, Action, Obligation
from cohortium_auth.policy.agreements import agreements_of, end_agreement, is_shared, practices_sharing_with, share
from cohortium_auth.policy.book import Policy, PolicyBook, read_policies
from cohortium_auth.policy.decisions import (
    Decision,
    PracticeRecords,
    Principal,
    Reach,
    TenantItself,
    allowed_actions,
    allowed_practices,
    decide,
)
from cohortium_auth.policy.matrix import Permission, access_matrix
from cohortium_auth.policy.patients import OF_PATIENTS, PatientScope, patients_left_in

__all__ = [
    "CHANGING",
    "LEVELS",
    "OF_PATIENTS",
    "OF_PRACTICES",
    "Action",
    "Decision",
    "Obligation",
    "PatientScope",
    "Permission",
    "Policy",
    "PolicyBook",
    "PracticeRecords",
    "Principal",
    "Reach",
    "TenantItself",
    "access_matrix",
    "agreements_of",
    "allowed_actions",
    "allowed_practices",
    "decide",
    "end_agreement",
    "is_shared",
    "patients_left_in",
    "practices_sharing_with",
    "read_policies",
    "share",
]
