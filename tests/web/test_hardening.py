"""What somebody sends who means no good: to every route, as everybody, and none of it may be a fault of the service's.

Routes and their fields are read from the application, so that a new page is tried as soon as it is there.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import pytest
import uvicorn
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient
from starlette.responses import StreamingResponse

from cohortium_auth.login import Role
from cohortium_web.app import create_app
from cohortium_web.bounds import MOST_BODY_BYTES, MOST_QUERY_BYTES, MOST_REVIEW_BYTES
from cohortium_web.cli import service
from cohortium_web.middleware import CONTENT_SECURITY_POLICY
from cohortium_web.pages.sign_in.entering import local_path

PRACTICE, PCN, ICB = "Z90001", "U90001", "QT1"
PACK = "cancer-care"
ROLES = {
    Role.CLINICIAN: PCN,
    Role.PRACTICE_MANAGER: PRACTICE,
    Role.ICB_ANALYST: ICB,
    Role.IG_OFFICER: ICB,
    Role.TENANT_ADMINISTRATOR: ICB,
}
ALWAYS = ("sort", "order", "format")
BY_HAND = {
    "/ig/audit/": ("person", "registry", "organisation", "action", "outcome", "since", "until", "search", "page"),
    **dict.fromkeys(
        [f"/registries/{PACK}/{tail}" for tail in ("", "tiles/", "list.csv")],
        (
            "organisation",
            "indicator",
            "status",
            "gaps",
            "age_from",
            "age_to",
            "by-x",
            "by-tumour-site",
            "search",
            "page",
        ),
    ),
}
"""Names that pages read from an address themselves, beside those that their routes declare."""
HOSTILE = ["9" * 5000, "9999-12-31", "\0", "' OR '1'='1' --", "\u202e<script>alert(1)</script>{{7*7}}", "(" * 300]
PARTS = ["%00", "..%2f..%2fetc%2fpasswd", "%2e%2e", "9" * 400, "'%20OR%201=1", "%ff%fe", "%0d%0aX:1", str(uuid4())]


@dataclass(frozen=True)
class Way:
    """A route as it is asked: its path, and the fields that it declares."""

    path: str
    method: str
    fields: tuple[str, ...]


def _fields(dependant) -> set[str]:
    found = {field.alias for field in [*dependant.query_params, *dependant.body_params]}
    return found.union(*(_fields(below) for below in dependant.dependencies))


def _ways(app, method: str) -> Iterator[Way]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and method in route.methods:
            yield Way(route.path.replace("{pack}", PACK), method, tuple(sorted(_fields(route.dependant))))


@pytest.fixture(scope="module")
def everyone(registry_place, add_someone, sign_in) -> dict[Role, TestClient]:
    return {role: sign_in(add_someone(registry_place, (role, where))) for role, where in ROLES.items()}


@pytest.fixture(scope="module")
def opened(app, everyone) -> list[tuple[Way, TestClient]]:
    """Each page that is about nobody in particular, with somebody who may see it."""
    found = []
    for way in _ways(app, "GET"):
        if "{" not in way.path:
            clients = (client for client in everyone.values() if client.get(way.path).status_code == 200)
            found += [(way, client) for client in [next(clients, None)] if client]
    assert len(found) > 12
    return found


def _is_no_fault(answer, sent: object) -> None:
    assert answer.status_code < 500, (answer.request.method, str(answer.request.url)[:200], ascii(sent)[:40])
    assert "<script>alert" not in answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_no_value_of_an_address_is_a_fault(opened) -> None:
    for way, client in opened:
        for name in (*way.fields, *BY_HAND.get(way.path, ())):
            for value in HOSTILE[:2]:
                _is_no_fault(client.get(way.path, params={name: value}), (name, value))
        for value in HOSTILE[2:]:
            _is_no_fault(client.get(way.path, params=dict.fromkeys(ALWAYS, value)), value)


def test_no_part_of_a_path_is_a_fault(app, everyone, browser) -> None:
    clients = [browser, everyone[Role.CLINICIAN], everyone[Role.IG_OFFICER]]
    for way in _ways(app, "GET"):
        if "{" in way.path:
            for part in PARTS:
                _is_no_fault(clients[len(part) % 3].get(re.sub(r"\{[^}]+\}", part, way.path)), part)


def test_no_field_of_a_form_is_a_fault(app, everyone, form_token) -> None:
    tokens = {role: form_token(client.get("/").text) for role, client in everyone.items()}
    for way in _ways(app, "POST"):
        if way.path in {"/sign-out", "/roles"}:
            continue
        path = re.sub(r"\{[^}]+\}", str(uuid4()), way.path)
        for number, value in enumerate(HOSTILE):
            role = (Role.CLINICIAN, Role.IG_OFFICER)[number % 2]
            form = {**dict.fromkeys(way.fields, value), "form_token": tokens[role]}
            _is_no_fault(everyone[role].post(path, data=form), (way.path, value))


def test_a_request_may_not_be_longer_than_a_form_of_a_page(everyone, form_token, browser) -> None:
    client = everyone[Role.CLINICIAN]
    token = {"x-form-token": form_token(client.get("/").text)}
    form = {**token, "content-type": "application/x-www-form-urlencoded"}

    def drip() -> Iterator[bytes]:
        for _ in range(MOST_BODY_BYTES // 1024 + 1):
            yield b"x" * 1024

    assert client.post("/roles", content=b"x" * (MOST_BODY_BYTES + 1), headers=form).status_code == 413
    assert client.post("/roles", content=drip(), headers=form).status_code in {400, 413}
    assert client.post("/roles", content=b"", headers={**form, "content-length": "1" * 40}).status_code == 413
    assert client.post("/roles", files={"x": b"x" * 10}, headers=token).status_code == 415
    assert client.post("/roles", json={"membership": "x"}, headers=token).status_code == 415
    assert client.post("/oauth/token", content=b"x" * (MOST_BODY_BYTES + 1)).status_code == 413
    assert browser.get("/sign-in?" + "x" * (MOST_QUERY_BYTES + 1)).status_code == 413


def test_a_review_alone_may_be_longer_than_other_forms(everyone, form_token) -> None:
    client = everyone[Role.CLINICIAN]
    form = {"x-form-token": form_token(client.get("/").text), "content-type": "application/x-www-form-urlencoded"}
    review = "/registries/cancer-care/patients/x/reviews/cancer-care-review"
    for path in (f"{review}/save", f"{review}/complete"):
        assert client.post(path, content=b"x" * (MOST_BODY_BYTES + 1), headers=form).status_code == 404
        assert client.post(path, content=b"x" * (MOST_REVIEW_BYTES + 1), headers=form).status_code == 413
    discarded = client.post(f"{review}/discard", content=b"x" * (MOST_BODY_BYTES + 1), headers=form)
    assert discarded.status_code == 413


@pytest.mark.parametrize("encoded", [b"name=%00", b"name=\0", b"name=a&x=%0"])
def test_a_character_that_is_none_stops_before_the_database(browser, form_token, place, encoded) -> None:
    token = form_token(browser.get("/sign-in/demo").text)
    path = f"/sign-in/to/{place.slug}/account"
    headers = {"x-form-token": token, "content-type": "application/x-www-form-urlencoded"}
    parts = iter([encoded, b"0"])
    assert browser.post(path, content=parts, headers=headers).status_code == 400
    assert browser.get("/sign-in/to/%00").status_code == 400


def test_a_service_that_knows_its_address_answers_for_no_other(settings) -> None:
    known = settings.model_copy(update={"demo": False, "public_url": "https://cohortium.example"})
    with TestClient(create_app(known), base_url="https://cohortium.example", follow_redirects=False) as client:
        assert client.get("/sign-in").status_code == 200
        for host in ("evil.example", "cohortium.example.evil.example", "cohortium.example:444", ""):
            refused = client.get("/sign-in", headers={"host": host})
            assert refused.status_code == 421
            assert "form_token" not in refused.text
            assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_what_a_request_says_of_its_host_is_repeated_nowhere(everyone) -> None:
    client = everyone[Role.CLINICIAN]
    for headers in ({"host": "evil.example"}, {"x-forwarded-host": "evil.example"}):
        answer = client.get(f"/registries/{PACK}?x=1", headers=headers)
        assert answer.status_code == 307
        assert answer.headers["location"] == f"/registries/{PACK}/?x=1"
        assert "evil.example" not in client.get("/", headers=headers).text


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "/\t/evil.example", "/\n//evil.example", "", "evil.example", " //evil.example", "/\x00", "/a\r\nset-cookie:x=1",
    ],
)  # fmt: skip
def test_nobody_is_led_to_another_site(wanted) -> None:
    assert local_path(wanted) == "/"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND"])
def test_a_method_that_no_page_takes_shows_nothing(everyone, method) -> None:
    client = everyone[Role.CLINICIAN]
    for path in ("/", f"/registries/{PACK}/list.csv", "/sign-out"):
        answer = client.request(method, path, headers={"x-probe": "echoed-back"})
        assert answer.status_code in {403, 405}, (method, path)
        assert "echoed-back" not in answer.text
        assert "access-control-allow-origin" not in answer.headers
    assert client.get("/").status_code == 200


def test_a_method_is_the_one_it_says(everyone) -> None:
    client = everyone[Role.CLINICIAN]
    for headers in ({"x-http-method-override": "POST"}, {"x-method-override": "POST"}):
        assert client.get("/sign-out", headers=headers, params={"_method": "POST"}).status_code == 405
    assert client.get("/").status_code == 200


def test_no_other_site_is_let_read(everyone) -> None:
    answer = everyone[Role.CLINICIAN].get("/", headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/%2e%2e%2f%2e%2e%2fpyproject.toml",
        "/static//etc/passwd", "/static/vendor/%2e%2e/%2e%2e/app.py", "/assets/..%2f..%2f..%2fapp.py", "/static/",
        "/static/vendor", "/assets/%5c..%5c..%5capp.py",
    ],
)  # fmt: skip
def test_static_files_are_the_only_files(browser, path) -> None:
    answer = browser.get(path)
    assert answer.status_code in {400, 404}, path
    assert "import" not in answer.text
    assert "root:" not in answer.text


def test_downloads_are_in_no_cache_and_are_nothing_but_downloads(opened) -> None:
    taken = 0
    for way, client in opened:
        answer = client.get(way.path, params={"format": "csv"})
        assert "no-store" in answer.headers["cache-control"], way.path
        assert answer.headers["x-content-type-options"] == "nosniff"
        if answer.headers["content-type"].startswith("text/csv"):
            taken += 1
            assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert taken > 2


def test_what_programs_are_answered_is_a_file_in_a_browser(new_browser) -> None:
    for path, kind in (
        ("/api/v1/packs", "application/problem+json"),
        ("/.well-known/smart-configuration", "application/json"),
    ):
        answer = new_browser().get(path, headers={"accept": "application/json"})
        assert answer.headers["content-type"].startswith(kind), path
        assert answer.headers["content-disposition"] == 'attachment; filename="answer.json"'
    assert "content-disposition" not in new_browser().get("/sign-in/demo").headers


def test_a_session_that_was_planted_is_not_the_one_that_is_opened(
    add_someone, registry_place, sign_in, new_browser
) -> None:
    victim, attacker = (sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN))) for _ in range(2))
    planted = attacker.cookies["cohortium"]
    assert victim.cookies["cohortium"] != planted
    for cookie in (planted[:-1], planted + "x", planted.replace(".", "", 1), "x" * 5000, "a.b.c", ""):
        stranger = new_browser()
        stranger.cookies.set("cohortium", cookie)
        assert stranger.get("/").status_code == 303


def test_the_server_logs_no_access_and_names_no_maker(monkeypatch, settings) -> None:
    given = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: given.update(options))
    monkeypatch.setattr(service, "load_settings", lambda: settings)
    service.run_site("127.0.0.1", 8000)
    assert given["access_log"] is False
    assert given["server_header"] is False
    assert given["ws"] == "none"


def test_a_request_leaves_no_word_of_it_in_the_logs(everyone, caplog) -> None:
    client = everyone[Role.CLINICIAN]
    with caplog.at_level(logging.DEBUG):
        for path in (f"/registries/{PACK}/", f"/registries/{PACK}/?organisation=Secretum", "/nobody/Secretum"):
            client.get(path)
    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("cohortium", "sqlalchemy"))
    )
    assert "Secretum" not in ours
    assert not re.search(r"\b999\d{7}\b", caplog.text)


def test_a_field_given_twice_is_no_fault(everyone, form_token) -> None:
    client = everyone[Role.CLINICIAN]
    for path in (f"/registries/{PACK}/", f"/registries/{PACK}/list.csv"):
        once = client.get(path, params={"page": "1"})
        twice = client.get(path, params=[("page", "9"), ("page", "1")])
        assert twice.status_code == once.status_code == 200
    tokens = {"form_token": [form_token(client.get("/").text), "0"]}
    assert client.post("/sign-out", data=tokens).status_code in {303, 403}


def test_a_failure_in_the_middle_of_a_download_says_no_words(settings, caplog) -> None:
    app, number = create_app(settings), "9434765919"

    def lines() -> Iterator[str]:
        yield "a line\n"
        raise ValueError(number)

    app.add_api_route("/halfway", lambda: StreamingResponse(lines()), response_class=StreamingResponse)
    with TestClient(app) as client, caplog.at_level(logging.DEBUG), pytest.raises(Exception, match=r"^$") as failure:
        client.get("/halfway")
    assert type(failure.value).__name__ == "ValueError"
    assert number not in "".join(traceback.format_exception(failure.value))
    assert number not in caplog.text
    assert "failed" in caplog.text


@pytest.fixture(scope="module")
def port(app, _running) -> Iterator[int]:
    """The site behind the server that it has in life."""
    options = {"access_log": False, "server_header": False, "ws": "none", "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


FORM = b"POST /sign-in/demo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"TRACE / HTTP/1.1\r\nHost: a\r\nX-Probe: Secretum\r\n\r\n", b"403"),
        (b"GET http://evil.example/Secretum HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /Secretum HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /Secretum HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET /Secretum\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /static/../../pyproject.toml HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (
            FORM + b"Transfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 6 + b"0\r\n\r\n",
            b"413",
        ),
        (FORM + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", b"400"),
        (
            FORM
            + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
            b"400",
        ),
    ],
)
def test_bytes_that_no_browser_sends_get_one_refusal(port, caplog, raw, status) -> None:
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sent, caplog.at_level(logging.DEBUG):
        sent.sendall(raw)
        with suppress(ConnectionResetError, TimeoutError):
            while part := sent.recv(65536):
                got += part
                sent.settimeout(0.5)
    assert got.startswith(b"HTTP/1.1 " + status), got[:100]
    assert got.count(b"HTTP/1.1 ") == 1
    assert b"Secretum" not in got
    assert b"\r\nserver:" not in got.lower()
    # The access log is off, which is no more to pytest than that nobody else listens to it.
    assert not [each for each in caplog.records if "Secretum" in each.getMessage() and each.name != "uvicorn.access"]
