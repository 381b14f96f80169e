"""A whole review by keyboard alone, in a real browser, with a server that is killed in the middle of it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from cohortium_auth.login import Role
from cohortium_tenants.packs import add_local_code
from cohortium_web.templating import STATIC

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PCN = "U90001"
SHOTS = Path(__file__).parents[2] / "test-output"
CHROMIUM = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
MOST_TABS = 250
WORDS = "My allotment, and walking there without stopping."


class Server:
    """The site as a process of its own, which can be killed without a word and started again at its address."""

    def __init__(self, settings) -> None:
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            self.port = chosen.getsockname()[1]
        self.environment = {
            **os.environ,
            "COHORTIUM_DATABASE_URL": settings.database_url.get_secret_value(),
            "COHORTIUM_OWNER_DATABASE_URL": settings.owner_database_url.get_secret_value(),
            "COHORTIUM_REDIS_URL": settings.redis_url.get_secret_value(),
            "COHORTIUM_STORE_URL": settings.store_url,
            "COHORTIUM_KEY_FILE": str(settings.key_file),
            "COHORTIUM_DEMO": "true",
            "COHORTIUM_THREADS": "1",
            "COHORTIUM_MEMORY_LIMIT": "1GB",
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("cohortium")), "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(command, env=self.environment)
        for _ in range(600):
            try:
                asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                asked.request("GET", "/healthz")
                if asked.getresponse().status == 200:
                    return
            except OSError:
                assert self.process.poll() is None, "the site did not start"
                time.sleep(0.1)
        raise AssertionError

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(settings) -> Iterator[Server]:
    running = Server(settings)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    SHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(CHROMIUM))
        yield browser
        browser.close()


def check(page: Page, name: str) -> None:
    """Keep a picture, and let axe look at the page."""
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    page.evaluate((STATIC / "vendor" / "axe.min.js").read_text())
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    said = [
        f"{problem['id']}: {problem['help']} {[node['html'][:160] for node in problem['nodes'][:3]]}"
        for problem in found["violations"]
    ]
    assert said == []


def tab_to(page: Page, selector: str) -> None:
    """Go on with Tab until what is wanted has the focus, as somebody without a mouse does."""
    for _ in range(MOST_TABS):
        if page.evaluate("wanted => Boolean(document.activeElement?.matches(wanted))", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never came to {selector}")


def wait_for_saved(page: Page) -> None:
    page.locator("#saved", has_text=re.compile("^Saved ")).wait_for(timeout=60_000)


def _local_codes(session) -> None:
    for codelist, code in (("cancer-support-discussed", 9_000_001), ("what-matters-to-you", 9_000_003)):
        add_local_code(session, "cancer-care", codelist, code, codelist, reason="Test", by="test")


def _open(page: Page) -> str:
    """Sign in, find the patient, open the review; gives the patient's address."""
    page.goto("/sign-in/demo")
    page.get_by_role("button", name=re.compile("Sign in ?as Dr Keyboard Rowan")).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    page.goto("/registries/cancer-care/?indicator=care-review&status=overdue")
    page.get_by_role("link", name=re.compile("CARDEW")).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/patients/*/")
    where = page.url
    assert page.locator("#care-review .app-status--overdue").count() == 1
    tab_to(page, 'a[href$="/reviews/"]')
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Reviews to fill in").wait_for()
    check(page, "reviews")
    tab_to(page, 'a[href$="/reviews/cancer-care-review/"]')
    page.keyboard.press("Enter")
    page.locator("#review").wait_for()
    return where


def _type(page: Page, server: Server) -> None:
    """Type; what an answer asks for appears. The server dies while typing goes on, comes back, and nothing is lost."""
    assert page.locator('[data-item="mind.risk"]').is_hidden()
    tab_to(page, '[id="q-matters.words"]')
    page.keyboard.type(WORDS)
    wait_for_saved(page)
    tab_to(page, '[id="q-mind.phq2"]')
    page.keyboard.type("4")
    page.locator('[data-item="mind.risk"]').wait_for(state="visible")
    wait_for_saved(page)
    check(page, "review-form")
    server.kill()
    page.keyboard.press("Control+A")
    page.keyboard.type("3")
    tab_to(page, '[id="q-mind.words"]')
    page.keyboard.type("Sleeps badly since the diagnosis.")
    page.locator('#saved[data-state="wrong"]').wait_for()
    assert "tried again" in page.locator("#saved").inner_text()
    check(page, "review-not-saved")
    server.start()
    wait_for_saved(page)
    other = page.context.new_page()
    other.goto(page.url)
    assert other.locator('[id="q-mind.words"]').input_value() == "Sleeps badly since the diagnosis."
    assert other.locator('[id="q-mind.phq2"]').input_value() == "3"
    other.close()


def _complete(page: Page) -> None:
    """Completing names what is missing, and takes one there."""
    tab_to(page, "#review button:not([formaction]):not([data-clear])")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Not completed yet: everything you typed is saved").wait_for()
    check(page, "review-missing")
    tab_to(page, 'a[href="#q-support.discussed"]')
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "q-support.discussed"
    page.keyboard.press("Space")
    assert page.locator('[id="q-support.discussed"]').is_checked()
    tab_to(page, '[id="q-support.hna"]')
    page.keyboard.press("Space")
    tab_to(page, '[id="q-plan.status"]')
    page.keyboard.press("Space")
    tab_to(page, '[id="q-plan.mine"]')
    page.keyboard.type("Ring the nurse when the tablets make me sick.")
    tab_to(page, "#review button:not([formaction]):not([data-clear])")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Cancer care review: completed").wait_for()
    check(page, "review-done")


def _print(page: Page, done: str) -> None:
    for name in ("care-plan", "summary"):
        page.goto(done + name)
        check(page, name)
        page.pdf(path=SHOTS / f"{name}.pdf", format="A4")
        page.emulate_media(media="print")
        page.screenshot(path=SHOTS / f"{name}-print.png", full_page=True)
        page.emulate_media(media="screen")
        assert WORDS in page.inner_text("article")


def test_a_review_by_keyboard_alone_with_the_server_killed_in_the_middle(
    server, chromium, make_registry, add_someone
) -> None:
    tenant = make_registry(before=_local_codes)
    add_someone(tenant, (Role.CLINICIAN, PCN), name="Dr Keyboard Rowan")
    page = chromium.new_context(base_url=server.address, viewport={"width": 1366, "height": 900}).new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    where = _open(page)
    _type(page, server)
    _complete(page)
    done = page.url
    page.goto(where)
    assert page.locator("#care-review .app-status--met").count() == 1
    check(page, "patient-after-review")
    page.goto("/registries/cancer-care/?indicator=holistic-needs-assessment&status=met")
    assert page.get_by_role("link", name=re.compile("CARDEW")).count() == 1
    _print(page, done)
    assert faults == []
