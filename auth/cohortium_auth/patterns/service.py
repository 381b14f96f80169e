"""The rules, and what they find in the log. A rule flags; it proves nothing, and people decide what it means.

Names are compared at the moment a record is opened, since the log names no patient: the entry then says that they
agreed, and nothing else (`name_flags`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from cohortium_platform.identities import Identity
from cohortium_platform.identities.terms import name_words

__all__ = ["OWN_NAME", "RULES", "SAME_SURNAME", "Flagged", "Rule", "flagged", "name_flags"]

OWN_NAME = "own-name"
SAME_SURNAME = "same-surname"
BULK_PATIENTS = 60
QUIET_DAYS = 90


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in words; its query gives actor, first and last moment, and how many entries or patients."""

    id: str
    title: str
    words: str
    query: str


@dataclass(frozen=True, slots=True)
class Flagged:
    """What a rule found: whose access, from when until when, and how many times."""

    rule: Rule
    actor: str
    first: datetime
    last: datetime
    times: int


_OF_PATIENTS = "action = 'view-patient' AND at >= :since AND at < :until AND actor <> 'service'"
_BY_FLAG = """
    SELECT actor, min(at) AS first, max(at) AS last, count(DISTINCT request_id) AS times FROM audit_entries
    WHERE {of_patients} AND detail -> 'flags' ? '{flag}' GROUP BY actor
"""
RULES: Sequence[Rule] = (
    Rule(
        OWN_NAME,
        "Perhaps their own record",
        "Opened a patient with their own family and given name.",
        _BY_FLAG.format(of_patients=_OF_PATIENTS, flag=OWN_NAME),
    ),
    Rule(
        SAME_SURNAME,
        "Same surname",
        "Opened a patient with their own family name.",
        _BY_FLAG.format(of_patients=_OF_PATIENTS, flag=SAME_SURNAME),
    ),
    Rule(
        "outside-reach",
        "Outside reach",
        "Asked for a patient who is not in their reach and was refused, or opened one by break-glass.",
        """
        SELECT actor, min(at) AS first, max(at) AS last, count(*) AS times FROM audit_entries
        WHERE at >= :since AND at < :until AND actor <> 'service' AND cardinality(patients) > 0
            AND ((action = 'view-patient' AND outcome = 'denied') OR action = 'break-glass')
        GROUP BY actor
        """,
    ),
    Rule(
        "bulk",
        "Many patients in an hour",
        f"Opened {BULK_PATIENTS} patients or more within one hour.",
        f"""
        SELECT actor, min(hour) AS first, max(hour) AS last, max(people) AS times FROM (
            SELECT actor, date_trunc('hour', at) AS hour, count(DISTINCT patient) AS people
            FROM audit_entries CROSS JOIN LATERAL unnest(patients) AS patient
            WHERE {_OF_PATIENTS} AND outcome = 'done' GROUP BY actor, hour
        ) AS hours WHERE people >= {BULK_PATIENTS} GROUP BY actor
        """,  # noqa: S608 - every part of it stands in this file
    ),
    Rule(
        "out-of-hours",
        "Out of hours",
        "Opened a patient on a Saturday or Sunday, or before 7 or after 20 o'clock.",
        f"""
        SELECT actor, min(at) AS first, max(at) AS last, count(DISTINCT request_id) AS times FROM audit_entries
        WHERE {_OF_PATIENTS} AND (
            extract(isodow FROM at AT TIME ZONE 'Europe/London') > 5
            OR extract(hour FROM at AT TIME ZONE 'Europe/London') NOT BETWEEN 7 AND 19
        ) GROUP BY actor
        """,  # noqa: S608 - every part of it stands in this file
    ),
    Rule(
        "sudden",
        "Account suddenly active",
        f"Signed in after {QUIET_DAYS} days without, or for the first time {QUIET_DAYS} days after being added.",
        f"""
        SELECT actor, min(at) AS first, max(at) AS last, count(*) AS times FROM (
            SELECT actor, at, coalesce(
                lag(at) OVER (PARTITION BY actor ORDER BY at),
                (SELECT min(start_date)::timestamptz FROM memberships WHERE person_id::text = actor)
            ) AS before
            FROM audit_entries WHERE action = 'sign-in' AND outcome = 'done' AND at < :until
        ) AS signed_in
        WHERE at >= :since AND at - before >= interval '{QUIET_DAYS} days' GROUP BY actor
        """,  # noqa: S608 - every part of it stands in this file
    ),
)


def flagged(session: Session, since: datetime, until: datetime) -> Sequence[Flagged]:
    """What the rules find from a moment to before another, in the order of the rules, the latest first."""
    found = []
    for rule in RULES:
        rows = session.connection().execute(text(rule.query), {"since": since, "until": until})
        of_rule = [Flagged(rule, row.actor, row.first, row.last, row.times) for row in rows]
        found += sorted(of_rule, key=lambda each: each.last, reverse=True)
    return found


def name_flags(display_name: str, identity: Identity) -> Sequence[str]:
    """What the names of somebody and of a patient whom they open have in common, as flags of the audit entry."""
    own = set(name_words(display_name))
    family, given = name_words(identity.family_name or ""), name_words(identity.given_name or "")
    if not family or not own.issuperset(family):
        return ()
    return (OWN_NAME, SAME_SURNAME) if given and own.issuperset(given) else (SAME_SURNAME,)
