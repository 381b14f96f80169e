"""Routes by which an ICB enables a version, tunes it, and rolls back. The work is a job; what is shown changes when it
commits. Not here: previews.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.jobs import cancel, enqueue, find_job
from cohortium_plugins.model import Definition
from cohortium_plugins.model.serialise import scalar_to_json
from cohortium_tenants.packs import (
    REFRESH,
    Choice,
    OwnCode,
    RefreshPack,
    ask_to_switch,
    local_codes,
    roll_back,
)
from cohortium_tenants.packs.catalogue.deciding import standing_of
from cohortium_tenants.packs.catalogue.versions import find_version, pack_of
from cohortium_tenants.packs.choices import own_code_of
from cohortium_web.asking import Asking
from cohortium_web.pages.packs.shown import enabled_here, parameter_fields
from cohortium_web.requiring import requires

__all__ = ["ChoiceForm", "Chosen", "chosen", "form_view", "router"]

router = APIRouter(prefix="/packs/{pack}")

Enabling = Annotated[Asking, requires(Action.ENABLE_PACK)]
_MOST_CODES = 200


@dataclass
class ChoiceForm:
    """What a form of choices sends: `parameter` as name=number of the choice, `keep` as codelist:code of codes that
    stay, and one new code at most.
    """

    parameter: Annotated[list[str], Form(default_factory=list)]
    keep: Annotated[list[str], Form(default_factory=list)]
    codelist: Annotated[str, Form()] = ""
    code: Annotated[str, Form()] = ""
    term: Annotated[str, Form()] = ""
    category: Annotated[str, Form()] = ""
    reason: Annotated[str, Form()] = ""
    why: Annotated[str, Form()] = ""


Chosen = Annotated[ChoiceForm, Depends()]


@router.get("/versions/{version}/enable")
def show_form(asking: Enabling, pack: str, version: str) -> Response:
    """The form: parameters, codes of the ICB's own, the reason."""
    row = find_version(asking.session, pack, version)
    standing = standing_of(asking.session, row)
    asking.record(f"pack/{pack}", detail={"shown": "enable", "version": row.version})
    return asking.page("packs/enable.html", standing=standing, **form_view(asking, pack, version))


@router.post("/versions/{version}/enable")
def enable(asking: Enabling, pack: str, version: str, form: Chosen) -> Response:
    """Ask for the version, with what was chosen."""
    choice, reason = chosen(asking, pack, version, form), form.why.strip()
    job = ask_to_switch(asking.session, asking.site.queue, choice, reason=reason, by=str(asking.who.person_id))
    detail = {"version": version, "parameters": dict(choice.parameters), "why": reason, "job": str(job)}
    asking.record(f"pack/{pack}", detail=detail)
    return _to(pack)


@router.post("/roll-back")
def go_back(asking: Enabling, pack: str, why: Annotated[str, Form()] = "") -> Response:
    """Show at once what was shown before, and bring it up to date by a job."""
    by = str(asking.who.person_id)
    made = roll_back(asking.session, pack, by=by, reason=why.strip())
    enqueue(asking.session, asking.site.queue, REFRESH, RefreshPack(pack, actor=by), requested_by=by)
    asking.record(f"pack/{pack}", detail={"rolled_back": str(made), "why": why.strip()})
    return _to(pack)


@router.post("/stop")
def stop(asking: Enabling, pack: str, job: Annotated[str, Form()] = "") -> Response:
    """Stop a job that exchanges the pack, before it does."""
    try:
        found = find_job(asking.session, UUID(job))
    except ValueError:
        raise NotFound("There is no such job.", "Go back to the pack.") from None
    if found.unique_key != f"switch-pack:{pack}":
        raise NotFound("There is no such job.", "Go back to the pack.")
    cancel(asking.session, found.id)
    asking.record(f"pack/{pack}", detail={"stopped": job})
    return _to(pack)


def form_view(asking: Asking, pack: str, version: str) -> Mapping[str, object]:
    """What a form of choices shows: as the ICB has it now, or the pack's defaults."""
    row = find_version(asking.session, pack, version)
    definition = pack_of(asking.session, row).definition
    enabled = enabled_here(asking, pack)
    return {
        "row": row,
        "enabled": enabled,
        "fields": parameter_fields(definition.parameters, {} if enabled is None else enabled.parameters),
        "codes": local_codes(asking.session, pack),
        "codelists": sorted(definition.codelists),
    }


def chosen(asking: Asking, pack: str, version: str, form: ChoiceForm) -> Choice:
    """What a form of choices says. Raises `BadInput`."""
    row = find_version(asking.session, pack, version)
    definition = pack_of(asking.session, row).definition
    own = [own_code_of(code) for code in local_codes(asking.session, pack)]
    kept = [code for code in own if f"{code.codelist}:{code.code}" in form.keep]
    return Choice(pack, row.version, _parameters(definition, form.parameter), _with_new(kept, form))


def _parameters(definition: Definition, sent: Sequence[str]) -> Mapping[str, object]:
    declared = {each.name: each for each in definition.parameters}
    found: dict[str, object] = {}
    for text in sent:
        name, _, number = text.partition("=")
        each = declared.get(name)
        if each is None or not number.isdecimal() or int(number) >= len(each.choices):
            raise BadInput("That is no parameter of this version, or no choice for it.", "Choose one from the list.")
        value = each.choices[int(number)]
        if value != each.default:
            found[name] = cast("object", scalar_to_json(value))
    return found


def _with_new(own: Sequence[OwnCode], form: ChoiceForm) -> Sequence[OwnCode]:
    """The codes kept, and the one that the form adds when it names any. Raises `BadInput`."""
    code = form.code.strip()
    if not code:
        return own
    if not (code.isascii() and code.isdigit()):
        raise BadInput("A local code is a number.", "Correct the code, or leave it out.")
    if len(own) >= _MOST_CODES:
        raise BadInput(f"There are {_MOST_CODES} local codes already.", "Propose codes to the pack's publisher.")
    texts = (form.codelist.strip(), form.term.strip(), form.reason.strip(), form.category.strip())
    codelist, term, reason, category = texts
    new = OwnCode(codelist, int(code), term, reason, category or None)
    if any((each.codelist, each.code) == (new.codelist, new.code) for each in own):
        raise BadInput(f"{code} is in {new.codelist} already.", "Leave it out.")
    return [*own, new]


def _to(pack: str) -> Response:
    return RedirectResponse(f"/packs/{pack}/", HTTPStatus.SEE_OTHER)
