"""The policies: Cedar files that an IG officer can read, checked against the schema beside them, and asked.

Here: reading them, and putting questions to Cedar. Not here: what there is to ask about (`decisions`). Only Cedar's
batch decisions are used, never its experimental partial evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cedarpy

from cohortium_auth.policy.actions import Obligation
from cohortium_platform.errors import BadSettings, CohortiumError

__all__ = ["Answer", "Policy", "PolicyBook", "Question", "read_policies"]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy as its file declares it."""

    id: str
    title: str
    obligations: frozenset[Obligation]


@dataclass(frozen=True, slots=True)
class Question:
    """May this principal do this to this resource? Both as Cedar's type and id; `context` is the schema's `Asking`."""

    principal: tuple[str, str]
    action: str
    resource: tuple[str, str]
    context: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no, and the policies that said so. Nothing permits what no policy permits."""

    allowed: bool
    policies: tuple[Policy, ...]


class PolicyBook:
    """A set of policies, ready to be asked. Raises `BadSettings` when one does not fit the schema."""

    def __init__(self, policies: str, schema: str) -> None:
        try:
            wrong = [str(error) for error in cedarpy.validate_policies(policies, schema).errors]
            self._schema = cedarpy.Schema.from_str(schema)
            self._set = cedarpy.PolicySet.from_str(policies)
        except ValueError as unreadable:
            wrong = [str(unreadable)]
        if wrong:
            raise BadSettings(f"The access policies are wrong: {'; '.join(wrong)}.", "Correct them and start again.")
        self._policies = _declared(policies)

    @property
    def policies(self) -> Sequence[Policy]:
        """Every policy, in the order of the files."""
        return tuple(self._policies.values())

    def ask(self, questions: Sequence[Question], entities: Sequence[Mapping[str, object]]) -> list[Answer]:
        """Answer questions, in their order, over the entities that they name."""
        requests: list[dict[str, object]] = [
            {
                "principal": _uid(question.principal),
                "action": _uid(("Action", question.action)),
                "resource": _uid(question.resource),
                "context": dict(question.context),
            }
            for question in questions
        ]
        results = cedarpy.is_authorized_batch(requests, self._set, json.dumps(entities), self._schema)
        return [self._answer(result) for result in results]

    def _answer(self, result: cedarpy.AuthzResult) -> Answer:
        if result.diagnostics.errors:
            raise CohortiumError("The access policies could not be asked.", "; ".join(result.diagnostics.errors))
        return Answer(result.allowed, tuple(self._policies[name] for name in result.diagnostics.reasons))


def _uid(entity: tuple[str, str]) -> dict[str, str]:
    return {"type": entity[0], "id": entity[1]}


def _declared(policies: str) -> dict[str, Policy]:
    """What the files' annotations say of each policy, by the name that Cedar gives it."""
    read = json.loads(cedarpy.policies_to_json_str(policies))["staticPolicies"]
    declared = {}
    for name, policy in read.items():
        says = policy.get("annotations", {})
        if "id" not in says or "title" not in says:
            raise BadSettings(f"The access policy {name} lacks @id or @title.", "Give it both.")
        obligations = frozenset(Obligation(word) for word in says.get("obligations", "").split())
        declared[name] = Policy(says["id"], says["title"], obligations)
    ids = [policy.id for policy in declared.values()]
    if len(set(ids)) < len(ids):
        raise BadSettings("Two access policies have one @id.", "Give each its own.")
    return declared


@cache
def read_policies() -> PolicyBook:
    """The policies that Cohortium comes with."""
    folder = files("cohortium_auth.policy") / "policies"
    texts = [
        file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if file.name.endswith(".cedar")
    ]
    return PolicyBook("\n".join(texts), (folder / "schema.cedarschema").read_text(encoding="utf-8"))
