"""Changing the list of sensitive codes, and what follows at once: results that stand on a code that came on it are
withdrawn in the same transaction, and worked out anew by a job.

Not here: the list itself (`service`). A module of its own because it knows packs, and packs know the list.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import Session, col

from cohortium_platform.audit import Entry, record
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput
from cohortium_platform.jobs import enqueue
from cohortium_platform.results import ResultFileRow, former_results
from cohortium_plugins.snomed import is_concept_id
from cohortium_tenants.packs import EVALUATE_ANEW, EvaluatePack, enabled_packs, local_codes
from cohortium_tenants.packs.catalogue.versions import find_pack
from cohortium_tenants.sensitive.models import Category, SensitiveChange
from cohortium_tenants.sensitive.service import hold_list, list_version, sensitive_codes

__all__ = ["Changed", "NewCode", "add_codes", "remove_codes"]


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code to put on the list, and where it comes from: a published set with its version, or a decision."""

    code: str
    category: str
    source: str


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did: the list's version now, how many codes came or went, and the registries it concerns."""

    version: int
    codes: int
    packs: Sequence[str]


def add_codes(session: Session, wanted: Sequence[NewCode], *, by: str, audited: bool = True) -> Changed:
    """Put codes on the list; one that is on it already stays as it is. Registries whose codelists hold one of them show
    nothing until they are worked out without it.

    Raises `BadInput`, naming the place in `wanted`, for what is no code, no category, or comes from nowhere; then
    nothing is added. A code's meaning is written nowhere but on the list. Whoever writes an audit entry of their own
    for this says so (`audited`).
    """
    hold_list(session)
    own = {str(code.code) for code in local_codes(session)}
    found = {_code(place, each, own): each for place, each in enumerate(wanted, start=1)}
    listed = sensitive_codes(session)
    new = {code: each for code, each in found.items() if code not in listed}
    rows = [(code, each.category, each.source.strip(), True) for code, each in new.items()]
    return _change(session, rows, by, audited=audited)


def remove_codes(session: Session, codes: Iterable[str], *, reason: str, by: str, audited: bool = True) -> Changed:
    """Take codes off the list; that they were on it, from when to when, stays known.

    Raises `BadInput`, naming the place, for one that is not on it, and when no reason is given. Registries go on
    showing what they show until they are worked out with the codes.
    """
    hold_list(session)
    if not reason.strip():
        raise BadInput("No reason was given.", "Say why these codes are no longer sensitive.")
    listed = {str(code): change for code, change in sensitive_codes(session).items()}
    rows = {}
    for place, text in enumerate(codes, start=1):
        change = listed.get(text.strip())
        if change is None:
            raise BadInput(f"Code {place} is not on the list.", "`cohortium sensitive list` shows those that are.")
        rows[change.code] = (change.code, change.category, reason.strip(), False)
    return _change(session, list(rows.values()), by, audited=audited)


def _code(place: int, wanted: NewCode, own: Collection[str]) -> int:
    text = wanted.code.strip()
    if not (is_concept_id(text) or text in own):
        raise BadInput(
            f"Code {place} is no SNOMED CT concept and no local code of this tenant.",
            "Look for a mistyped digit. A spreadsheet may have rounded a long number.",
        )
    if wanted.category not in set(Category):
        raise BadInput(f"Code {place} has no category that is known.", f"Choose one of: {', '.join(Category)}.")
    if not wanted.source.strip():
        raise BadInput(f"Code {place} comes from nowhere.", "Name the published set and its version, or the decision.")
    return int(text)


def _change(session: Session, rows: Sequence[tuple[int, str, str, bool]], by: str, *, audited: bool) -> Changed:
    version = list_version(session)
    if not rows:
        return Changed(version, 0, [])
    now = dt.datetime.now(dt.UTC)
    session.add_all(
        SensitiveChange(
            tenant_id=tenant_of(session),
            version=version + 1,
            code=code,
            listed=listed,
            category=category,
            source=source,
            by=by,
            at=now,
        )
        for code, category, source, listed in rows
    )
    session.flush()
    packs = _standing_on(session, {code for code, *_ in rows})
    for pack in packs:
        _work_out_anew(session, pack, by, withdraw=rows[0][-1])
    done = Changed(version + 1, len(rows), packs)
    if audited:
        detail = {"version": done.version, "codes": done.codes, "listed": rows[0][-1]}
        record(session, Entry(action="manage-opt-outs", resource="sensitive-codes", actor=by, detail=detail))
    return done


def _standing_on(session: Session, codes: Collection[int]) -> Sequence[str]:
    """The enabled packs of which some codelist, with the tenant's own codes, holds one of these."""
    own = {local.pack for local in local_codes(session) if local.code in codes}
    found = []
    for enabled in enabled_packs(session):
        codelists = find_pack(session, enabled.pack, enabled.content_hash).definition.codelists.values()
        if enabled.pack in own or any(not codelist.by_code.keys().isdisjoint(codes) for codelist in codelists):
            found.append(enabled.pack)
    return found


def _work_out_anew(session: Session, pack: str, by: str, *, withdraw: bool) -> None:
    """Ask for the results of a pack anew, at every day that they stand at; and let none count until then."""
    formers = former_results(session, pack)
    if not formers:
        return  # none ever, or withdrawn already: then the job was asked for with them
    days = tuple(dt.date.fromisoformat(day) for day in formers[0].evaluation.index_dates)
    enqueue(session, None, EVALUATE_ANEW, EvaluatePack(pack, days, actor=by), requested_by=by)
    if withdraw:
        session.connection().execute(
            update(ResultFileRow)
            .where(col(ResultFileRow.pack) == pack, col(ResultFileRow.superseded).is_(None))
            .values(superseded=dt.datetime.now(dt.UTC))
        )
        session.expire_all()
