import logging
from typing import Annotated

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from cohortium_auth.login import Role
from cohortium_auth.policy import Action
from cohortium_web.api.requiring import RequiresProgram
from cohortium_web.app import PUBLIC, create_app
from cohortium_web.asking import Asking
from cohortium_web.middleware import CONTENT_SECURITY_POLICY, HEADERS
from cohortium_web.requiring import Requires, requires

PCN = "U90001"


def _routes(app) -> list[APIRoute | Mount]:
    return [context.original_route for context in iter_route_contexts(app.routes)]


def _declared(dependant) -> set[Action | str]:
    found = {dependant.call.action} if isinstance(dependant.call, Requires) else set()
    found |= {"program"} if isinstance(dependant.call, RequiresProgram) else set()
    return found.union(*(_declared(below) for below in dependant.dependencies))


def test_every_route_is_public_by_name_or_declares_exactly_one_action(app) -> None:
    seen = set()
    for route in _routes(app):
        if isinstance(route, APIRoute):
            declared = _declared(route.dependant)
            assert len(declared) == (0 if route.path in PUBLIC else 1), route.path
        else:
            assert isinstance(route, Mount)
            assert route.path in PUBLIC
        seen.add(route.path)
    assert seen >= PUBLIC
    assert len(seen) > len(PUBLIC)


def test_a_stranger_is_sent_to_sign_in_by_every_route_that_is_not_public(app, browser) -> None:
    for route in _routes(app):
        if route.path in PUBLIC or "GET" not in route.methods:
            continue
        answer = browser.get(route.path)
        assert answer.status_code == 303, route.path
        assert answer.headers["location"].startswith("/sign-in")
        program = browser.get(route.path, headers={"accept": "application/json"})
        assert program.status_code == 401
        assert program.headers["content-type"] == "application/problem+json"
        part = browser.get(route.path, headers={"hx-request": "true"})
        assert part.headers["hx-redirect"] == "/sign-in"


def test_a_route_that_records_nothing_answers_nothing(settings, someone, sign_in) -> None:
    client = sign_in(someone((Role.CLINICIAN, PCN)))
    careless = create_app(settings)

    @careless.get("/careless")
    def careless_route(asking: Annotated[Asking, requires(Action.SEE_HOME)]) -> PlainTextResponse:
        return PlainTextResponse(asking.who.display_name)

    with TestClient(careless, cookies=dict(client.cookies)) as other:
        answer = other.get("/careless", headers={"accept": "text/html"})
    assert answer.status_code == 500
    assert "Okafor" not in answer.text


def test_health_says_alive_and_ready_to_anyone(browser, settings) -> None:
    settings.store_root.mkdir(exist_ok=True)
    assert browser.get("/healthz").text == "alive\n"
    assert browser.get("/readyz").text == "ready\n"


@pytest.mark.parametrize("path", ["/", "/sign-in/demo", "/no-such-page", "/static/cohortium.css", "/healthz"])
def test_every_answer_carries_the_protective_headers_and_a_number(browser, path) -> None:
    answer = browser.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert len(answer.headers["x-request-id"]) == 32
    assert "total;dur=" in answer.headers["server-timing"]


def test_pages_are_in_no_cache_and_static_files_are(browser) -> None:
    assert browser.get("/sign-in/demo").headers["cache-control"] == "no-store"
    kept = browser.get("/static/cohortium.css", params={"v": "1"})
    assert "immutable" in kept.headers["cache-control"]
    assert "immutable" not in browser.get("/static/cohortium.css").headers["cache-control"]


def test_no_page_has_a_script_or_style_of_its_own(browser) -> None:
    page = browser.get("/sign-in/demo").text
    assert "<style" not in page
    assert " style=" not in page
    assert "onclick" not in page
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module" src=')


def test_a_missing_page_is_a_page_for_people_and_a_problem_for_programs(browser) -> None:
    page = browser.get("/no-such-page")
    assert page.status_code == 404
    assert "Not found" in page.text
    problem = browser.get("/no-such-page", headers={"accept": "application/json"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == 404
    assert problem.json()["request_id"] == problem.headers["x-request-id"]


def test_an_unforeseen_failure_shows_its_number_and_logs_no_words(app, browser, monkeypatch, caplog) -> None:
    number = "9434765919"

    def fail(*_: object) -> None:
        raise RuntimeError(number)

    monkeypatch.setattr(app.state.site.database, "all_tenants", fail)
    with caplog.at_level(logging.DEBUG):
        answer = browser.get("/readyz")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    assert "content-security-policy" in answer.headers
    assert number not in answer.text
    assert number not in caplog.text
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_form_from_another_site_is_refused(someone, sign_in, form_token, headers) -> None:
    client = sign_in(someone((Role.CLINICIAN, PCN)))
    token = form_token(client.get("/").text)
    answer = client.post("/sign-out", data={"form_token": token}, headers=headers)
    assert answer.status_code == 403
    assert client.get("/").status_code == 200


def test_a_form_without_this_browsers_token_is_refused(app, someone, sign_in, form_token) -> None:
    client = sign_in(someone((Role.CLINICIAN, PCN)))
    before = form_token(TestClient(app).get("/sign-in/demo", headers={"accept": "text/html"}).text)
    for data in ({}, {"form_token": "0"}, {"form_token": before}):
        assert client.post("/sign-out", data=data).status_code == 403
    assert client.post("/sign-out", json={}).status_code == 415
    token = form_token(client.get("/").text)
    assert client.post("/sign-out", data={"form_token": token, "x": "y" * 70_000}).status_code == 413
    assert client.get("/").status_code == 200
    accepted = client.post("/sign-out", headers={"x-form-token": token, "sec-fetch-site": "same-origin"})
    assert accepted.status_code == 303
