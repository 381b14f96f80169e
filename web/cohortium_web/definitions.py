"""A tenant's packs as pages need them, kept between requests until something about them changes.

Here: the cache, and terms of codes. Not here: enabling packs (cohortium_tenants.packs).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from cohortium_platform.database import tenant_of
from cohortium_plugins.model import Code, Definition, nodes
from cohortium_plugins.pack import Pack
from cohortium_tenants.packs import TenantDefinition, definition_of, enabled_packs, local_codes
from cohortium_tenants.sensitive import list_version
from cohortium_web.words import plain_term

__all__ = ["Definitions", "KnownCode", "Registered"]


@dataclass(frozen=True, slots=True)
class KnownCode:
    """A code that some codelist knows: its term, and the groups of indicators that ask for it."""

    term: str
    groups: frozenset[str]
    local: bool


@dataclass(frozen=True)
class Registered:
    """A pack as a tenant runs it, with every code that its codelists know. `withheld` are those that are sensitive: no
    codelist holds them any more, and only the practice that recorded one is shown its entries.
    """

    of_tenant: TenantDefinition
    codes: Mapping[int, KnownCode]
    withheld: Mapping[int, KnownCode]

    @property
    def pack(self) -> Pack:
        """The pack."""
        return self.of_tenant.pack

    @property
    def definition(self) -> Definition:
        """Its definition, with the tenant's parameters and local codes in place."""
        return self.of_tenant.definition

    @property
    def title(self) -> str:
        """What the registry is called: its cohort's title, or the pack's where it has several."""
        cohorts = self.definition.cohorts
        return cohorts[0].title if len(cohorts) == 1 else self.pack.title

    def term(self, code: int | None) -> str:
        """A code's term, or the code itself when no codelist knows it."""
        known = self.codes.get(code or 0)
        return "" if code is None else (known.term if known and known.term else str(code))


class Definitions:
    """One process' registries, by tenant and pack. Whether a kept one still holds is asked on every request."""

    def __init__(self) -> None:
        self._kept: dict[tuple[UUID, str], tuple[str, Registered]] = {}
        self._lock = threading.Lock()

    def of_tenant(self, session: Session) -> Mapping[str, Registered]:
        """Every registry of the session's tenant, by pack."""
        tenant = tenant_of(session)
        codes, sensitive = local_codes(session), list_version(session)
        found = {}
        for enabled in enabled_packs(session):
            local = [
                (code.codelist, code.code, code.term, code.category) for code in codes if code.pack == enabled.pack
            ]
            version = json.dumps([enabled.definition_hash, enabled.parameters, local, sensitive], sort_keys=True)
            kept = self._kept.get((tenant, enabled.pack))
            if kept is None or kept[0] != version:
                kept = (version, _registered(definition_of(session, enabled.pack)))
                with self._lock:
                    self._kept[tenant, enabled.pack] = kept
            found[enabled.pack] = kept[1]
        return found


def _registered(definition: TenantDefinition) -> Registered:
    groups = _groups_of_codelists(definition.definition)
    codes = {name: codelist.codes for name, codelist in definition.definition.codelists.items()}
    return Registered(definition, _known(codes, groups), _known(definition.withheld, groups))


def _known(codelists: Mapping[str, Iterable[Code]], groups: Mapping[str, frozenset[str]]) -> Mapping[int, KnownCode]:
    found: dict[int, KnownCode] = {}
    for name, codes in codelists.items():
        for code in codes:
            before = found.get(code.code, KnownCode("", frozenset(), code.local))
            term = before.term or plain_term(code.term)
            found[code.code] = KnownCode(term, before.groups | groups.get(name, frozenset()), code.local)
    return found


def _groups_of_codelists(definition: Definition) -> Mapping[str, frozenset[str]]:
    """The groups of indicators that a codelist's entries can meet or excuse; one that makes members has none."""
    of_cohorts = set(_codelists(node for cohort in definition.cohorts for node in cohort.nodes()))
    found: dict[str, set[str]] = {}
    for indicator in definition.indicators:
        excuses = [adjustment.when for adjustment in indicator.adjustments]
        for name in _codelists([indicator.met, *indicator.evidence, *indicator.shown.nodes(), *excuses]):
            if name not in of_cohorts:
                found.setdefault(name, set()).add(indicator.group)
    return {name: frozenset(groups) for name, groups in found.items()}


def _codelists(roots: Iterable[nodes.Node]) -> Iterator[str]:
    for node in nodes.walk(*roots):
        name = getattr(node, "codelist", None)
        if name is not None:
            yield name
