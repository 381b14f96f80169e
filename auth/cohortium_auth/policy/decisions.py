"""Decisions: may this person do this to that, for this purpose, today?

Here: one question for one resource, and the set of practices for a list, which is one batch of the very same questions:
a list can never show what a check would refuse. Not here: the policies (`policies/*.cedar`), and what a refusal looks
like to a browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from cohortium_auth.login import Purpose, Role, SignedIn
from cohortium_auth.policy.actions import Action, Obligation
from cohortium_auth.policy.agreements import is_shared, practices_sharing_with
from cohortium_auth.policy.book import Answer, Policy, Question, read_policies
from cohortium_tenants.organisations import OrganisationType

__all__ = ["Decision", "PracticeRecords", "Principal", "Reach", "TenantItself", "allowed_practices", "decide"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a person in one role of one organisation."""

    person_id: UUID
    role: Role
    organisation: str
    organisation_kind: OrganisationType

    @classmethod
    def of(cls, who: SignedIn, organisation_kind: OrganisationType) -> Principal:
        """Someone signed in."""
        return cls(who.person_id, who.role, who.organisation, organisation_kind)


@dataclass(frozen=True, slots=True)
class PracticeRecords:
    """The records of one practice (ODS code): its part of a registry, or one of its patients."""

    practice: str


@dataclass(frozen=True, slots=True)
class TenantItself:
    """What belongs to the ICB and is nobody's record."""

    tenant_id: UUID


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, the policies that decided it, and what they oblige to. A refusal has neither."""

    allowed: bool
    policies: tuple[Policy, ...]

    @property
    def obligations(self) -> frozenset[Obligation]:
        """All that the deciding policies oblige to."""
        return frozenset(obligation for policy in self.policies for obligation in policy.obligations)

    @property
    def policy_ids(self) -> str:
        """The deciding policies as the audit log names them."""
        return " ".join(sorted(policy.id for policy in self.policies))


@dataclass(frozen=True, slots=True)
class Reach:
    """The practices of which a list may speak, and the decision that says so."""

    practices: frozenset[str]
    decision: Decision


def decide(  # noqa: PLR0913 - a decision is of exactly these
    session: Session,
    principal: Principal,
    action: Action,
    resource: PracticeRecords | TenantItself,
    purpose: Purpose,
    *,
    on: date,
) -> Decision:
    """Decide one question, by the agreements in force on a day."""
    if isinstance(resource, PracticeRecords):
        shares = is_shared(session, resource.practice, principal.organisation, on)
        return _decide_practices(principal, action, {resource.practice: shares}, purpose)[resource.practice]
    tenant = ("Tenant", str(resource.tenant_id))
    question = Question(_person(principal), action, tenant, purpose)
    entities = [*_principal_entities(principal), _entity(tenant, {})]
    return _decision(read_policies().ask([question], entities)[0])


def allowed_practices(session: Session, principal: Principal, action: Action, purpose: Purpose, *, on: date) -> Reach:
    """The practices on which an action is allowed. Asked of every practice that shares with the person's organisation:
    an agreement is needed, and by itself is not enough.
    """
    sharing = practices_sharing_with(session, principal.organisation, on)
    decisions = _decide_practices(principal, action, dict.fromkeys(sharing, True), purpose)
    allowed = {practice: decision for practice, decision in decisions.items() if decision.allowed}
    policies = {policy.id: policy for decision in allowed.values() for policy in decision.policies}
    return Reach(frozenset(allowed), Decision(bool(allowed), tuple(policies[name] for name in sorted(policies))))


def _decide_practices(
    principal: Principal, action: Action, shares: Mapping[str, bool], purpose: Purpose
) -> Mapping[str, Decision]:
    """Decide for each practice; `shares` says whether it shares with the asker's organisation, the only one that can
    matter: others would be entities of which nothing is known.
    """
    if not shares:
        return {}
    own = [_reference("Organisation", principal.organisation)]
    entities = _principal_entities(principal)
    entities += [_entity(("Practice", name), {"shares_with": own if yes else []}) for name, yes in shares.items()]
    questions = [Question(_person(principal), action, ("Practice", practice), purpose) for practice in shares]
    answers = read_policies().ask(questions, entities)
    return {practice: _decision(answer) for practice, answer in zip(shares, answers, strict=True)}


def _decision(answer: Answer) -> Decision:
    return Decision(answer.allowed, answer.policies if answer.allowed else ())


def _person(principal: Principal) -> tuple[str, str]:
    return ("Person", str(principal.person_id))


def _principal_entities(principal: Principal) -> list[Mapping[str, object]]:
    person = {
        "role": _reference("Role", principal.role),
        "organisation": _reference("Organisation", principal.organisation),
    }
    kind = {"kind": _reference("OrganisationKind", principal.organisation_kind)}
    return [_entity(_person(principal), person), _entity(("Organisation", principal.organisation), kind)]


def _reference(kind: str, name: str) -> Mapping[str, object]:
    return {"__entity": {"type": kind, "id": name}}


def _entity(uid: tuple[str, str], attributes: Mapping[str, object]) -> Mapping[str, object]:
    return {"uid": {"type": uid[0], "id": uid[1]}, "attrs": attributes, "parents": []}
