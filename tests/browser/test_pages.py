"""Every page of the dashboard in a browser: for everybody, on every screen, without complaints."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from orchestration.dashboard.panels import load_pages
from orchestration.settings import Settings
from orchestration.warehouse.database import engine

from .conftest import NARROW, WIDE, Opened

TENANT = "/t/aurora"
PLACES = [
    *(f"{TENANT}/{name}" for name, page in load_pages().items() if page.order is not None),
    f"{TENANT}/customers?q=mara",
    f"{TENANT}/customers?q=nobody+at+all",
    "customer",
    "/t/kente/acquisition",
]
FOCUSED = """
() => {
    const one = document.activeElement;
    const box = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    return {
        what: `${one.tagName} ${one.getAttribute('href') ?? one.textContent.trim().slice(0, 40)}`,
        isSeen: box.width > 0 && box.height > 0 && box.left >= 0,
        hasOutline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
    };
}
"""
REACHABLE = """
() => [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')]
    .filter(one => one.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true}))
    .length
"""


def visit(page: Page, address: str, place: str) -> None:
    """Go to a page; `customer` is that of the sample's main character."""
    if place == "customer":
        page.goto(f"{address}{TENANT}/customers?q=mara.lindqvist@example.com")
        page.get_by_role("link", name="Mara Lindqvist").click()
        page.wait_for_url(re.compile("/customers/[0-9a-f]{32}$"))
    else:
        page.goto(f"{address}{place}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", PLACES)
def test_no_page_shuts_anybody_out(opened: Opened, address: str, place: str, scheme: str) -> None:
    """Prevents: grey on grey, a field without a label, a chart that a screen reader cannot name."""
    page = opened(WIDE, scheme)
    visit(page, address, place)
    for details in page.locator("details").all():
        details.evaluate("one => one.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("place", PLACES)
def test_a_phone_shows_every_page_without_scrolling_sideways(
    opened: Opened, address: str, place: str
) -> None:
    """Prevents: a table or chart that is wider than a phone and takes the page with it."""
    page = opened(NARROW, "light")
    visit(page, address, place)
    for details in page.locator("details").all():
        details.evaluate("one => one.open = true")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= NARROW
    shown = page.locator(".chart.narrow svg").all()
    assert all(drawing.bounding_box() for drawing in shown)
    assert not any(drawing.bounding_box() for drawing in page.locator(".chart.wide svg").all())
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("place", [f"{TENANT}/overview", f"{TENANT}/customers?q=mara"])
def test_everything_is_reached_by_the_keyboard(opened: Opened, address: str, place: str) -> None:
    """Prevents: a link or table that only a mouse can reach, and a focus that nobody sees."""
    page = opened(WIDE, "light")
    visit(page, address, place)
    reachable = page.evaluate(REACHABLE)
    visited = []
    for _ in range(reachable):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["isSeen"], focused
        assert focused["hasOutline"], focused
        visited.append(focused["what"])
    assert visited[0] == "A #main"
    assert reachable > 10
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["what"].startswith("BODY"), page.evaluate(FOCUSED)


def test_a_session_from_the_login_to_the_logout(browser: Browser, address: str, login: str) -> None:
    """Prevents: forms that the policy of the page forbids to be sent."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{TENANT}/overview")
    page.wait_for_url(f"{address}/login")
    page.get_by_label("Token").fill(login.partition("token=")[2])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{address}{TENANT}/overview")

    page.get_by_text("Aurora Wellness").first.click()
    page.get_by_role("link", name="Bluegum Events").click()
    page.wait_for_url(f"{address}/t/bluegum/overview")
    page.get_by_role("link", name="Customers", exact=True).click()
    page.wait_for_url(f"{address}/t/bluegum/customers")
    page.get_by_label("Stage").select_option("vip")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(f"{address}/t/bluegum/customers?*stage=vip*")
    assert page.get_by_label("Stage").input_value() == "vip"
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert download.value.suggested_filename == "customers-bluegum.csv"

    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{address}/login")
    page.goto(f"{address}/t/bluegum/customers")
    page.wait_for_url(f"{address}/login")
    context.close()


@pytest.fixture
def long_timeline(served: tuple[Settings, str]) -> Iterator[None]:
    """Three pages of a timeline for the sample's main character."""
    mara = (
        "customer_id = (select customer_id from marts.customer_identities where "
        "tenant_id = 'aurora' and identifier = 'mara.lindqvist@example.com')"
    )
    database = engine(served[0])
    with database.begin() as connection:
        connection.exec_driver_sql(
            "insert into marts.customer_activity_timeline "
            "(tenant_id, customer_id, activity_id, activity_type, occurred_at, source, source_id, "
            "title) "
            "select tenant_id, customer_id, 'long-' || number, activity_type, "
            "timestamptz '2025-01-01', source, source_id, 'Long ago' "
            "from (select * from marts.customer_activity_timeline "
            f"where {mara} limit 1) as one cross join generate_series(1, 200) as number"
        )
    yield
    with database.begin() as connection:
        connection.exec_driver_sql(
            "delete from marts.customer_activity_timeline where activity_id like 'long-%%'"
        )
    database.dispose()


def test_a_long_list_is_turned_by_the_keyboard_without_scripts(
    browser: Browser, address: str, login: str, long_timeline: None
) -> None:
    """Prevents: a next page that needs a script or a mouse, or throws readers to the top."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(login)
    visit(page, address, "customer")
    timeline = page.get_by_role("region", name="Timeline", exact=True)
    seen = [timeline.get_by_role("row").count()]
    while (following := page.get_by_role("link", name="Next page of Timeline")).count():
        target = following.get_attribute("href")
        following.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}{target}")
        expect(timeline.get_by_role("heading", name="Timeline")).to_be_in_viewport()
        # who turns the page by keyboard goes on there
        page.keyboard.press("Tab")
        expect(page.get_by_role("region", name="Timeline, table")).to_be_focused()
        seen.append(timeline.get_by_role("row").count())
    assert len(seen) > 2
    page.get_by_role("link", name="First page of Timeline").click()
    page.wait_for_url(re.compile("/customers/[0-9a-f]{32}#panel-"))
    assert timeline.get_by_role("row").count() == seen[0]
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_without_a_tenant_shut_nobody_out(
    browser: Browser, address: str, login: str, scheme: str
) -> None:
    """Prevents: a login or an error that only some people can read."""
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for place in ("/login", "/login?token=wrong", login.removeprefix(address), "/t/nosuch/x"):
        page.goto(f"{address}{place}")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{place}: {found.generate_report()}"
    context.close()
