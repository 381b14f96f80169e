"""Decisions: may this person do this to that, for this purpose, today?

Here: one question for one resource, and the set of practices for a list, which is one batch of the very same questions:
a list can never show what a check would refuse. Not here: the policies (`policies/*.cedar`), and what a refusal looks
like to a browser.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from sqlmodel import Session

from cohortium_auth import opt_outs
from cohortium_auth.approvals import Granted, granted_to
from cohortium_auth.login import HIGHEST_ASSURANCE, Purpose, Role, SignedIn
from cohortium_auth.policy.actions import LEVELS, OF_PRACTICES, Action, Obligation
from cohortium_auth.policy.agreements import is_shared, practices_sharing_with
from cohortium_auth.policy.book import Answer, Policy, Question, read_policies
from cohortium_tenants.onboarding import live_organisations
from cohortium_tenants.organisations import OrganisationType

__all__ = [
    "Decision",
    "PracticeRecords",
    "Principal",
    "Reach",
    "TenantItself",
    "allowed_actions",
    "allowed_practices",
    "decide",
]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a person in one role of one organisation, and how surely they proved who they are (1 to 3)."""

    person_id: UUID
    role: Role
    organisation: str
    organisation_kind: OrganisationType
    assurance: int = HIGHEST_ASSURANCE

    @classmethod
    def of(cls, who: SignedIn, organisation_kind: OrganisationType) -> Principal:
        """Someone signed in."""
        return cls(who.person_id, who.role, who.organisation, organisation_kind, who.assurance)


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
    """What was decided, the policies that decided it, and what they oblige to. A refusal may name the policy that
    forbade it. `approval` is the one that a use other than direct care relied on.
    """

    allowed: bool
    policies: tuple[Policy, ...]
    approval: UUID | None = None

    @property
    def obligations(self) -> frozenset[Obligation]:
        """All that the deciding policies oblige to, when it is allowed."""
        if not self.allowed:
            return frozenset()
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


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What stands behind a question besides who asks: its purpose, approvals and opt-outs, and who is live."""

    purpose: Purpose
    live: frozenset[str]
    granted: Granted
    opt_outs_current: bool
    registry: str
    broken_glass: bool = False

    @classmethod
    def of(cls, session: Session, principal: Principal, purpose: Purpose, on: date, registry: str) -> _Circumstances:
        """Approvals and opt-outs are looked up only for what is not direct care."""
        live = live_organisations(session, on)
        if purpose is Purpose.DIRECT_CARE:
            return cls(purpose, live, Granted({}), opt_outs_current=False, registry=registry)
        granted = granted_to(session, principal.person_id, principal.organisation, purpose, on)
        return cls(purpose, live, granted, opt_outs.is_current(session, on), registry)

    def context(self, principal: Principal) -> Mapping[str, object]:
        return {
            "assurance": principal.assurance,
            "purpose": self.purpose,
            "approved": sorted(self.granted.levels(self.registry)),
            "opt_outs_current": self.opt_outs_current,
            "broken_glass": self.broken_glass,
        }

    def approval(self, action: Action) -> UUID | None:
        level = LEVELS.get(action)
        return None if level is None else self.granted.by_pack.get(self.registry, {}).get(level)


def decide(  # noqa: PLR0913 - a decision is of exactly these
    session: Session,
    principal: Principal,
    action: Action,
    resource: PracticeRecords | TenantItself,
    purpose: Purpose,
    *,
    on: date,
    registry: str = "",
    broken_glass: bool = False,
) -> Decision:
    """Decide one question, by what is in force on a day. `registry` is the pack whose registry it is about;
    `broken_glass` says that the asker has opened this patient by break-glass.
    """
    behind = _Circumstances.of(session, principal, purpose, on, registry)
    if isinstance(resource, PracticeRecords):
        behind = replace(behind, broken_glass=broken_glass)
        sharing = {resource.practice} if is_shared(session, resource.practice, principal.organisation, on) else set()
        return _decide_practices(principal, action, [resource.practice], sharing, behind)[resource.practice]
    tenant = ("Tenant", str(resource.tenant_id))
    question = Question(_person(principal), action, tenant, behind.context(principal))
    entities = [*_principal_entities(principal, behind), _entity(tenant, {})]
    return _decision(read_policies().ask([question], entities)[0], behind, action)


def allowed_actions(
    session: Session, principal: Principal, tenant_id: UUID, purpose: Purpose, *, on: date
) -> frozenset[Action]:
    """Which of the actions that are about no record somebody may do: what their menu offers."""
    behind = _Circumstances.of(session, principal, purpose, on, "")
    tenant = ("Tenant", str(tenant_id))
    asked = [action for action in Action if action not in OF_PRACTICES]
    questions = [Question(_person(principal), action, tenant, behind.context(principal)) for action in asked]
    answers = read_policies().ask(questions, [*_principal_entities(principal, behind), _entity(tenant, {})])
    return frozenset(action for action, answer in zip(asked, answers, strict=True) if answer.allowed)


def allowed_practices(  # noqa: PLR0913 - a decision is of exactly these
    session: Session, principal: Principal, action: Action, purpose: Purpose, *, on: date, registry: str = ""
) -> Reach:
    """The practices on which an action is allowed. Asked of every practice that shares with the person's organisation:
    an agreement is needed, and by itself is not enough.
    """
    behind = _Circumstances.of(session, principal, purpose, on, registry)
    sharing = practices_sharing_with(session, principal.organisation, on)
    decisions = _decide_practices(principal, action, sharing, sharing, behind)
    allowed = {practice: decision for practice, decision in decisions.items() if decision.allowed}
    deciding = allowed or decisions
    policies = {policy.id: policy for decision in deciding.values() for policy in decision.policies}
    approval = behind.approval(action) if allowed else None
    return Reach(
        frozenset(allowed), Decision(bool(allowed), tuple(policies[name] for name in sorted(policies)), approval)
    )


def _decide_practices(
    principal: Principal,
    action: Action,
    practices: Collection[str],
    sharing: Collection[str],
    behind: _Circumstances,
) -> Mapping[str, Decision]:
    """Decide for each practice; of those that it shares with, only the asker's organisation can matter: others would be
    entities of which nothing is known.

    No policy speaks of a practice by name (a test reads them), so that practices of which the same is known are asked
    about once.
    """
    alike: dict[tuple[bool, bool], list[str]] = {}
    for name in practices:
        alike.setdefault((name in sharing, name in behind.live), []).append(name)
    own = [_reference("Organisation", principal.organisation)]
    entities = _principal_entities(principal, behind)
    entities += [
        _entity(("Practice", names[0]), {"shares_with": own if shares else [], "live": live})
        for (shares, live), names in alike.items()
    ]
    context = behind.context(principal)
    questions = [Question(_person(principal), action, ("Practice", names[0]), context) for names in alike.values()]
    answers = read_policies().ask(questions, entities) if questions else []
    decided = {}
    for names, answer in zip(alike.values(), answers, strict=True):
        decided.update(dict.fromkeys(names, _decision(answer, behind, action)))
    return decided


def _decision(answer: Answer, behind: _Circumstances, action: Action) -> Decision:
    return Decision(answer.allowed, answer.policies, behind.approval(action) if answer.allowed else None)


def _person(principal: Principal) -> tuple[str, str]:
    return ("Person", str(principal.person_id))


def _principal_entities(principal: Principal, behind: _Circumstances) -> list[Mapping[str, object]]:
    person = {
        "role": _reference("Role", principal.role),
        "organisation": _reference("Organisation", principal.organisation),
    }
    organisation = {
        "kind": _reference("OrganisationKind", principal.organisation_kind),
        "live": principal.organisation in behind.live,
    }
    return [_entity(_person(principal), person), _entity(("Organisation", principal.organisation), organisation)]


def _reference(kind: str, name: str) -> Mapping[str, object]:
    return {"__entity": {"type": kind, "id": name}}


def _entity(uid: tuple[str, str], attributes: Mapping[str, object]) -> Mapping[str, object]:
    return {"uid": {"type": uid[0], "id": uid[1]}, "attrs": attributes, "parents": []}
