"""What pages about packs have in common: who acts, how a version stands in words, a pack as this tenant has it.

Not here: any route.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from sqlmodel import col, select

from cohortium_auth.login import Role, names_of
from cohortium_platform.database import tenant_of
from cohortium_platform.jobs import Job, JobState
from cohortium_plugins.model import Duration, Parameter, Scalar
from cohortium_plugins.model.serialise import scalar_to_json
from cohortium_tenants.packs import EnabledPack
from cohortium_tenants.packs.catalogue.changes import Actor
from cohortium_tenants.packs.catalogue.deciding import Standing
from cohortium_web.asking import Asking

__all__ = [
    "TAGS",
    "ParameterField",
    "actor_of",
    "choice_words",
    "enabled_here",
    "parameter_fields",
    "standing_cells",
    "switch_of",
    "who",
]

TAGS: Mapping[str, str] = {
    "can be enabled": "green",
    "awaits sign-off": "blue",
    "being checked": "blue",
    "deprecated": "yellow",
    "withdrawn": "red",
    "failed its checks": "red",
    "signature no longer holds": "red",
}
"""The colour of each word that `Standing.word` gives."""


def actor_of(asking: Asking) -> Actor:
    """Who changes the catalogue; the operator speaks for no organisation."""
    who = asking.who
    organisation = "" if who.role is Role.PLATFORM_OPERATOR else who.organisation
    return Actor(str(who.person_id), who.display_name, organisation)


def enabled_here(asking: Asking, pack: str) -> EnabledPack | None:
    """What this tenant has enabled of a pack."""
    return asking.session.get(EnabledPack, (tenant_of(asking.session), pack))


def switch_of(asking: Asking, pack: str) -> Job | None:
    """The newest job that exchanges a pack here: one that waits or runs, or the last one that failed."""
    query = select(Job).where(Job.kind == "switch-pack", Job.unique_key == f"switch-pack:{pack}")
    newest = asking.session.exec(query.order_by(col(Job.created).desc()).limit(1)).first()
    return None if newest is None or newest.state == JobState.SUCCEEDED else newest


def who(asking: Asking, actors: Sequence[str]) -> Mapping[str, str]:
    """Names of people of this tenant by their ids; whoever is of elsewhere stays as they are written."""
    known = names_of(asking.session)
    found = {}
    for actor in actors:
        try:
            found[actor] = known.get(UUID(actor), "someone of another tenant")
        except ValueError:
            found[actor] = actor
    return found


def choice_words(value: Scalar) -> str:
    """A parameter's value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Duration):
        unit = value.unit.value if value.count != 1 else value.unit.value.removesuffix("s")
        return f"{value.count} {unit}"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class ParameterField:
    """A parameter on a form: its choices, each as the form sends it, in words, and whether it is the chosen one."""

    name: str
    title: str
    choices: Sequence[tuple[str, str, bool]]


def parameter_fields(parameters: Sequence[Parameter], chosen: Mapping[str, object]) -> Sequence[ParameterField]:
    """The parameters of a pack as a form offers them; what is not chosen is at its default."""
    fields = []
    for each in parameters:
        now = chosen.get(each.name, cast("object", scalar_to_json(each.default)))
        if now not in [scalar_to_json(value) for value in each.choices]:
            now = scalar_to_json(each.default)
        options = [
            (f"{each.name}={number}", choice_words(value) + (" (default)" if value == each.default else ""),
             scalar_to_json(value) == now)
            for number, value in enumerate(each.choices)
        ]  # fmt: skip
        fields.append(ParameterField(each.name, each.title, options))
    return fields


def standing_cells(standing: Standing) -> tuple[str, str]:
    """The word for where a version stands, and its colour."""
    return standing.word, TAGS[standing.word]
