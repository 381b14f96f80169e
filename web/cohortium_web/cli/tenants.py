"""`cohortium tenant`: tenants, their packs and their local codes."""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from cohortium_auth.ig_settings import LIMITS, change_ig_settings, read_ig_settings
from cohortium_platform.audit import Entry, record
from cohortium_platform.errors import BadInput
from cohortium_platform.jobs import JobQueue, JobState, enqueue, find_job, load_kinds, run_job
from cohortium_platform.portability.read_only import begin_read_only, end_read_only
from cohortium_plugins.model import Parameter, Scalar
from cohortium_tenants.packs import (
    REFRESH,
    Choice,
    OwnCode,
    RefreshPack,
    add_local_code,
    ask_to_switch,
    enable_pack,
    enabled_packs,
    local_codes,
    roll_back,
)
from cohortium_tenants.packs.catalogue.versions import find_pack, find_version
from cohortium_tenants.packs.choices import own_code_of
from cohortium_tenants.tenants import create_tenant, list_tenants
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output

__all__ = ["app", "operator"]

app = typer.Typer(help="Tenants: create, list, enable packs, add local codes.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="The tenant's short name.")]


def operator() -> str:
    """Name who acts from the command line, for the audit."""
    return f"operator:{getpass.getuser()}"


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List tenants."""
    output = Output(as_json=as_json)
    with open_place() as place:
        tenants = list_tenants(place.database)
    rows = [(tenant.slug, tenant.name, tenant.ods_code) for tenant in tenants]
    output.table("Tenants", ["tenant", "name", "ODS code"], rows)
    output.document([dict(zip(("tenant", "name", "ods_code"), row, strict=True)) for row in rows])


@app.command()
def create(
    slug: Slug,
    *,
    name: Annotated[str, typer.Option(help="The ICB's name.")],
    ods_code: Annotated[str, typer.Option(help="The ICB's ODS code.")],
    as_json: AsJson = False,
) -> None:
    """Create a tenant, with keys of its own."""
    output = Output(as_json=as_json)
    with open_place() as place:
        tenant = create_tenant(place.database, place.key_encryption, slug=slug, name=name, ods_code=ods_code)
    output.say(f"Created {tenant.slug}.")
    output.document({"tenant": tenant.slug, "id": tenant.id})


@app.command("packs")
def packs(slug: Slug, *, as_json: AsJson = False) -> None:
    """List the packs that a tenant has enabled, and its local codes."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(slug).id) as session:
        enabled = [(row.pack, row.version, row.definition_hash[:12], row.enabled) for row in enabled_packs(session)]
        local = [(row.pack, row.codelist, row.code, row.term, row.reason) for row in local_codes(session)]
    output.table("Enabled packs", ["pack", "version", "definition", "since"], enabled)
    output.table("Local codes", ["pack", "codelist", "code", "term", "reason"], local)
    output.document(
        {
            "packs": [dict(zip(("pack", "version", "definition", "since"), row, strict=True)) for row in enabled],
            "local_codes": [dict(zip(("pack", "codelist", "code", "term", "reason"), r, strict=True)) for r in local],
        }
    )


@app.command("enable-pack")
def enable(slug: Slug, pack: Annotated[str, typer.Argument(help="The pack's id.")], *, as_json: AsJson = False) -> None:
    """Enable an installed pack in its installed version."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(slug).id) as session:
        enable_pack(session, pack, by=operator())
    output.say(f"{pack} is enabled in {slug}. Run: cohortium evaluate --tenant {slug} --pack {pack}")
    output.document({"tenant": slug, "pack": pack})


@app.command("switch-pack")
def switch_pack(  # noqa: PLR0913 - each is an option of the command
    slug: Slug,
    pack: Annotated[str, typer.Argument(help="The pack's id.")],
    *,
    version: Annotated[str, typer.Option(help="The version; the newest that may be enabled.")] = "",
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER of a choice, from 1; may be repeated.")
    ] = None,
    local_code: Annotated[
        list[str] | None,
        typer.Option(help="CODELIST:CODE:TERM:REASON of a code to add, used from today on; may be repeated."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    background: Annotated[bool, typer.Option(help="Leave it to a worker.")] = False,
    as_json: AsJson = False,
) -> None:
    """Work a version out with 24 months of history, and then let it take the place of what is shown, in one moment."""
    output = Output(as_json=as_json)
    with open_place() as place:
        tenant = place.tenant(slug)
        with place.database.tenant(tenant.id) as session:
            row = find_version(session, pack, version)
            own = [own_code_of(code) for code in local_codes(session, pack)]
            own += [_own_code(text) for text in local_code or []]
            chosen = _chosen(find_pack(session, pack, row.version).definition.parameters, parameter or [])
            choice = Choice.of(pack, row.version, chosen, own)
            queue = JobQueue(place.settings.redis_url) if background else None
            job = ask_to_switch(session, queue, choice, reason=reason, by=operator())
        if not background:
            with output.step(f"Working out {pack} {row.version}"):
                run_job(place.database, load_kinds(), tenant.id, job)
        with place.database.tenant(tenant.id) as session:
            ended = find_job(session, job)
    if ended.state == JobState.FAILED:
        raise BadInput(str(ended.error), "What was shown before is still shown.")
    output.say(f"{pack} {row.version}: {ended.state}.")
    output.document({"tenant": slug, "pack": pack, "version": row.version, "job": job, "state": ended.state})


@app.command("roll-back-pack")
def roll_back_pack(
    slug: Slug,
    pack: Annotated[str, typer.Argument(help="The pack's id.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show at once what was shown before the last switch; a worker then brings it up to date."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(slug).id) as session:
        enablement = roll_back(session, pack, by=operator(), reason=reason)
        refresh, queue = RefreshPack(pack, actor=operator()), JobQueue(place.settings.redis_url)
        enqueue(session, queue, REFRESH, refresh, requested_by=operator())
    output.say(f"{pack} shows again what it showed before.")
    output.document({"tenant": slug, "pack": pack, "enablement": enablement})


def _chosen(declared: Sequence[Parameter], wanted: Sequence[str]) -> Mapping[str, Scalar]:
    """Read choices. Raises `BadInput` with those that there are."""
    found: dict[str, Scalar] = {}
    for text in wanted:
        name, _, number = text.partition("=")
        each = next((parameter for parameter in declared if parameter.name == name), None)
        if each is None or not number.isdecimal() or not 1 <= int(number) <= len(each.choices):
            known = "; ".join(f"{p.name}: {', '.join(map(str, p.choices))}" for p in declared)
            raise BadInput(f"{text} is no choice of this version.", f"There are: {known or 'no parameters'}.")
        found[name] = each.choices[int(number) - 1]
    return found


def _own_code(text: str) -> OwnCode:
    codelist, code, term, reason = (*text.split(":", 3), "", "", "")[:4]
    if not code.isdecimal():
        raise BadInput(f"{text} is no local code.", "Write CODELIST:CODE:TERM:REASON.")
    return OwnCode(codelist, int(code), term, reason)


@app.command("add-local-code")
def add_code(  # noqa: PLR0913 - each is an option of the command
    slug: Slug,
    pack: Annotated[str, typer.Argument(help="The pack's id.")],
    codelist: Annotated[str, typer.Argument(help="The codelist to extend.")],
    code: Annotated[int, typer.Argument(help="The code in the tenant's own system; not a SNOMED CT concept.")],
    *,
    term: Annotated[str, typer.Option(help="What it means.")],
    reason: Annotated[str, typer.Option(help="Why it is added.")],
    as_json: AsJson = False,
) -> None:
    """Extend a codelist by a code of the tenant's own system, which counts in every record."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(slug).id) as session:
        add_local_code(session, pack, codelist, code, term, reason=reason, by=operator())
    output.say(f"{code} is now in {codelist} for {slug}.")
    output.document({"tenant": slug, "pack": pack, "codelist": codelist, "code": code})


@app.command("change-access-rule")
def change_access_rule(
    slug: Slug,
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(LIMITS)}.")],
    value: Annotated[int, typer.Argument(help="What it shall be.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Change a rule for access, as IG officers do on their page; only here can fewer of them be made enough."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(slug).id) as session:
        before = getattr(read_ig_settings(session), name, None)
        change_ig_settings(session, {name: value})
        detail = {"rule": name, "before": before, "after": value, "operator": operator()}
        record(session, Entry(action="manage-ig-settings", resource="ig/rules", detail=detail))
    output.say(f"{name} is {value} in {slug}.")
    output.document({"tenant": slug, "rule": name, "before": before, "after": value})


def parse_day(text: str) -> dt.date:
    """Read a day. Raises `BadInput`."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as wrong:
        raise BadInput(f"{text} is not a day.", "Write YYYY-MM-DD, such as 2025-11-30.") from wrong


@app.command("read-only")
def read_only(
    slug: Slug,
    *,
    reason: Annotated[str, typer.Option(help="Why: it stands on every page.")] = "",
    end: Annotated[bool, typer.Option("--end", help="End the period instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Begin a period in which everything can be read and nothing changed, such as before leaving; or end it."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(slug).id) as session:
        period = (
            end_read_only(session, by=operator()) if end else begin_read_only(session, reason=reason, by=operator())
        )
        detail = {"read_only": not end, "reason": period.reason}
        record(session, Entry(action="manage-tenant", resource="read-only-period", actor=operator(), detail=detail))
    output.say(f"{slug} can be changed again." if end else f"{slug} is read-only: {period.reason}.")
    output.document({"tenant": slug, "began": period.began, "reason": period.reason, "ended": period.ended})
