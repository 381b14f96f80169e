"""Programs that sign in by themselves: assertions, tokens, scopes, and what each attack comes to."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Annotated
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from sqlmodel import select
from starlette.responses import PlainTextResponse

from cohortium_auth.login.models import SignInCounter
from cohortium_auth.login.programs import (
    AccessTokens,
    NewProgram,
    Scope,
    add_program,
    covers,
    end_program,
    read_scopes,
)
from cohortium_auth.login.programs.assertions import ASSERTION_TYPE
from cohortium_platform.audit import AuditEntry
from cohortium_platform.database import AllTenants
from cohortium_platform.errors import BadInput, Unauthenticated
from cohortium_web.api.requiring import AskingProgram, requires_program
from cohortium_web.app import create_app

SITE = "http://testserver"
TOKEN_URL = f"{SITE}/oauth/token"
SCOPES = "system/Group.r system/Patient.rs"
KEYS = {
    "RS384": RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS384", "use": "sig"}),
    "ES384": ECKey.generate_key("P-384", {"kid": "ec", "alg": "ES384", "use": "sig"}),
}
OTHER = RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS384"})


@pytest.fixture(autouse=True)
def _fresh(database) -> None:
    """Every test is one address to the site: it begins without tries."""
    with database.all_tenants(AllTenants(reason="a test begins")) as session:
        for row in session.exec(select(SignInCounter)):
            session.delete(row)


@pytest.fixture
def program(database, place) -> str:
    """The client id of a program with an RSA and an EC key."""
    keys = [key.as_dict(private=False) for key in KEYS.values()]
    with database.tenant(place.id) as session:
        return add_program(session, NewProgram("Night export", "QT1", SCOPES, keys), by="test")


def _claims(client: str, **changed: object) -> dict[str, object]:
    now = int(time.time())
    claims = {"iss": client, "sub": client, "aud": TOKEN_URL, "jti": uuid4().hex, "iat": now, "exp": now + 240}
    return {name: value for name, value in {**claims, **changed}.items() if value is not None}


def _assertion(client: str, algorithm: str = "RS384", key=None, header=(), **changed: object) -> str:
    key = key or KEYS[algorithm]
    head = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **dict(header)}
    head = {name: value for name, value in head.items() if value is not None}
    return jwt.encode(head, _claims(client, **changed), key, algorithms=[algorithm])


@pytest.fixture
def ask(new_browser) -> Callable[..., object]:
    """Ask for a token."""

    def post(assertion: str, scope: str = "system/Group.r", **changed: str):
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            **changed,
        }
        return new_browser().post("/oauth/token", data=form, headers={"accept": "application/json"})

    return post


@pytest.fixture
def whoami(new_browser) -> Callable[..., object]:
    def get(token: str, scheme: str = "Bearer"):
        headers = {"accept": "application/json", "authorization": f"{scheme} {token}"}
        return new_browser().get("/api/v1/whoami", headers=headers)

    return get


@pytest.fixture
def entries(database, place) -> Callable[..., list[AuditEntry]]:
    def read(action="program-token"):
        with database.tenant(place.id) as session:
            found = session.exec(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.at)).all()
        return list(found)

    return read


def test_what_a_program_can_read_before_it_signs_in(browser) -> None:
    found = browser.get("/.well-known/smart-configuration").json()
    assert found["token_endpoint"] == TOKEN_URL
    assert found["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert found["grant_types_supported"] == ["client_credentials"]
    assert "client-confidential-asymmetric" in found["capabilities"]


def test_the_service_says_its_own_address_and_not_what_a_request_says(settings) -> None:
    known = settings.model_copy(update={"public_url": "https://cohortium.example.nhs.uk"})
    with TestClient(create_app(known), base_url="https://cohortium.example.nhs.uk") as client:
        found = client.get("/.well-known/smart-configuration").json()
        assert found["token_endpoint"] == "https://cohortium.example.nhs.uk/oauth/token"  # noqa: S105 - an address
    unknown = settings.model_copy(update={"demo": False, "public_url": None})
    with TestClient(create_app(unknown), base_url="https://evil.example") as client:
        answer = client.get("/.well-known/smart-configuration", headers={"accept": "application/json"})
    assert answer.status_code >= 400
    assert "token_endpoint" not in answer.text


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_a_program_signs_in_and_asks(program, ask, whoami, entries, algorithm) -> None:
    answer = ask(_assertion(program, algorithm))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    given = answer.json()
    assert (given["token_type"], given["expires_in"], given["scope"]) == ("bearer", 300, "system/Group.r")
    found = whoami(given["access_token"]).json()
    assert (found["name"], found["organisation"], found["scopes"]) == ("Night export", "QT1", ["system/Group.r"])
    (issued,), (used,) = entries(), entries("program-request")
    assert issued.actor == used.actor == f"program:{UUID(hex=program.partition('.')[2])}"
    assert (issued.outcome, used.outcome, used.organisation) == ("done", "done", "QT1")
    assert used.detail["token"]


REFUSED = {
    "no-key": ({"key": OTHER}, "signature"),
    "unknown-kid": ({"header": {"kid": "other"}}, "unknown-key"),
    "no-kid": ({"header": {"kid": None}}, "kid"),
    "another-issuer": ({"sub": "x"}, "sub"),
    "another-audience": ({"aud": f"{SITE}/"}, "aud"),
    "two-audiences": ({"aud": [TOKEN_URL, "https://elsewhere.example/token"]}, "aud"),
    "no-audience": ({"aud": None}, "aud"),
    "no-end": ({"exp": None}, "exp"),
    "no-id": ({"jti": None}, "jti"),
}


@pytest.mark.parametrize(("changed", "why"), REFUSED.values(), ids=REFUSED)
def test_an_assertion_that_is_not_right_is_refused_and_recorded(program, ask, entries, changed, why) -> None:
    answer = ask(_assertion(program, **changed))
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client"})
    (entry,) = entries()
    assert (entry.outcome, entry.detail["why"]) == ("denied", why)


@pytest.mark.parametrize(("seconds", "accepted"), [(-60, False), (280, True), (420, False), (3600, False)])
def test_an_assertion_is_good_for_five_minutes_at_most(program, ask, entries, seconds, accepted) -> None:
    answer = ask(_assertion(program, exp=int(time.time()) + seconds))
    assert (answer.status_code == 200) is accepted
    assert (entries()[0].detail.get("why") == "exp") is not accepted


def test_an_assertion_counts_once(program, ask, entries) -> None:
    assertion = _assertion(program)
    assert ask(assertion).status_code == 200
    assert ask(assertion).json() == {"error": "invalid_client"}
    assert ask(_assertion(program, jti="a")).status_code == 200
    assert ask(_assertion(program, jti="a")).status_code == 400  # the same name in another assertion
    assert [entry.detail.get("why") for entry in entries()] == [None, "replayed", None, "replayed"]


def test_of_one_assertion_sent_many_times_at_once_one_counts(program, ask) -> None:
    assertion = _assertion(program)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: ask(assertion).status_code, range(6)))
    assert sorted(answers) == [200, *[400] * 5]


def _unsigned(header: dict[str, object], claims: dict[str, object]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, ""])


def test_no_other_algorithm_is_accepted(program, ask, entries) -> None:
    claims, public = _claims(program), KEYS["RS384"].as_pem(private=False)
    by_public_key = _unsigned({"alg": "HS384", "kid": "rsa"}, claims).rstrip(".")
    mac = base64.urlsafe_b64encode(hmac.digest(public, by_public_key.encode(), "sha384")).rstrip(b"=").decode()
    plain = RSAKey.import_key(KEYS["RS384"].as_pem(private=True))
    assertions = [
        _unsigned({"alg": "none", "kid": "rsa"}, claims),
        f"{by_public_key}.{mac}",
        jwt.encode({"alg": "RS256", "kid": "rsa"}, claims, plain, algorithms=["RS256"]),
        jwt.encode({"alg": "ES384", "kid": "rsa"}, claims, KEYS["ES384"], algorithms=["ES384"]),
    ]
    for assertion in assertions:
        assert ask(assertion).json() == {"error": "invalid_client"}
    assert {entry.detail["why"] for entry in entries()} == {"algorithm", "unknown-key"}


def test_nonsense_is_refused_in_words(program, ask) -> None:
    for assertion in ("", "x", "a.b.c", "a." + base64.urlsafe_b64encode(b'{"iss": 7}').decode() + ".c"):
        assert ask(assertion).json() == {"error": "invalid_client"}
    for other in (f"{uuid4().hex}.{uuid4().hex}", f"{program.partition('.')[0]}.{uuid4().hex}"):
        assert ask(_assertion(other)).json() == {"error": "invalid_client"}
    assert ask(_assertion(program), client_assertion_type="other").json() == {"error": "invalid_client"}
    assert ask(_assertion(program), grant_type="password").json() == {"error": "unsupported_grant_type"}
    assert ask("x" * 60_000).status_code == 400


@pytest.mark.parametrize(
    "scope", ["", "system/Group.d", "system/*.r", "system/Observation.r", "user/Group.r", "openid"]
)
def test_a_program_is_given_no_scope_that_it_does_not_have(program, ask, scope) -> None:
    assert ask(_assertion(program), scope=scope).json() == {"error": "invalid_scope"}


def test_scopes_include_and_are_read_as_smart_writes_them() -> None:
    held = read_scopes("system/Patient.rs system/Group.r")
    assert covers(held, Scope.of("system/Patient.s"))
    assert not covers(held, Scope.of("system/Patient.cr"))
    assert covers(read_scopes("system/*.rs"), Scope.of("system/Patient.r"))
    for wrong in ("system/Patient.read", "system/patient.r", "system/Patient.", "system/Patient.sr", "system/*.rs?x=1"):
        with pytest.raises(BadInput):
            read_scopes(wrong)


@pytest.fixture
def token(program, ask) -> str:
    return ask(_assertion(program)).json()["access_token"]


def test_a_token_that_is_not_ours_opens_nothing(token, whoami, app, place) -> None:
    tokens, site = app.state.site.access_tokens, app.state.site
    tenant, program = place.id, uuid4()
    scopes = read_scopes("system/Group.r")
    header, claims, signature = token.split(".")
    stolen_keys = AccessTokens([b"s" * 32])
    forged = [
        "",
        "x",
        f"{header}.{claims}.",
        f"{header}.{claims}.{signature[:-4]}AAAA",
        stolen_keys.issue(tenant, program, scopes, issuer=SITE),
        tokens.issue(tenant, program, scopes, issuer="https://elsewhere.example"),
        tokens.issue(tenant, program, scopes, issuer=SITE),  # of a program that is not there
        tokens.issue(uuid4(), program, scopes, issuer=SITE),
        site.signer.sign(tenant, "token"),
    ]
    for each in forged:
        answer = whoami(each)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert whoami(token, scheme="Basic").status_code == 401
    assert whoami(token).status_code == 200


def test_a_token_lasts_five_minutes(token, app, monkeypatch) -> None:
    tokens, now = app.state.site.access_tokens, time.time()
    monkeypatch.setattr(time, "time", lambda: now + 290)
    tokens.read(token, issuer=SITE)
    monkeypatch.setattr(time, "time", lambda: now + 301)
    with pytest.raises(Unauthenticated):
        tokens.read(token, issuer=SITE)


def test_ending_a_program_works_on_tokens_that_are_out(token, program, ask, whoami, database, place) -> None:
    assert whoami(token).status_code == 200
    with database.tenant(place.id) as session:
        end_program(session, UUID(hex=program.partition(".")[2]))
    assert whoami(token).status_code == 401
    assert ask(_assertion(program)).status_code == 400


def test_a_route_that_needs_a_scope_refuses_a_token_without_it(settings, token, program, ask, entries) -> None:
    site = create_app(settings)

    @site.get("/api/v1/groups")
    def groups(asking: Annotated[AskingProgram, requires_program("system/Group.r")]) -> PlainTextResponse:
        asking.record("groups")
        return PlainTextResponse("groups")

    @site.get("/api/v1/patients")
    def patients(asking: Annotated[AskingProgram, requires_program("system/Patient.r")]) -> PlainTextResponse:
        asking.record("patients")
        return PlainTextResponse("patients")

    @site.get("/api/v1/careless")
    def careless(asking: Annotated[AskingProgram, requires_program()]) -> PlainTextResponse:
        return PlainTextResponse(asking.who.name)

    more = ask(_assertion(program), scope="system/Patient.rs").json()["access_token"]
    with TestClient(site, headers={"accept": "application/json"}) as client:
        headers = {"authorization": f"Bearer {token}"}
        assert client.get("/api/v1/groups", headers=headers).text == "groups"
        assert client.get("/api/v1/patients", headers=headers).status_code == 403
        assert client.get("/api/v1/patients", headers={"authorization": f"Bearer {more}"}).text == "patients"
        assert client.get("/api/v1/careless", headers=headers).status_code == 500
    assert [entry.outcome for entry in entries("program-request")] == ["done", "denied", "done"]
    assert entries("program-request")[1].detail["scope"] == "system/Patient.r"


@pytest.fixture
def published() -> Iterator[tuple[str, dict[str, object]]]:
    """An address at which a program publishes its keys, and what it publishes."""
    keys: dict[str, object] = {"keys": [KEYS["RS384"].as_dict(private=False)]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(keys).encode())

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/jwks", keys
        server.shutdown()
        thread.join()


def test_keys_that_a_program_publishes_are_fetched(published, ask, database, place) -> None:
    address, _ = published
    with database.tenant(place.id) as session:
        new = NewProgram("By address", "QT1", SCOPES, keys_url=address)
        client = add_program(session, new, by="test", loopback=True)
    assert ask(_assertion(client)).status_code == 200
    assert ask(_assertion(client, "ES384")).status_code == 400


def test_keys_that_cannot_be_fetched_are_said_to_be_so(ask, database, place) -> None:
    with database.tenant(place.id) as session:
        new = NewProgram("Nowhere", "QT1", SCOPES, keys_url="http://127.0.0.1:9/jwks")
        client = add_program(session, new, by="test", loopback=True)
    answer = ask(_assertion(client))
    assert (answer.status_code, answer.json()) == (503, {"error": "temporarily_unavailable"})


def _public(key) -> dict[str, object]:
    return key.as_dict(private=False)


WEAK = {
    "private": KEYS["RS384"].as_dict(private=True),
    "nameless": {name: value for name, value in _public(KEYS["RS384"]).items() if name != "kid"},
    "small": {**_public(KEYS["RS384"]), "n": _public(KEYS["RS384"])["n"][:172]},
    "curve": _public(ECKey.generate_key("P-256", {"kid": "curve"})),
    "secret": {"kty": "oct", "kid": "secret", "k": "AAAA"},
    "broken": {"kty": "RSA", "kid": "broken"},
}


@pytest.mark.parametrize("key", WEAK.values(), ids=WEAK)
def test_keys_that_cannot_be_used_are_not_registered(database, place, key) -> None:
    with database.tenant(place.id) as session, pytest.raises(BadInput):
        add_program(session, NewProgram("Weak", "QT1", SCOPES, [key]), by="test")


@pytest.mark.parametrize("address", ["http://keys.example/jwks", "file:///etc/passwd", "http://127.0.0.1/jwks", "x"])
def test_keys_are_fetched_over_https_alone(database, place, address) -> None:
    with database.tenant(place.id) as session, pytest.raises(BadInput):
        add_program(session, NewProgram("Odd", "QT1", SCOPES, keys_url=address), by="test")


def test_a_program_of_one_tenant_is_none_of_another(program, database, other_tenant, ask) -> None:
    moved = f"{other_tenant.id.hex}.{program.partition('.')[2]}"
    assert ask(_assertion(moved)).status_code == 400
    with database.tenant(other_tenant.id) as session:
        found = session.exec(select(AuditEntry).where(AuditEntry.action == "program-token")).all()
    assert [entry.detail["why"] for entry in found] == ["no-program"]
