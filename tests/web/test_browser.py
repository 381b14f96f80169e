"""The journeys of a clinician and of others in a real browser: no error in its console, nothing for axe to find."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from sqlmodel import select

from cohortium_auth.login import Role
from cohortium_auth.login.local import TotpSecret, add_account
from cohortium_auth.login.local.totp import STEP_SECONDS, code_at
from cohortium_auth.login.oidc import Kind, NewProvider, add_provider
from cohortium_platform.jobs import Job, JobState, load_kinds, run_job
from cohortium_platform.portability.read_only import begin_read_only, end_read_only
from cohortium_web.app import create_app
from cohortium_web.templating import STATIC

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LIST = "/registries/cancer-care/"
PCN, ICB = "U90001", "QT1"
SHOTS = Path(__file__).parents[2] / "test-output"
CHROMIUM = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DESKTOP, PHONE = {"width": 1366, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def address(settings) -> Iterator[str]:
    """The site, served as it is in life."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [chosen]})
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the site did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{chosen.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    SHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(CHROMIUM))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open a page; whatever its console complains of, and every answer that failed, fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_(*, javascript: bool = True, viewport=DESKTOP) -> Page:
        context = chromium.new_context(base_url=address, java_script_enabled=javascript, viewport=viewport)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"{request.url} {request.failure}"))
        return page

    yield open_
    for context in contexts:
        context.close()
    # A page left before all of it had come, and the very page that is not there, are no faults.
    assert [each for each in complaints if "ERR_ABORTED" not in each and "status of 404" not in each] == []


@pytest.fixture
def sign_in_as(open_page, registry_place, add_someone) -> Callable[..., Page]:
    """Sign in through the page's own button."""

    def enter(*roles: tuple[Role, str], name: str, javascript: bool = True, viewport=DESKTOP) -> Page:
        add_someone(registry_place, *roles, name=name)
        page = open_page(javascript=javascript, viewport=viewport)
        page.goto("/sign-in/demo")
        page.get_by_role("button", name=re.compile(f"Sign in ?as {name}, {roles[0][0]}")).click()
        page.wait_for_url("**/")
        return page

    return enter


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
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1], f"{name} is wider than the window"


def test_a_clinician_from_the_list_to_the_reason_behind_a_red_tile(sign_in_as) -> None:
    page = sign_in_as((Role.CLINICIAN, PCN), name="Dr Browse Willow")
    check(page, "home")
    page.get_by_role("link", name="People living with and beyond cancer").click()
    check(page, "registry-list")

    page.get_by_label("Measure", exact=True).select_option("can004-care-review-12-months")
    page.get_by_label("Status on that measure").select_option("overdue")
    page.wait_for_url(re.compile(r"\?indicator=can004-care-review-12-months&status=overdue$"))
    page.get_by_role("heading", name="1 patient", exact=True).wait_for()
    check(page, "registry-filtered")

    page.get_by_role("link", name="DELANEY, Cora").click()
    page.get_by_role("heading", name="DELANEY, Cora (Ms)").wait_for()
    check(page, "patient")

    page.get_by_role("link", name=re.compile("Why ?: Cancer care review within 12 months")).click()
    page.get_by_role("heading", name="Why: Cancer care review within 12 months").wait_for()
    assert "Why: Cancer care review" in page.evaluate("document.activeElement.textContent")
    page.get_by_text("The rule, part by part").first.click()
    page.get_by_text("Met when").wait_for()
    check(page, "patient-why")
    page.get_by_role("button", name="Close").click()
    assert page.get_by_text("Met when").count() == 0
    assert page.evaluate("document.activeElement.textContent").startswith("Why")

    page.get_by_role("link", name="Timeline").click()
    page.get_by_label("Show entries about").select_option("Cancer Care")
    page.wait_for_url("**?group=Cancer+Care")
    check(page, "patient-timeline")
    page.get_by_role("link", name="Measures").click()
    page.get_by_role("heading", name="Cancer Care").wait_for()
    page.emulate_media(media="print")
    assert not page.get_by_role("banner").is_visible()
    page.screenshot(path=SHOTS / "patient-print.png", full_page=True)


def test_tiles_measures_rates_and_pages(sign_in_as) -> None:
    page = sign_in_as((Role.CARE_COORDINATOR, PCN), name="Browse Hazel")
    page.goto(LIST)
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**?page=2")
    page.get_by_text("Showing 51 to 63 of 63 patients").wait_for()
    assert page.evaluate("window.scrollY") < 600
    page.go_back()
    page.get_by_text("Showing 1 to 50 of 63 patients").wait_for()
    for tab in ("Tiles", "Measures", "Rates", "Outreach"):
        page.get_by_role("link", name=tab, exact=True).click()
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(400)
        check(page, f"registry-{tab.lower()}")
    page.goto(f"{LIST}?age_from=60")
    page.get_by_role("link", name="Tiles", exact=True).click()
    page.wait_for_url("**/tiles/?age_from=60")
    page.goto(LIST)
    page.get_by_role("link", name="Reconciliation").click()
    page.get_by_role("heading", name="Why people differ").wait_for()  # the page leads on when it has been worked out
    check(page, "reconciliation")
    page.goto(f"{LIST}reconciliation/patients/")
    check(page, "reconciliation-patients")
    page.goto(f"{LIST}measures/")
    page.get_by_role("link", name=re.compile("Overdue 1 ?patients ?: Cancer care review within")).click()
    page.get_by_role("heading", name="1 patient", exact=True).wait_for()


def test_a_search_leaves_no_trace_in_the_address(sign_in_as, hand_made) -> None:
    page = sign_in_as((Role.CLINICIAN, PCN), name="Dr Browse Rowan")
    page.goto(LIST)
    page.get_by_role("searchbox", name="Find a patient").fill(hand_made.BEN.nhs_number)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("heading", name="1 patient found").wait_for()
    assert re.search(r"\?search=[0-9a-f-]{36}$", page.url)
    check(page, "registry-search")
    page.get_by_role("link", name=re.compile("Remove the filter")).click()
    page.get_by_role("heading", name="63 patients", exact=True).wait_for()
    page.get_by_role("searchbox", name="Find a patient").fill("nobody at all")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("heading", name="0 patients found").wait_for()
    check(page, "registry-nobody")


def test_everything_can_be_read_without_javascript(sign_in_as) -> None:
    page = sign_in_as((Role.CLINICIAN, PCN), name="Dr Plain Sorrel", javascript=False)
    page.get_by_role("link", name="People living with and beyond cancer").click()
    page.get_by_label("Tumour site").select_option("breast")
    page.get_by_role("button", name="Apply filters").click()
    page.get_by_role("link", name="BLACKWOOD, Ada").click()
    page.get_by_role("link", name=re.compile("Why ?: Smoking status")).click()
    assert page.get_by_role("heading", name="Why: Smoking status").is_visible()
    page.get_by_role("link", name="Timeline").click()
    page.get_by_label("Show entries about").select_option("Screening")
    page.get_by_role("button", name="Show").click()
    assert "group=Screening" in page.url
    page.goto(LIST + "tiles/")
    assert page.get_by_role("table").is_visible()
    page.goto(LIST + "rates/")
    page.get_by_label("Measure").select_option("medication-review")
    page.get_by_role("button", name="Show").click()
    assert page.get_by_role("heading", name="Medication review in the last 12 months").is_visible()


def test_other_roles_changing_role_and_signing_out(sign_in_as) -> None:
    page = sign_in_as((Role.IG_OFFICER, ICB), (Role.CLINICIAN, PCN), name="Browse Ashgrove")
    assert page.get_by_text("This role sees the audit log").is_visible()
    check(page, "home-ig-officer")
    page.get_by_role("link", name="Change role").click()
    check(page, "roles")
    page.get_by_role("button", name=re.compile("Act in this role ?: clinician")).click()
    page.get_by_role("link", name="People living with and beyond cancer").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to the demonstration").wait_for()
    check(page, "sign-in")


@pytest.mark.parametrize("path", ["", "tiles/", "measures/", "rates/"])
def test_a_narrow_window_shows_the_same(sign_in_as, path) -> None:
    page = sign_in_as((Role.CLINICIAN, PCN), name=f"Dr Narrow Pear{path.removesuffix('/')}", viewport=PHONE)
    page.goto(LIST + path)
    page.wait_for_load_state("networkidle")
    check(page, f"narrow-{path.removesuffix('/') or 'list'}")
    if not path:
        page.get_by_role("link", name="FILLER").first.click()
        page.get_by_role("link", name="Timeline").wait_for()
        check(page, "narrow-patient")


def test_an_unknown_page(open_page) -> None:
    page = open_page()
    page.goto("/sign-in/demo")
    with page.expect_response("**/no-such-page"):
        page.evaluate("location.href = '/no-such-page'")
    page.get_by_role("heading", name="Not found").wait_for()
    check(page, "not-found")


@pytest.mark.parametrize(("viewport", "size"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_the_first_sign_in_with_an_account_and_a_change_of_role(
    open_page, registry_place, add_someone, database, viewport, size
) -> None:
    name = f"first-{size}"
    who = add_someone(registry_place, (Role.CLINICIAN, PCN), (Role.IG_OFFICER, ICB), name="Dr Wren Ashdown")
    with database.tenant(registry_place.id) as session:
        add_account(session, who.person, name, "marble otter lantern")
    page = open_page(javascript=True, viewport=viewport)
    page.goto(f"/sign-in/to/{registry_place.slug}")
    check(page, f"sign-in-account-{size}")
    page.get_by_label("Account name").fill(name)
    page.get_by_label("Password", exact=True).fill("marble otter lantern")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Set up your account").wait_for()
    check(page, f"sign-in-set-up-{size}")
    shown = page.locator(".app-code").first.inner_text()
    secret = TotpSecret.of(shown.replace(" ", ""))
    page.get_by_label("New password").fill("quiet violet tractor nine")
    page.get_by_label("Code", exact=True).fill(code_at(secret.key, int(time.time()) // STEP_SECONDS))
    page.get_by_role("button", name="Finish and sign in").click()
    page.get_by_role("heading", name="Choose your role").wait_for()
    check(page, f"sign-in-choose-{size}")
    page.get_by_role("button", name=re.compile("Act in this role ?: clinician")).click()
    page.wait_for_url("**/")
    page.get_by_role("link", name="Change role").click()
    check(page, f"roles-{size}")
    page.get_by_label(re.compile("Purpose ?as clinician")).select_option("research")
    page.get_by_role("button", name=re.compile("Change purpose")).click()
    page.get_by_text("Signed in for research").wait_for()
    page.goto("/password")
    check(page, f"password-{size}")
    page.goto("/sessions")
    check(page, f"sessions-{size}")


def test_the_ways_in_of_a_tenant_with_a_provider(open_page, place, database, tenant_keys) -> None:
    new = NewProvider("main", "NHS Care Identity", Kind.OIDC, "https://identity.example", "client", "secret")
    with database.tenant(place.id) as session:
        add_provider(session, tenant_keys, new)
    page = open_page()
    page.goto(f"/sign-in/to/{place.slug}")
    assert page.get_by_role("button", name="Sign in with NHS Care Identity").is_visible()
    check(page, "sign-in-ways")


def test_packs_are_read_previewed_and_offered(sign_in_as, database, settings, registry_place, monkeypatch) -> None:
    """The catalogue, every rule in words, a preview from its form to its counts, the forms that change something."""
    admin = sign_in_as((Role.TENANT_ADMINISTRATOR, ICB), name="Nell Packer")
    admin.get_by_role("link", name="Packs").first.click()
    admin.wait_for_url("**/packs/")
    check(admin, "packs-catalogue")
    admin.get_by_role("link", name=re.compile("Cancer care")).first.click()
    check(admin, "packs-pack")
    admin.locator("table a[href*='/versions/']").first.click()
    check(admin, "packs-version")
    admin.get_by_role("link", name="Enable or tune it").click()
    admin.get_by_text("Add a local code").click()
    check(admin, "packs-enable")
    admin.get_by_role("button", name="Preview with these first").click()
    admin.wait_for_url("**/previews/*/")
    check(admin, "packs-preview-waits")
    address = admin.url
    admin.goto("/packs/")  # it asks again by itself, and would be told that no opt-out list is in date
    monkeypatch.setattr("cohortium_tenants.packs.previews.load_settings", lambda: settings)
    with database.tenant(registry_place.id) as session:
        jobs = session.exec(select(Job.id).where(Job.kind == "preview-pack", Job.state == JobState.QUEUED)).all()
    for job in jobs:
        assert run_job(database, load_kinds(), registry_place.id, job) is JobState.SUCCEEDED
    operator = sign_in_as((Role.PLATFORM_OPERATOR, ICB), name="Olive Operator")
    operator.goto("/publishers/")
    check(operator, "packs-publishers")
    author = sign_in_as((Role.PACK_DEVELOPER, ICB), name="Avery Author")
    author.goto("/publish/")
    check(author, "packs-publish")
    officer = sign_in_as((Role.IG_OFFICER, ICB), name="Ines Officer")
    officer.goto("/packs/cancer-care/incidents/")
    check(officer, "packs-incidents")
    doctor = sign_in_as((Role.CLINICIAN, PCN), name="Dr Reader", javascript=False)
    doctor.goto(f"{address}people/")
    assert "would change" in doctor.inner_text("h1")


def test_packs_are_read_without_javascript_and_on_a_phone(sign_in_as) -> None:
    admin = sign_in_as((Role.TENANT_ADMINISTRATOR, ICB), name="Nat Plain", javascript=False, viewport=PHONE)
    for path in ("/packs/", "/packs/cancer-care/"):
        admin.goto(path)
        assert admin.locator("h1").count() == 1
    narrow = sign_in_as((Role.TENANT_ADMINISTRATOR, ICB), name="Nia Narrow", viewport=PHONE)
    for path, name in (("/packs/", "catalogue"), ("/packs/cancer-care/", "pack")):
        narrow.goto(path)
        check(narrow, f"packs-{name}-narrow")


def test_one_can_look_at_the_password_one_types(open_page, registry_place) -> None:
    """By keyboard alone; whoever has no script types it masked, and has no button that does nothing."""
    page = open_page()
    page.goto(f"/sign-in/to/{registry_place.slug}")
    field = page.get_by_label("Password", exact=True)
    field.fill("marble otter lantern")
    assert field.get_attribute("type") == "password"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert field.get_attribute("type") == "text"
    check(page, "sign-in-password-shown")
    page.keyboard.press("Enter")
    assert field.get_attribute("type") == "password"
    plain = open_page(javascript=False)
    plain.goto(f"/sign-in/to/{registry_place.slug}")
    assert plain.get_by_role("button", name="Show password").count() == 0


def test_a_read_only_period_stands_on_every_page(sign_in_as, registry_place, database) -> None:
    with database.tenant(registry_place.id) as session:
        begin_read_only(session, reason="North London leaves on 31 March", by="test")
    try:
        for viewport, name in ((DESKTOP, "wide"), (PHONE, "narrow")):
            page = sign_in_as((Role.CLINICIAN, PCN), name=f"Dr Still {name}", viewport=viewport)
            page.goto("/registries/cancer-care/")
            page.get_by_text("North London leaves on 31 March").wait_for()
            check(page, f"read-only-{name}")
    finally:
        with database.tenant(registry_place.id) as session:
            end_read_only(session, by="test")
