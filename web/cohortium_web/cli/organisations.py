"""`cohortium organisation`: a tenant's organisations, what belongs to what, who shares with whom, and who is live."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated

import typer
from sqlmodel import Session

from cohortium_auth.policy import share
from cohortium_platform.audit import SERVICE, Entry, record
from cohortium_platform.errors import BadInput, NotFound
from cohortium_tenants.onboarding import onboard
from cohortium_tenants.organisations import (
    Member,
    NewOrganisation,
    OrganisationType,
    RelationshipKind,
    create,
    load_graph,
    relate,
    succeed,
)
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import parse_day

__all__ = ["app"]

app = typer.Typer(help="Organisations: list, show, add, relate, succeed, share, onboard.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]
Code = Annotated[str, typer.Argument(help="An ODS code.")]
On = Annotated[str, typer.Option("--on", help="The day asked about, as YYYY-MM-DD; today when absent.")]
Start = Annotated[str, typer.Option("--start", help="The first day, as YYYY-MM-DD.")]


def _day(text: str) -> dt.date:
    return parse_day(text) if text else dt.datetime.now(dt.UTC).date()


def _word(kind: type[OrganisationType | RelationshipKind], text: str) -> str:
    try:
        return kind(text)
    except ValueError as wrong:
        raise BadInput(f"{text} is none of the kinds.", f"Write one of: {', '.join(kind)}.") from wrong


@app.command("list")
def list_(
    tenant: Tenant,
    *,
    kind: Annotated[str, typer.Option("--type", help="Only organisations of this type.")] = "",
    on: On = "",
    as_json: AsJson = False,
) -> None:
    """List organisations that are open on a day."""
    output, day = Output(as_json=as_json), _day(on)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        graph = load_graph(session)
    wanted = OrganisationType(_word(OrganisationType, kind)) if kind else None
    rows = [
        (node.ods_code, node.name, node.type, len(graph.practices_under(node.ods_code, day)))
        for node in sorted(graph.nodes.values(), key=lambda node: (node.type, node.name))
        if node.is_open(day) and wanted in (None, node.type)
    ]
    columns = ("ods_code", "name", "type", "practices")
    output.table(f"Organisations of {tenant} on {day}", columns, rows)
    output.document([dict(zip(columns, row, strict=True)) for row in rows])


@app.command()
def show(tenant: Tenant, code: Code, *, on: On = "", as_json: AsJson = False) -> None:
    """Show what an organisation belongs to, what belongs to it, and who took over."""
    output, day = Output(as_json=as_json), _day(on)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        graph = load_graph(session)
    if code not in graph.nodes:
        raise NotFound(f"{tenant} has no organisation {code}.", "`cohortium organisation list` shows those there are.")
    node = graph.nodes[code]
    document = {
        "ods_code": code,
        "name": node.name,
        "type": node.type,
        "opened": node.opened,
        "closed": node.closed,
        "belongs_to": sorted(member.parent for member in graph.parents(code, day)),
        "members": sorted(member.child for member in graph.children(code, day)),
        "stands_for_it": sorted(graph.successors(code, day)),
    }
    output.table(f"{node.name} on {day}", ["", ""], [(k, ", ".join(v) if isinstance(v, list) else v)
                                                     for k, v in document.items()])  # fmt: skip
    output.document(document)


@app.command()
def add(  # noqa: PLR0913 - each is an option of the command
    tenant: Tenant,
    code: Code,
    *,
    name: Annotated[str, typer.Option(help="The organisation's name.")],
    kind: Annotated[str, typer.Option("--type", help="icb, place, pcn, federation, practice, trust and so on.")],
    start: Start,
    as_json: AsJson = False,
) -> None:
    """Add an organisation."""
    output = Output(as_json=as_json)
    new = NewOrganisation(code, name, OrganisationType(_word(OrganisationType, kind)), parse_day(start))
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        create(session, new)
        _record(session, code, {"added": str(new.type), "start": start})
    output.say(f"Added {name} ({code}).")
    output.document({"ods_code": code})


@app.command("relate")
def relate_(  # noqa: PLR0913 - each is an option of the command
    tenant: Tenant,
    child: Code,
    parent: Code,
    *,
    kind: Annotated[str, typer.Option("--kind", help="member-of, part-of, commissioned-by, covered-by.")] = "member-of",
    start: Start,
    as_json: AsJson = False,
) -> None:
    """Say that one organisation belongs to another from a day on."""
    output = Output(as_json=as_json)
    member = Member(child, parent, RelationshipKind(_word(RelationshipKind, kind)), parse_day(start))
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        relate(session, member)
        _record(session, child, {"kind": kind, "parent": parent, "start": start})
    output.say(f"{child} belongs to {parent} from {start}.")
    output.document({"child": child, "parent": parent})


@app.command("succeed")
def succeed_(tenant: Tenant, predecessor: Code, successor: Code, *, on: On, as_json: AsJson = False) -> None:
    """Say that one organisation takes over from another on a day."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        succeed(session, predecessor, successor, parse_day(on))
        _record(session, predecessor, {"successor": successor, "on": on})
    output.say(f"{successor} takes over from {predecessor} on {on}.")
    output.document({"predecessor": predecessor, "successor": successor})


@app.command("share")
def share_(  # noqa: PLR0913 - an agreement is this much
    tenant: Tenant,
    practice: Code,
    *,
    organisation: Annotated[str, typer.Option("--with", help="Whom the practice shares with; its own staff too.")],
    start: Start,
    document: Annotated[str, typer.Option(help="Where the signed agreement is.")],
    end: Annotated[str, typer.Option("--end", help="The last day, as YYYY-MM-DD; until ended when absent.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record that a practice shares with an organisation: from it comes reach, and from nothing else."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        _known(session, practice, organisation)
        last = parse_day(end) if end else None
        number = share(session, practice, organisation, start=parse_day(start), end=last, document=document)
        _record(session, practice, {"shares_with": organisation, "start": start, "end": end})
    output.say(f"{practice} shares with {organisation} from {start}.")
    output.document({"agreement": str(number)})


@app.command("onboard")
def onboard_(
    tenant: Tenant,
    code: Code,
    *,
    on: Annotated[str, typer.Option("--on", help="The day on which everything was done, as YYYY-MM-DD.")],
    document: Annotated[str, typer.Option(help="Where the evidence is.")],
    as_json: AsJson = False,
) -> None:
    """Record every onboarding step that is still to do as done, the go-live last; the page records them one by one."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        onboard(session, code, on=parse_day(on), document=document, by=SERVICE)
        _record(session, code, {"onboarded": on})
    output.say(f"{code} is live from {on}.")
    output.document({"ods_code": code, "live": on})


def _record(session: Session, code: str, detail: Mapping[str, object]) -> None:
    record(session, Entry(action="manage-organisations", resource=f"organisation/{code}", detail=detail))


def _known(session: Session, *codes: str) -> None:
    nodes = load_graph(session).nodes
    for code in codes:
        if code not in nodes:
            raise NotFound(f"There is no organisation {code} in this tenant.", "Add it first.")
