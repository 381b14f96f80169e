"""The words of a decision: what may be done, and what a permission obliges to. The schema has the same actions."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from cohortium_auth.approvals import Level

__all__ = ["CHANGING", "LEVELS", "OF_PRACTICES", "Action", "Obligation"]


class Action(enum.StrEnum):
    """What a route does. Every route names one."""

    SEE_HOME = "see-home"
    MANAGE_OWN_SESSION = "manage-own-session"
    VIEW_REGISTRY = "view-registry"
    VIEW_PATIENT = "view-patient"
    EXPORT_LIST = "export-list"
    FILL_IN_TEMPLATE = "fill-in-template"
    VIEW_AGGREGATES = "view-aggregates"
    EXPORT_PSEUDONYMISED = "export-pseudonymised"
    EXPORT_IDENTIFIABLE = "export-identifiable"
    BREAK_GLASS = "break-glass"
    REQUEST_APPROVAL = "request-approval"
    VIEW_ACCESS_MATRIX = "view-access-matrix"
    SEARCH_AUDIT = "search-audit"
    EXPORT_AUDIT = "export-audit"
    VIEW_ACCESS_HISTORY = "view-access-history"
    DECIDE_APPROVAL = "decide-approval"
    REVIEW_BREAK_GLASS = "review-break-glass"
    MANAGE_OPT_OUTS = "manage-opt-outs"
    MANAGE_IG_SETTINGS = "manage-ig-settings"
    VIEW_ONBOARDING = "view-onboarding"
    VIEW_OWN_ONBOARDING = "view-own-onboarding"
    MANAGE_ONBOARDING = "manage-onboarding"
    VIEW_USAGE = "view-usage"
    VIEW_CATALOGUE = "view-catalogue"
    PUBLISH_PACK = "publish-pack"
    SIGN_OFF_PACK = "sign-off-pack"
    WITHDRAW_PACK = "withdraw-pack"
    MANAGE_PUBLISHERS = "manage-publishers"
    PREVIEW_PACK = "preview-pack"
    VIEW_PREVIEW = "view-preview"
    ENABLE_PACK = "enable-pack"
    REPORT_INCIDENT = "report-incident"


LEVELS: Mapping[Action, Level] = {
    Action.VIEW_REGISTRY: Level.IDENTIFIABLE,
    Action.VIEW_PATIENT: Level.IDENTIFIABLE,
    Action.EXPORT_LIST: Level.IDENTIFIABLE,
    Action.FILL_IN_TEMPLATE: Level.IDENTIFIABLE,
    Action.VIEW_AGGREGATES: Level.AGGREGATE,
    Action.EXPORT_PSEUDONYMISED: Level.PSEUDONYMISED,
    Action.EXPORT_IDENTIFIABLE: Level.IDENTIFIABLE,
}
"""How near to a person an action comes, for what is not direct care."""

CHANGING = frozenset(
    {
        Action.FILL_IN_TEMPLATE, Action.BREAK_GLASS, Action.REQUEST_APPROVAL, Action.DECIDE_APPROVAL,
        Action.REVIEW_BREAK_GLASS, Action.MANAGE_OPT_OUTS, Action.MANAGE_IG_SETTINGS, Action.MANAGE_ONBOARDING,
        Action.PUBLISH_PACK, Action.SIGN_OFF_PACK, Action.WITHDRAW_PACK, Action.MANAGE_PUBLISHERS, Action.PREVIEW_PACK,
        Action.ENABLE_PACK, Action.REPORT_INCIDENT,
    }
)  # fmt: skip
"""Actions that change something, whose pages can also be looked at without doing so."""

OF_PRACTICES = frozenset(LEVELS)
"""Actions whose resource is a practice's records; the others are asked of the tenant itself."""


class Obligation(enum.StrEnum):
    """What must be done when a permission is used. A route that cannot do it must not use the permission."""

    RECORD_PATIENTS = "record-patients"
    """The audit entry names, by keyed hash, every patient whose details the answer holds."""
    SUPPRESS = "suppress"
    """Only counts leave, after disclosure control."""
    PSEUDONYMISE = "pseudonymise"
    """Rows leave under pseudonyms of the approval's own, with ages in bands and months for days."""
    APPLY_OPT_OUTS = "apply-opt-outs"
    """Patients who opted out are left out before anything is counted or listed."""
    ACTIVE_RELATIONSHIP = "active-relationship"
    """Only patients whom the asker's trust has recorded something for lately."""
