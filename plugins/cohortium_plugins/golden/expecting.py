"""What a golden patient's `expect` and `at` say, turned into columns to compare."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from cohortium_plugins.errors import nearest
from cohortium_plugins.golden.cases import ExpectedMember, ExpectedResult, Fact
from cohortium_plugins.golden.rows import Complaint, read_code
from cohortium_plugins.model.values import Status
from cohortium_plugins.reconciling import REASON, STANDING

__all__ = ["NONE", "read_member", "read_result"]

NONE = "none"
"""Says that there must be no value: TOML has no word for it."""
NOW = "now"
"""As a due date: due from the day the indicator began to apply, shown as "Now"."""

DATES = ("due_date", "met_date", "event_date", "since")
CODES = ("value_code", "event_code", "shown_code")
NUMBERS = ("value", "shown_number")
RESULT_KEYS = (
    "status", "reason", "due_date", "met_date", "value", "value_code", "value_text", "adjustment",
    "event_date", "event_code", "event_source",
)  # fmt: skip
MEMBER_KEYS = (
    "member",
    "cohort",
    "since",
    "shown_code",
    "shown_number",
    "shown_text",
    "strata",
    "reference",
    "results",
)
REFERENCE_KEYS = (STANDING, REASON)


def read_result(indicator: str, said: object, codes: Mapping[str, int], complain: Complaint) -> ExpectedResult:
    """Read what an indicator must say: a status, or a table with one. No reason or adjustment said means none."""
    table = {"status": said} if isinstance(said, str) else said
    if not isinstance(table, dict):
        raise complain("what is expected must be a status or a table.", 'Write "met", or { status = "met" }.')
    for key in table:
        if key not in RESULT_KEYS:
            raise complain(f"a result has no {key}.", nearest(key, RESULT_KEYS))
    statuses = [status.value for status in Status]
    if table.get("status") not in statuses:
        raise complain(f"{table.get('status')} is not a status.", nearest(str(table.get("status")), statuses))
    fields: dict[str, Fact] = {"reason": None, "adjustment": None}
    for key, item in table.items():
        if key == "due_date" and item == NOW:
            fields["due_now"] = True
            continue
        fields[key] = _fact(key, item, codes, complain)
        if key == "due_date":
            fields["due_now"] = False
    return ExpectedResult(indicator, fields)


def read_member(table: Mapping[str, object], codes: Mapping[str, int], complain: Complaint) -> ExpectedMember:
    """Read what must hold of membership."""
    for key in table:
        if key not in MEMBER_KEYS:
            raise complain(f"a member has no {key}.", nearest(key, MEMBER_KEYS))
    member = table.get("member")
    if not isinstance(member, bool):
        raise complain("it is not said whether the patient is a member.", "Write member = true or member = false.")
    strata = table.get("strata", {})
    if not isinstance(strata, dict):
        raise complain("strata must be a table.", 'Write strata = { sex = "female" }.')
    fields = {
        key: _fact(key, item, codes, complain)
        for key, item in table.items()
        if key not in ("member", "cohort", "strata", "reference", "results")
    }
    cohort = table.get("cohort")
    return ExpectedMember(
        member,
        None if cohort is None else str(cohort),
        fields,
        _values(strata),
        _read_reference(table.get("reference", {}), complain),
    )


def _read_reference(said: object, complain: Complaint) -> Mapping[str, str | None]:
    """Read where a patient must stand beside the cohort's reference, and why."""
    if not isinstance(said, dict):
        raise complain("reference must be a table.", 'Write reference = { standing = "both" }.')
    for key in said:
        if key not in REFERENCE_KEYS:
            raise complain(f"a reference has no {key}.", nearest(key, REFERENCE_KEYS))
    return _values(said)


def _values(said: Mapping[str, object]) -> Mapping[str, str | None]:
    return {name: None if value == NONE else str(value) for name, value in said.items()}


def _fact(key: str, item: object, codes: Mapping[str, int], complain: Complaint) -> Fact:
    if item == NONE:
        return None
    if key in CODES:
        return read_code(str(item), codes, complain)
    if key in DATES:
        if isinstance(item, dt.date):
            return item
        raise complain(f"{key} must be a day.", f'Write {key} = 2025-05-08, or "{NONE}".')
    if key in NUMBERS:
        if isinstance(item, int | float) and not isinstance(item, bool):
            return float(item)
        raise complain(f"{key} must be a number.", f'Write {key} = 28.4, or "{NONE}".')
    if isinstance(item, str):
        return item
    raise complain(f"{key} must be text.", f'Write {key} = "...", or "{NONE}".')
