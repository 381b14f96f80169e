"""Asking for, deciding and revoking approvals, and which are in force for somebody, in the caller's transaction.

Here: the rules of deciding (nobody on their own, as many officers as the tenant demands, any refusal ends it), and the
state that follows from rows and the day: nothing has to run for an approval to expire. Not here: what one permits.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import cast, distinct, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Session, col, or_, select

from cohortium_auth.approvals.models import Approval, ApprovalDecision, Level
from cohortium_auth.ig_settings import read_ig_settings
from cohortium_auth.login import Purpose, Role, roles_of
from cohortium_platform.audit import AuditEntry, Outcome
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict, Forbidden, NotFound

__all__ = [
    "Granted",
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


_SERVED: Mapping[Level, frozenset[Role]] = {
    Level.AGGREGATE: frozenset({Role.ICB_ANALYST, Role.PROGRAMME_LEAD}),
    Level.PSEUDONYMISED: frozenset({Role.ICB_ANALYST}),
    Level.IDENTIFIABLE: frozenset({Role.CLINICIAN, Role.CARE_COORDINATOR}),
}
"""The roles that an approval of a level is of use to."""


class State(enum.StrEnum):
    """Where an approval stands on a day."""

    REQUESTED = "requested"
    REFUSED = "refused"
    TO_COME = "approved, to come"
    IN_FORCE = "in force"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class NewApproval:
    """What is asked for: for everyone of an organisation, or for one person acting in it; both days are included."""

    title: str
    purpose: Purpose
    pack: str
    level: Level
    start: date
    end: date
    conditions: str
    documents: Sequence[str]
    organisation: str
    person_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """An approval with its decisions, where it stands on the day asked about, and how it was used so far."""

    approval: Approval
    decisions: Sequence[ApprovalDecision]
    state: State
    times: int
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Granted:
    """What approvals in force give somebody for a purpose: by registry and level, the approval that does."""

    by_pack: Mapping[str, Mapping[Level, UUID]]

    def levels(self, pack: str) -> frozenset[Level]:
        """The levels approved for a registry."""
        return frozenset(self.by_pack.get(pack, {}))


def ask_for(session: Session, wanted: NewApproval, *, by: UUID) -> UUID:
    """Ask for an approval. Raises `BadInput` when something of it is missing or does not fit."""
    if not wanted.title.strip():
        raise BadInput("The request says nothing of what it is for.", "Say it in one line.")
    if wanted.purpose is Purpose.DIRECT_CARE:
        raise BadInput("Direct care needs no approval.", "It follows from sharing agreements; see onboarding.")
    if not wanted.organisation:
        raise BadInput("An approval is for people of one organisation.", "Name the organisation.")
    if wanted.end < wanted.start:
        raise BadInput("The approval would end before it begins.", "Give a last day on or after the first.")
    documents = [document.strip() for document in wanted.documents if document.strip()]
    if not documents:
        raise BadInput("The request names no document.", "Say where the papers that support it are.")
    approval = Approval(
        tenant_id=tenant_of(session),
        title=wanted.title.strip(),
        purpose=wanted.purpose,
        pack=wanted.pack,
        level=wanted.level,
        person_id=wanted.person_id,
        organisation=wanted.organisation,
        conditions=wanted.conditions.strip(),
        documents=documents,
        start_date=wanted.start,
        end_date=wanted.end,
        requested_by=by,
        requested=datetime.now(UTC),
        needed=read_ig_settings(session).officers_to_approve,
    )
    session.add(approval)
    session.flush()
    return approval.id


def decide_on(  # noqa: PLR0913 - a decision is this much
    session: Session, approval_id: UUID, *, by: UUID, agreed: bool, why: str, on: date
) -> State:
    """Record an IG officer's decision of a day; gives where the approval stands then.

    Raises `NotFound`, `BadInput` without a reason, `Forbidden` on one's own request or on one for oneself, `Conflict`
    when it is decided already or this officer has decided.
    """
    approval = _find(session, approval_id, lock=True)
    if not why.strip():
        raise BadInput("A decision gives its reason.", "Say why, in a line or two.")
    if by in {approval.requested_by, approval.person_id}:
        raise Forbidden("Nobody decides on what they asked for themselves.", "Another IG officer must decide.")
    held = roles_of(session, by, on)
    if approval.person_id is None and any(
        holding.organisation == approval.organisation and holding.role in _SERVED[Level(approval.level)]
        for holding in held
    ):
        raise Forbidden("Nobody decides on what they could use themselves.", "Another IG officer must decide.")
    decisions = _decisions(session, [approval_id]).get(approval_id, [])
    if any(decision.person_id == by for decision in decisions):
        raise Conflict("You have decided on this already.", "Another IG officer must decide.")
    if _state(approval, decisions, on) is not State.REQUESTED:
        raise Conflict("This has been decided already.", "Look at its decisions.")
    session.add(
        ApprovalDecision(
            tenant_id=approval.tenant_id,
            approval_id=approval_id,
            person_id=by,
            agreed=agreed,
            why=why.strip(),
            decided=datetime.now(UTC),
        )
    )
    session.flush()
    return _state(approval, _decisions(session, [approval_id])[approval_id], on)


def revoke(session: Session, approval_id: UUID, *, by: UUID, why: str) -> None:
    """End an approval at once: the next click by it is refused. Raises `NotFound`, `BadInput`, `Conflict`."""
    approval = _find(session, approval_id, lock=True)
    if not why.strip():
        raise BadInput("A revocation gives its reason.", "Say why, in a line or two.")
    if approval.revoked is not None:
        raise Conflict("This approval is revoked already.")
    approval.revoked, approval.revoked_by, approval.revoked_why = datetime.now(UTC), by, why.strip()
    session.add(approval)
    session.flush()


def granted_to(session: Session, person_id: UUID, organisation: str, purpose: Purpose, on: date) -> Granted:
    """What approvals in force on a day give a person acting in an organisation for a purpose."""
    rows = session.exec(
        select(Approval).where(
            Approval.purpose == purpose,
            Approval.organisation == organisation,
            or_(col(Approval.person_id) == person_id, col(Approval.person_id).is_(None)),
            col(Approval.start_date) <= on,
            col(Approval.end_date) >= on,
            col(Approval.revoked).is_(None),
        )
    ).all()
    decisions = _decisions(session, [row.id for row in rows])
    found: dict[str, dict[Level, UUID]] = {}
    for row in sorted(rows, key=lambda row: (row.end_date, row.id)):
        if _state(row, decisions.get(row.id, []), on) is State.IN_FORCE:
            found.setdefault(row.pack, {})[Level(row.level)] = row.id
    return Granted(found)


def approvals_of_tenant(session: Session, on: date) -> Sequence[Use]:
    """Every approval, those asked for last first, as they stand on a day."""
    rows = session.exec(select(Approval).order_by(col(Approval.requested).desc())).all()
    return _uses(session, rows, on)


def find_approval(session: Session, approval_id: UUID, on: date) -> Use:
    """One approval. Raises `NotFound`."""
    return _uses(session, [_find(session, approval_id)], on)[0]


def _uses(session: Session, rows: Sequence[Approval], on: date) -> Sequence[Use]:
    """With decisions and use: an audit entry names the approval that it relied on; one request is one use."""
    decisions = _decisions(session, [row.id for row in rows])
    approval = cast(AuditEntry.detail, JSONB)["approval"].astext
    used = session.connection().execute(
        select(approval, func.count(distinct(col(AuditEntry.request_id))), func.max(AuditEntry.at))
        .where(approval.in_([str(row.id) for row in rows]), col(AuditEntry.outcome) == Outcome.DONE)
        .group_by(approval)
    )  # fmt: skip
    by_id = {UUID(found): (int(times), last) for found, times, last in used}
    found = []
    for row in rows:
        times, last = by_id.get(row.id, (0, None))
        made = decisions.get(row.id, [])
        found.append(Use(row, made, _state(row, made, on), times, last))
    return found


def _find(session: Session, approval_id: UUID, *, lock: bool = False) -> Approval:
    statement = select(Approval).where(Approval.id == approval_id)
    found = session.exec(statement.with_for_update() if lock else statement).first()
    if found is None:
        raise NotFound("There is no such approval.")
    return found


def _decisions(session: Session, approvals: Sequence[UUID]) -> Mapping[UUID, Sequence[ApprovalDecision]]:
    found: dict[UUID, list[ApprovalDecision]] = {}
    if approvals:
        statement = select(ApprovalDecision).where(col(ApprovalDecision.approval_id).in_(approvals))
        for decision in session.exec(statement.order_by(col(ApprovalDecision.decided))):
            found.setdefault(decision.approval_id, []).append(decision)
    return found


def _state(approval: Approval, decisions: Sequence[ApprovalDecision], on: date) -> State:
    if approval.revoked is not None:
        return State.REVOKED
    if any(not decision.agreed for decision in decisions):
        return State.REFUSED
    if len(decisions) < approval.needed:
        return State.EXPIRED if approval.end_date < on else State.REQUESTED
    if on < approval.start_date:
        return State.TO_COME
    return State.IN_FORCE if on <= approval.end_date else State.EXPIRED
