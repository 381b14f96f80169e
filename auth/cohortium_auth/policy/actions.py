"""The words of a decision: what may be done, and what a permission obliges to. The schema has the same actions."""

from __future__ import annotations

import enum

__all__ = ["Action", "Obligation"]


class Action(enum.StrEnum):
    """What a route does. Every route names one."""

    SEE_HOME = "see-home"
    MANAGE_OWN_SESSION = "manage-own-session"
    VIEW_REGISTRY = "view-registry"
    VIEW_PATIENT = "view-patient"
    EXPORT_LIST = "export-list"


class Obligation(enum.StrEnum):
    """What must be done when a permission is used. A route that cannot do it must not use the permission."""

    RECORD_PATIENTS = "record-patients"
    """The audit entry names, by keyed hash, every patient whose details the answer holds."""
