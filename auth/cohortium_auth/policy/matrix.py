"""The access matrix: what every role may do, drawn from the policies themselves.

Each question is put to the same policies as any request, about an imagined practice and tenant where all that a policy
can ask for is in place: onboarding done, the practice shares, approvals of every level, opt-outs in date. What is then
refused is refused to that role always; what is allowed says by which policy, whose sentence tells the conditions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from uuid import UUID

from cohortium_auth.approvals import Level
from cohortium_auth.login import HIGHEST_ASSURANCE, Purpose, Role
from cohortium_auth.policy.actions import OF_PRACTICES, Action
from cohortium_auth.policy.book import Policy, Question, read_policies
from cohortium_tenants.organisations import OrganisationType

__all__ = ["Permission", "access_matrix"]

_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Permission:
    """That a role, in an organisation of a kind, may do something for a purpose; and the policies that say so."""

    role: Role
    kind: OrganisationType
    purpose: Purpose
    action: Action
    policies: tuple[Policy, ...]


@cache
def access_matrix() -> Sequence[Permission]:
    """Every permission that there is, in the order of roles, kinds, purposes and actions. Thousands of questions are
    asked for it, and once only: policies change with the program.
    """
    found = []
    for role, kind in product(Role, OrganisationType):
        asked = list(product(Purpose, Action, (False, True)))
        answers = read_policies().ask([_question(*each) for each in asked], _entities(role, kind))
        allowed: dict[tuple[Purpose, Action], tuple[Policy, ...]] = {}
        for (purpose, action, _), answer in zip(asked, answers, strict=True):
            if answer.allowed:  # asked with a glass broken last: what that adds comes on top
                allowed[purpose, action] = answer.policies
        found += [Permission(role, kind, *asked_of, policies) for asked_of, policies in allowed.items()]
    return tuple(found)


def _question(purpose: Purpose, action: Action, broken_glass: bool) -> Question:  # noqa: FBT001 - one of a product
    context: Mapping[str, object] = {
        "purpose": purpose,
        "approved": sorted(Level),
        "opt_outs_current": True,
        "broken_glass": broken_glass,
        "assurance": HIGHEST_ASSURANCE,
    }
    resource = ("Practice", "practice") if action in OF_PRACTICES else ("Tenant", "tenant")
    return Question(("Person", str(_NOBODY)), action, resource, context)


def _entities(role: Role, kind: OrganisationType) -> list[Mapping[str, object]]:
    own = {"__entity": {"type": "Organisation", "id": "own"}}
    attributes: Mapping[tuple[str, str], Mapping[str, object]] = {
        ("Person", str(_NOBODY)): {"role": {"__entity": {"type": "Role", "id": role}}, "organisation": own},
        ("Organisation", "own"): {"kind": {"__entity": {"type": "OrganisationKind", "id": kind}}, "live": True},
        ("Practice", "practice"): {"shares_with": [own], "live": True},
        ("Tenant", "tenant"): {},
    }
    return [
        {"uid": {"type": kind_of, "id": name}, "attrs": attrs, "parents": []}
        for (kind_of, name), attrs in attributes.items()
    ]
