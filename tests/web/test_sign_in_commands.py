"""The commands of the operator's page on signing in, run as it says them; and what they refuse."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from sqlmodel import select
from typer.testing import CliRunner

from cohortium_auth.login.models import SignInSession
from cohortium_platform.audit import AuditEntry
from cohortium_platform.errors import BadInput, CohortiumError, Conflict, NotFound, Unavailable
from cohortium_web.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "operator" / "sign-in.md"
PASSWORD = "marble otter lantern\n"  # noqa: S105 - an example


@pytest.fixture
def cohortium(settings, monkeypatch, place) -> Callable[..., dict[str, object]]:
    """Run a command; gives what it printed as JSON, or raises what it raised."""
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"COHORTIUM_{name.upper()}", getattr(settings, name).get_secret_value())
    monkeypatch.setenv("COHORTIUM_STORE_URL", settings.store_url)
    monkeypatch.setenv("COHORTIUM_KEY_FILE", str(settings.key_file))
    monkeypatch.setenv("COHORTIUM_DEMO", "true")
    monkeypatch.setenv("COHORTIUM_PUBLIC_URL", "https://cohortium.example.nhs.uk")

    def run(*arguments: str, given: str = ""):
        words = [place.slug if word == "north-london" else word for word in arguments]
        done = CliRunner().invoke(app, [*words, "--json"], input=given)
        if isinstance(done.exception, CohortiumError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return run


def _commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_every_command_of_the_page_works(cohortium, database, place, tmp_path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [ECKey.generate_key("P-384", {"kid": "k"}).as_dict(private=False)]}))
    person = program = ""
    commands = _commands()
    assert len(commands) > 15
    for command in commands:
        words, _, source = command.partition(" < ")
        filled = words.replace("$PERSON", person).replace("$PROGRAM", program).replace("keys.json", str(keys))
        name, *arguments = shlex.split(filled)
        assert name == "cohortium"
        given = {"": "", "secret.txt": "a-client-secret\n", "initial-password.txt": PASSWORD}[source]
        if arguments[:2] == ["provider", "check"]:
            with pytest.raises(Unavailable):  # that host is an example
                cohortium(*arguments)
            continue
        found = cohortium(*arguments, given=given)
        if arguments[:2] == ["person", "add"]:
            person = found["person"]
        if arguments[:2] == ["program", "add"]:
            program = cohortium("program", "list", "--tenant", place.slug)[0]["program"]
    with database.tenant(place.id) as session:
        actions = {entry.action for entry in session.exec(select(AuditEntry))}
    assert actions >= {
        "person.add", "role.give", "role.end", "provider.add", "provider.disable", "provider.enable", "person.link",
        "person.unlink", "account.add", "account.reset", "person.end-sessions", "program.add", "program.end",
    }  # fmt: skip


def test_what_is_printed_of_a_provider_is_what_it_needs_and_no_secret(cohortium, place) -> None:
    command = next(line for line in _commands() if "--own-key" in line)
    found = cohortium(*shlex.split(command)[1:])
    path = f"https://cohortium.example.nhs.uk/sign-in/to/{place.slug}/with/care-identity"
    assert (found["redirect_uri"], found["logout_uri"]) == (f"{path}/back", f"{path}/logout")
    (key,) = found["jwks"]["keys"]
    assert {"kty", "n", "e", "kid", "alg", "use"} == set(key)


def test_a_person_with_an_account_in_one_command(cohortium, place) -> None:
    where = ("--tenant", place.slug)
    cohortium(
        "person", "add", *where, "Sam Reed", "--role", "clinician@Z90001", "--account", "sam", "--password-stdin",
        given=PASSWORD,
    )  # fmt: skip
    (row,) = cohortium("person", "list", *where)
    assert (row["name"], row["roles"], row["account"], row["links"]) == ("Sam Reed", ["clinician@Z90001"], "sam", [])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("person", "add", "X", "--role", "wizard@Z90001"), BadInput),
        (("person", "add", "X", "--role", "clinician"), BadInput),
        (("person", "add", "X", "--role", "clinician@Z90001", "--account", "x"), BadInput),
        (("person", "add", "X", "--role", "clinician@Z90001", "--account", "x", "--password-stdin"), BadInput),
        (("provider", "enable", "nowhere"), NotFound),
        (("program", "add", "X", "--organisation", "QT1", "--scope", "system/Group.r"), BadInput),
        (("program", "add", "X", "--organisation", "QT1", "--scope", "system/Group.r", "--jwks", "/none"), BadInput),
    ],
)
def test_what_commands_refuse(cohortium, place, arguments, error) -> None:
    with pytest.raises(error):
        cohortium(*arguments, "--tenant", place.slug, given="short\n")
    assert cohortium("person", "list", "--tenant", place.slug) == []


PROVIDER = {
    "--kind": "oidc", "--title": "T", "--issuer": "https://login.example", "--client-id": "c", "--least-assurance": "2",
}  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"--kind": "saml"},
        {"--issuer": "http://login.example"},
        {"--issuer": "https://user@login.example"},
        {"--algorithm": "HS256"},
        {"--algorithm": "none"},
        {"--least-assurance": "4"},
        {"--title": ""},
        {"--scopes": "profile"},
        {"--level": "high"},
        {"--level": "high=much"},
        {"--job-role": "R8000=wizard"},
        {"--kind": "cis2"},
        {"--kind": "entra"},
        {"--kind": "entra", "--directory": "d", "--issuer": "https://login.example/common/v2.0"},
    ],
)
def test_providers_that_cannot_be_right_are_refused(cohortium, place, changed) -> None:
    options = [word for pair in {**PROVIDER, **changed}.items() for word in pair]
    with pytest.raises(BadInput):
        cohortium("provider", "add", "--tenant", place.slug, "main", *options, "--secret-stdin", given="s\n")
    assert cohortium("provider", "list", "--tenant", place.slug) == []


def test_links_are_never_by_email_and_never_of_two_people(cohortium, place, someone) -> None:
    where = ("--tenant", place.slug)
    options = [word for pair in PROVIDER.items() for word in pair]
    cohortium("provider", "add", *where, "main", *options, "--secret-stdin", given="s\n")
    with pytest.raises(Conflict):
        cohortium("provider", "add", *where, "main", *options, "--secret-stdin", given="s\n")
    first, second = (str(someone(name=name).person) for name in ("First Person", "Second Person"))
    link = ("person", "link", *where, "--provider", "main", "--subject")
    with pytest.raises(BadInput):
        cohortium(*link, "ada@example.nhs.uk", first)
    cohortium(*link, "s1", first)
    cohortium(*link, "s1", first)
    with pytest.raises(Conflict):
        cohortium(*link, "s1", second)


def test_ending_sessions_by_command_works_on_the_next_request(cohortium, place, someone, sign_in, database) -> None:
    who = someone(("clinician", "U90001"))
    browser = sign_in(who)
    assert browser.get("/").status_code == 200
    found = cohortium("person", "end-sessions", "--tenant", place.slug, str(who.person))
    assert found["sessions"] == 1
    assert browser.get("/").status_code == 303
    with database.tenant(place.id) as session:
        assert [row.ended is None for row in session.exec(select(SignInSession))] == [False]
