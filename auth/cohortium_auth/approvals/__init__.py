"""Data use approvals: asked for, decided by IG officers, in force until a day. Not here: what they permit."""

from cohortium_auth.approvals.models import Approval, ApprovalDecision, Level
from cohortium_auth.approvals.service import (
    Granted,
    NewApproval,
    State,
    Use,
    approvals_of_tenant,
    ask_for,
    decide_on,
    find_approval,
    granted_to,
    revoke,
)

__all__ = [
    "Approval",
    "ApprovalDecision",
    "Granted",
    "Level",
    "NewApproval",
    "State",
    "Use",
    "approvals_of_tenant",
    "ask_for",
    "decide_on",
    "find_approval",
    "granted_to",
    "revoke",
]
