"""`cohortium person`: people, their roles, their accounts, and whom a provider vouches for. Each change is recorded."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Annotated
from uuid import UUID

import typer
from sqlmodel import Session, col, select

from cohortium_auth.login import (
    NewMembership,
    Role,
    add_membership,
    add_person,
    end_membership,
    end_sessions_of,
    roles_of,
)
from cohortium_auth.login.local import add_account, reset_account
from cohortium_auth.login.local.models import LocalAccount
from cohortium_auth.login.models import Person
from cohortium_auth.login.oidc import link_person, unlink_person
from cohortium_auth.login.oidc.models import ProviderLink
from cohortium_platform.audit import Entry, record
from cohortium_platform.errors import BadInput
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator, parse_day

__all__ = ["app", "record_change"]

app = typer.Typer(help="People: add, list, give and end roles, accounts, links, sessions.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]
PersonId = Annotated[UUID, typer.Argument(help="The person's id, as `cohortium person list` shows it.")]
Roles = Annotated[
    list[str], typer.Option("--role", help="A role and where, such as 'clinician@Z10001'; may be given several times.")
]
Start = Annotated[str, typer.Option("--start", help="The first day of the roles, as YYYY-MM-DD; today when absent.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the initial password from standard input: one line.")
]


def record_change(session: Session, action: str, resource: str, **detail: str | int) -> None:
    """Record what an operator did from the command line."""
    entry = Entry(action=action, resource=resource, actor=operator(), role="operator", detail=detail)
    record(session, entry)


def _membership(text: str, start: dt.date) -> NewMembership:
    role, _, organisation = text.rpartition("@")
    if role not in set(Role) or not organisation:
        raise BadInput(f"{text} is no role in an organisation.", f"Write ROLE@ODS. Roles are: {', '.join(Role)}.")
    return NewMembership(Role(role), organisation, start)


def _start(text: str) -> dt.date:
    return parse_day(text) if text else dt.datetime.now(dt.UTC).date()


def _password() -> str:
    """One line of standard input: an argument would show in the list of processes and in the shell's history."""
    return sys.stdin.readline().rstrip("\r\n")


@app.command()
def add(  # noqa: PLR0913 - each is an option of the command
    tenant: Tenant,
    name: Annotated[str, typer.Argument(help="The name that colleagues know them by.")],
    *,
    role: Roles,
    start: Start = "",
    account: Annotated[str, typer.Option("--account", help="Also give them an account of this name.")] = "",
    password_stdin: FromInput = False,
    as_json: AsJson = False,
) -> None:
    """Add a person with roles, and for a tenant without a provider an account."""
    output = Output(as_json=as_json)
    if bool(account) != password_stdin:
        raise BadInput("An account needs an initial password.", "Give --account NAME and --password-stdin together.")
    memberships = [_membership(text, _start(start)) for text in role]
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        person = add_person(session, name, memberships)
        record_change(session, "person.add", f"person/{person}", roles=", ".join(role))
        if account:
            add_account(session, person, account, _password())
            record_change(session, "account.add", f"person/{person}")
    output.say(f"Added {name}: {person}")
    output.document({"person": person})


@app.command("list")
def list_(tenant: Tenant, *, as_json: AsJson = False) -> None:
    """List people with their roles of today, their account and their links."""
    output, today = Output(as_json=as_json), dt.datetime.now(dt.UTC).date()
    rows = []
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        accounts = {row.person_id: row.name for row in session.exec(select(LocalAccount))}
        links: dict[UUID, list[str]] = {}
        for link in session.exec(select(ProviderLink)):
            links.setdefault(link.person_id, []).append(link.subject)
        for person in session.exec(select(Person).order_by(col(Person.display_name))):
            held = [f"{holding.role}@{holding.organisation}" for holding in roles_of(session, person.id, today)]
            rows.append((person.id, person.display_name, held, accounts.get(person.id), links.get(person.id, [])))
    columns = ("person", "name", "roles", "account", "links")
    output.table(f"People of {tenant}", columns, [(p, n, ", ".join(r), a, ", ".join(k)) for p, n, r, a, k in rows])
    output.document([dict(zip(columns, row, strict=True)) for row in rows])


@app.command("give-role")
def give_role(
    tenant: Tenant,
    person: PersonId,
    role: Annotated[str, typer.Argument(help="A role and where, such as 'clinician@Z10001'.")],
    *,
    start: Start = "",
    as_json: AsJson = False,
) -> None:
    """Give a person another role."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        add_membership(session, person, _membership(role, _start(start)))
        record_change(session, "role.give", f"person/{person}", role=role)
    output.say(f"Given: {role}")
    output.document({"person": person, "role": role})


@app.command("end-role")
def end_role(
    tenant: Tenant,
    person: PersonId,
    role: Annotated[str, typer.Argument(help="The role and where, such as 'clinician@Z10001'.")],
    *,
    on: Annotated[str, typer.Option("--on", help="The last day, as YYYY-MM-DD; yesterday when absent.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a role end. Sessions in it stop working after its last day."""
    output, today = Output(as_json=as_json), dt.datetime.now(dt.UTC).date()
    last = parse_day(on) if on else today - dt.timedelta(days=1)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        held = [h for h in roles_of(session, person, today) if f"{h.role}@{h.organisation}" == role]
        if not held:
            raise BadInput("They do not hold that role today.", "`cohortium person list` shows what they hold.")
        for holding in held:
            end_membership(session, holding.membership_id, last)
        record_change(session, "role.end", f"person/{person}", role=role, last_day=last.isoformat())
    output.say(f"Ends on {last}: {role}")
    output.document({"person": person, "role": role, "last_day": last})


@app.command("add-account")
def add_account_(
    tenant: Tenant,
    person: PersonId,
    account: Annotated[str, typer.Argument(help="The name that they will type.")],
    *,
    password_stdin: FromInput = False,
    as_json: AsJson = False,
) -> None:
    """Give a person an account with an initial password. They set up their own and a second factor at first sign-in."""
    output = Output(as_json=as_json)
    _see_password(password_stdin=password_stdin)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        add_account(session, person, account, _password())
        record_change(session, "account.add", f"person/{person}")
    output.say("The account is there. Its first sign-in must be within 7 days.")
    output.document({"person": person, "account": account})


@app.command("reset-account")
def reset(tenant: Tenant, person: PersonId, *, password_stdin: FromInput = False, as_json: AsJson = False) -> None:
    """Let somebody begin anew who has lost password or second factor. Every session of theirs ends, and a lock."""
    output = Output(as_json=as_json)
    _see_password(password_stdin=password_stdin)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        reset_account(session, person, _password())
        record_change(session, "account.reset", f"person/{person}")
    output.say("The account is reset. Its first sign-in must be within 7 days.")
    output.document({"person": person})


@app.command()
def link(
    tenant: Tenant,
    person: PersonId,
    *,
    provider: Annotated[str, typer.Option(help="The provider's name.")],
    subject: Annotated[str, typer.Option(help="Who they are there: `sub`, or for Entra ID DIRECTORY/OBJECT.")],
    as_json: AsJson = False,
) -> None:
    """Say that a provider's subject is a person, so that they can sign in by it."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        link_person(session, provider, subject, person, by=operator())
        record_change(session, "person.link", f"person/{person}", provider=provider)
    output.say("Linked.")
    output.document({"person": person, "provider": provider})


@app.command()
def unlink(
    tenant: Tenant,
    *,
    provider: Annotated[str, typer.Option(help="The provider's name.")],
    subject: Annotated[str, typer.Option(help="Who they are there.")],
    as_json: AsJson = False,
) -> None:
    """Take a link away. Sessions that it opened end."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        person = unlink_person(session, provider, subject)
        record_change(session, "person.unlink", f"person/{person}", provider=provider)
    output.say("Unlinked.")
    output.document({"person": person, "provider": provider})


@app.command("end-sessions")
def end_sessions(tenant: Tenant, person: PersonId, *, as_json: AsJson = False) -> None:
    """End every session of a person, at once and everywhere."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        ended = end_sessions_of(session, person)
        record_change(session, "person.end-sessions", f"person/{person}", sessions=ended)
    output.say(f"Ended: {ended}")
    output.document({"person": person, "sessions": ended})


def _see_password(*, password_stdin: bool) -> None:
    if not password_stdin:
        raise BadInput("An account needs an initial password.", "Give --password-stdin and write it there, one line.")
