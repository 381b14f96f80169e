"""A tenant's packs as it runs them: what is enabled, with which parameters and codes of its own.

Here: the first enabling, before there are results; reading what is enabled; putting a choice together, also one that is
only being considered. Not here: exchanging what has results (`switching`), previews, evaluating.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from uuid import UUID

from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, CohortiumError, Conflict, NotFound
from cohortium_platform.results import evaluated_packs
from cohortium_plugins.errors import PackError
from cohortium_plugins.model import Code, Definition, Scalar
from cohortium_plugins.model.serialise import bind, content_hash
from cohortium_plugins.pack import Pack
from cohortium_plugins.snomed import is_concept_id
from cohortium_tenants.packs.catalogue.models import PackVersion
from cohortium_tenants.packs.catalogue.versions import find_version, pack_of
from cohortium_tenants.packs.choices import Choice, OwnCode, own_code_of
from cohortium_tenants.packs.models import EnabledPack, LocalCode
from cohortium_tenants.packs.pinning import How, pin
from cohortium_tenants.sensitive import list_version, sensitive_codes

__all__ = [
    "TenantDefinition",
    "add_local_code",
    "chosen_now",
    "definition_of",
    "enable_pack",
    "enabled_pack",
    "enabled_packs",
    "local_codes",
    "propose",
]


@dataclass(frozen=True)
class TenantDefinition:
    """A pack as one tenant runs it: parameters bound, local codes in place, sensitive codes taken out of every codelist
    so that nothing depends on them. `withheld` gives those, by codelist; `sensitive_version` is the list's.
    `enablement` names what it was made from; None for a choice that is only being considered.
    """

    pack: Pack
    definition: Definition
    parameters: Mapping[str, Scalar]
    withheld: Mapping[str, tuple[Code, ...]] = field(default_factory=dict)
    sensitive_version: int = 0
    enablement: UUID | None = None

    @cached_property
    def hash(self) -> str:
        """Names exactly this definition, every code included; worked out when first asked for, since it takes long."""
        return content_hash(self.definition)


def enabled_packs(session: Session) -> Sequence[EnabledPack]:
    """The tenant's enabled packs, by id."""
    return session.exec(select(EnabledPack).order_by(col(EnabledPack.pack))).all()


def enabled_pack(session: Session, pack_id: str) -> EnabledPack:
    """One of them. Raises `NotFound`."""
    enabled = session.get(EnabledPack, (tenant_of(session), pack_id), populate_existing=True)
    if enabled is None:
        raise NotFound(f"{pack_id} is not enabled here.", f"Run: cohortium tenant enable-pack TENANT {pack_id}")
    return enabled


def local_codes(session: Session, pack_id: str | None = None) -> Sequence[LocalCode]:
    """The tenant's own codes, of one pack or all."""
    query = select(LocalCode).order_by(col(LocalCode.pack), col(LocalCode.codelist), col(LocalCode.code))
    if pack_id is not None:
        query = query.where(LocalCode.pack == pack_id)
    return session.exec(query).all()


def definition_of(session: Session, pack_id: str) -> TenantDefinition:
    """Give a pack as the tenant runs it. Raises `NotFound` when it is not enabled."""
    enabled = enabled_pack(session, pack_id)
    row = session.get(PackVersion, enabled.content_hash)
    if row is None:
        raise CohortiumError(f"The catalogue lacks {pack_id} {enabled.version}.", "Restore it from a backup.")
    found = _put_together(session, pack_of(session, row), chosen_now(session, pack_id))
    return replace(found, enablement=enabled.enablement)


def chosen_now(session: Session, pack_id: str) -> Choice:
    """What the tenant has chosen of an enabled pack. Raises `NotFound`."""
    enabled = enabled_pack(session, pack_id)
    return Choice(
        pack_id, enabled.version, enabled.parameters, [own_code_of(code) for code in local_codes(session, pack_id)]
    )


def propose(session: Session, choice: Choice) -> TenantDefinition:
    """A pack as the tenant would run it. Raises `NotFound` for a version that there is not, and `BadInput` for a
    parameter that it does not declare, a value that is not among its choices, or a code that may not be added.
    """
    pack = pack_of(session, find_version(session, choice.pack, choice.version))
    for code in choice.codes:
        _check_code(pack, code)
    return _put_together(session, pack, choice)


def _put_together(session: Session, pack: Pack, choice: Choice) -> TenantDefinition:
    additions: dict[str, tuple[Code, ...]] = {}
    for own in choice.codes:
        code = Code(own.code, own.term, own.category, local=True)
        additions[own.codelist] = (*additions.get(own.codelist, ()), code)
    try:
        parameters = choice.scalars
        bound = bind(pack.definition, parameters, additions)
    except PackError as wrong:
        raise BadInput(wrong.message, wrong.advice) from wrong
    version = list_version(session)
    if not version:
        return TenantDefinition(pack, bound, parameters)
    safe, withheld = _without(bound, sensitive_codes(session))
    return TenantDefinition(pack, safe, parameters, withheld, version)


def _without(definition: Definition, codes: Collection[int]) -> tuple[Definition, Mapping[str, tuple[Code, ...]]]:
    """The definition as if no codelist had ever held these codes, and what each held of them."""
    withheld = {
        name: found
        for name, codelist in definition.codelists.items()
        if (found := tuple(code for code in codelist.codes if code.code in codes))
    }
    safe = {
        name: replace(definition.codelists[name], codes=tuple(c for c in codelist.codes if c.code not in codes))
        for name, codelist in definition.codelists.items()
        if name in withheld
    }
    return replace(definition, codelists={**definition.codelists, **safe}), withheld


def enable_pack(
    session: Session, pack_id: str, *, by: str, version: str = "", parameters: Mapping[str, Scalar] | None = None
) -> None:
    """Make a pack a registry of the tenant, before it has any results. Raises `BadInput`, and `Conflict` when it has:
    these are exchanged together with the version (`switching`).
    """
    if pack_id in evaluated_packs(session):
        raise Conflict(
            f"{pack_id} has results here, which another version takes the place of in one moment.",
            f"Run: cohortium tenant switch-pack TENANT {pack_id}",
        )
    row = find_version(session, pack_id, version)
    own = [own_code_of(code) for code in local_codes(session, pack_id)]
    choice = Choice.of(pack_id, row.version, parameters or {}, own)
    _pin(session, choice, by=by, how=How.ENABLED)


def add_local_code(  # noqa: PLR0913 - a code is this much
    session: Session,
    pack_id: str,
    codelist: str,
    code: int,
    term: str,
    *,
    reason: str,
    by: str,
    category: str | None = None,
) -> None:
    """Extend a codelist by a code of the tenant's own system, before the pack has any results.

    Raises `BadInput` when the codelist is unknown or the code is a SNOMED CT concept, and `Conflict` when it is there
    or the pack has results.
    """
    if pack_id in evaluated_packs(session):
        raise Conflict(
            f"{pack_id} has results here, which a code may change.",
            f"Run: cohortium tenant switch-pack TENANT {pack_id} --local-code ...",
        )
    now = chosen_now(session, pack_id)
    if any((own.codelist, own.code) == (codelist, code) for own in now.codes):
        raise Conflict(f"{code} is in {codelist} already.", "Nothing was changed.")
    choice = Choice.of(pack_id, now.version, now.scalars, [*now.codes, OwnCode(codelist, code, term, reason, category)])
    _pin(session, choice, by=by, how=How.CHANGED)


def _pin(session: Session, choice: Choice, *, by: str, how: How) -> None:
    found, row = propose(session, choice), find_version(session, choice.pack, choice.version)
    pin(session, choice, row, by=by, how=how, sensitive_version=found.sensitive_version)


def _check_code(pack: Pack, own: OwnCode) -> None:
    if own.codelist not in pack.definition.codelists:
        near = difflib.get_close_matches(own.codelist, pack.definition.codelists, 1)
        raise BadInput(f"{pack.id} has no codelist {own.codelist}.", f"Did you mean {near[0]}?" if near else "")
    if is_concept_id(str(own.code)):
        raise BadInput(
            f"{own.code} is a SNOMED CT concept, not a local code.",
            "Propose it to the pack's publisher, or use a local code.",
        )
    if not 0 < own.code < 2**63:
        raise BadInput("A local code is a positive number of at most 18 digits.", "Correct the code.")
    if not own.term.strip() or not own.reason.strip():
        raise BadInput(f"{own.code} needs a term and a reason.", "Say what it means, and why it is added.")
