"""Enabling packs and extending their codelists, in the caller's transaction. Each change is audited with it.

Not here: publishing, sign-off and preview of versions; evaluating.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

from sqlmodel import Session, col, select

from cohortium_platform.audit import Entry, record
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.installed import installed_packs
from cohortium_plugins.model import Code, Definition, Scalar
from cohortium_plugins.model.serialise import Json, bind, content_hash, scalar_from_json, scalar_to_json
from cohortium_plugins.pack import Pack
from cohortium_plugins.snomed import is_concept_id
from cohortium_tenants.packs.models import EnabledPack, LocalCode
from cohortium_tenants.sensitive import list_version, sensitive_codes

__all__ = [
    "TenantDefinition",
    "add_local_code",
    "definition_of",
    "enable_pack",
    "enabled_packs",
    "find_pack",
    "local_codes",
]


@dataclass(frozen=True)
class TenantDefinition:
    """A pack as one tenant runs it: parameters bound, local codes in place, sensitive codes taken out of every codelist
    so that nothing depends on them. `withheld` gives those, by codelist; `sensitive_version` is the list's.
    """

    pack: Pack
    definition: Definition
    parameters: Mapping[str, Scalar]
    withheld: Mapping[str, tuple[Code, ...]] = field(default_factory=dict)
    sensitive_version: int = 0

    @cached_property
    def hash(self) -> str:
        """Names exactly this definition, every code included; worked out when first asked for, since it takes long."""
        return content_hash(self.definition)


def find_pack(pack_id: str) -> Pack:
    """Give an installed pack. Raises `NotFound` with the nearest name."""
    packs = installed_packs()
    if pack_id in packs:
        return packs[pack_id]
    near = difflib.get_close_matches(pack_id, packs, 1)
    advice = f"Did you mean {near[0]}?" if near else f"Installed are: {', '.join(packs) or 'none'}."
    raise NotFound(f"No installed pack is called {pack_id}.", advice)


def enable_pack(session: Session, pack_id: str, *, by: str, parameters: Mapping[str, Scalar] | None = None) -> None:
    """Make a pack a registry of the tenant, or change the version or parameters it runs with. Raises `BadInput`."""
    pack = find_pack(pack_id)
    chosen = dict(parameters or {})
    try:
        bind(pack.definition, chosen)
    except DefinitionError as wrong:
        raise BadInput(wrong.message, wrong.advice) from wrong
    row = session.get(EnabledPack, (tenant_of(session), pack_id)) or EnabledPack(
        tenant_id=tenant_of(session), pack=pack_id, version="", definition_hash="", enabled_by=by
    )
    row.version, row.definition_hash, row.enabled_by = pack.version, pack.hash, by
    row.parameters = {name: cast("object", scalar_to_json(value)) for name, value in chosen.items()}
    row.enabled = dt.datetime.now(dt.UTC)
    session.add(row)
    detail = {"version": pack.version, "definition": pack.hash}
    record(session, Entry(action="enable-pack", resource=f"pack/{pack_id}", actor=by, detail=detail))


def enabled_packs(session: Session) -> Sequence[EnabledPack]:
    """The tenant's enabled packs, by id."""
    return session.exec(select(EnabledPack).order_by(col(EnabledPack.pack))).all()


def add_local_code(  # noqa: PLR0913 - a code is this much
    session: Session,
    pack_id: str,
    codelist: str,
    code: int,
    term: str,
    *,
    since: dt.date,
    reason: str,
    by: str,
    category: str | None = None,
) -> None:
    """Extend a codelist by a code of the tenant's own system.

    Raises `BadInput` when the codelist is unknown or the code is a SNOMED CT concept, and `Conflict` when it is there.
    """
    pack = find_pack(pack_id)
    if codelist not in pack.definition.codelists:
        near = difflib.get_close_matches(codelist, pack.definition.codelists, 1)
        raise BadInput(f"{pack_id} has no codelist {codelist}.", f"Did you mean {near[0]}?" if near else "")
    if is_concept_id(str(code)):
        raise BadInput(
            f"{code} is a SNOMED CT concept, not a local code.",
            "Propose it to the pack's publisher, or use a local code.",
        )
    if session.get(LocalCode, (tenant_of(session), pack_id, codelist, code)) is not None:
        raise Conflict(f"{code} is in {codelist} already.", "Nothing was changed.")
    session.add(
        LocalCode(
            tenant_id=tenant_of(session),
            pack=pack_id,
            codelist=codelist,
            code=code,
            term=term,
            category=category,
            since=since,
            reason=reason,
            added_by=by,
        )
    )
    detail = {"codelist": codelist, "code": code, "reason": reason}
    record(session, Entry(action="add-local-code", resource=f"pack/{pack_id}", actor=by, detail=detail))


def local_codes(session: Session, pack_id: str | None = None) -> Sequence[LocalCode]:
    """The tenant's own codes, of one pack or all."""
    query = select(LocalCode).order_by(col(LocalCode.pack), col(LocalCode.codelist), col(LocalCode.code))
    if pack_id is not None:
        query = query.where(LocalCode.pack == pack_id)
    return session.exec(query).all()


def definition_of(session: Session, pack_id: str) -> TenantDefinition:
    """Give a pack as the tenant runs it. Raises `NotFound` when it is not enabled."""
    enabled = session.get(EnabledPack, (tenant_of(session), pack_id))
    if enabled is None:
        raise NotFound(f"{pack_id} is not enabled here.", f"Run: cohortium tenant enable-pack TENANT {pack_id}")
    pack = find_pack(pack_id)
    parameters = {name: scalar_from_json(cast("Json", value)) for name, value in enabled.parameters.items()}
    additions: dict[str, tuple[Code, ...]] = {}
    for local in local_codes(session, pack_id):
        code = Code(local.code, local.term, local.category, local=True)
        additions[local.codelist] = (*additions.get(local.codelist, ()), code)
    bound, version = bind(pack.definition, parameters, additions), list_version(session)
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
