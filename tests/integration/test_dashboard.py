"""The dashboard on a built warehouse, through its whole application but the socket."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy
import yaml

from orchestration.build import BuildReport
from orchestration.dashboard import customers
from orchestration.dashboard.access import token_for
from orchestration.dashboard.app import HEADERS, Dashboard, make_app
from orchestration.dashboard.customers import EXPORTED, SORTS, prepare, read_wanted
from orchestration.dashboard.formats import Look, in_words
from orchestration.dashboard.paging import NO_PLACE
from orchestration.dashboard.panels import load_pages
from orchestration.dashboard.reading import dashboard_engine, reading_for
from orchestration.settings import SEEDS_DIR, Settings, get_settings
from orchestration.warehouse.database import engine
from orchestration.warehouse.postgres import EmbeddedServer
from tests.conftest import BUILT_TEMPLATE, environment, fresh_database, set_environment

BASE = "http://127.0.0.1:8600"
TENANTS = ("aurora", "bluegum", "kente")
PAGES = [name for name, page in load_pages().items() if page.order is not None]
HOSTILE_NAME = "<script>alert('x')</script>"
HOSTILE_EMAIL = "=hyperlink(&quot;x&quot;)@example.com"
HOSTILE_ID, OLD_ID = "0" * 31 + "1", "0" * 31 + "2"
QUERIES = ("%", "_", "' or 1=1 --", "\\", '"><script>', "a\x00b", "😀", "x" * 5_000, "ä" * 40)


@pytest.fixture(scope="module")
def settings(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Settings]:
    """A built warehouse for this module, with a customer whose name and e-mail are an attack."""
    home = tmp_path_factory.mktemp("dashboard") / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for database_url in fresh_database(server, BUILT_TEMPLATE):
            set_environment(monkeypatch, **environment(server, home, database_url))
            settings = get_settings()
            _add_hostile_customer(settings)
            yield settings


@pytest.fixture(scope="module")
def owner(settings: Settings) -> Iterator[sqlalchemy.Engine]:
    """The warehouse without row-level security, to compare with."""
    database = engine(settings)
    yield database
    database.dispose()


@pytest.fixture
def dashboard(settings: Settings) -> Iterator[Dashboard]:
    made = Dashboard(settings)
    yield made
    made.forget_database()


class Visitor:
    """A browser without a screen: it keeps cookies, and follows no redirect by itself."""

    def __init__(self, dashboard: Dashboard) -> None:
        application = httpx.ASGITransport(make_app(dashboard), raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=application, base_url=BASE)
        self.cookies = self._client.cookies

    def get(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._client.get(path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._client.post(path, **more))


def client_of(dashboard: Dashboard, tenant: str | None = None) -> Visitor:
    """Somebody who is logged in: the operator, or a tenant."""
    client = stranger(dashboard)
    token = token_for(dashboard.settings, tenant or "*")
    assert client.get("/login", params={"token": token}).status_code == 303
    return client


def stranger(dashboard: Dashboard) -> Visitor:
    """Somebody who is not logged in."""
    return Visitor(dashboard)


@pytest.fixture
def operator(dashboard: Dashboard) -> Visitor:
    return client_of(dashboard)


def _add_hostile_customer(settings: Settings) -> None:
    database = engine(settings)
    with database.begin() as connection:
        copy_row(
            connection,
            "customers",
            "tenant_id = 'aurora'",
            customer_id=f"'{HOSTILE_ID}'",
            first_name=quoted(HOSTILE_NAME),
            last_name="'+49'",
            email=quoted(html.unescape(HOSTILE_EMAIL)),
            lifetime_value="99999",
        )
        connection.execute(
            sqlalchemy.text(
                "insert into marts.customer_search_words values ('aurora', :customer, :word)"
            ),
            {"customer": HOSTILE_ID, "word": HOSTILE_NAME},
        )
        connection.execute(
            sqlalchemy.text(
                "insert into marts.customer_redirects "
                "(tenant_id, old_customer_id, customer_id, merged_at, reason) "
                "values ('aurora', :old, :now, '2026-06-01', 'merged')"
            ),
            {"old": OLD_ID, "now": HOSTILE_ID},
        )
    database.dispose()


def copy_row(
    connection: sqlalchemy.Connection,
    mart: str,
    condition: str,
    copies: int = 1,
    **changed: str,
) -> None:
    """Copy some row of a mart, numbered from 1 to `copies`, with other expressions in columns."""
    found = connection.execute(
        sqlalchemy.text(
            "select column_name from information_schema.columns "
            "where table_schema = 'marts' and table_name = :mart"
        ),
        {"mart": mart},
    )
    names = list(found.scalars())
    assert set(changed) <= set(names)
    connection.exec_driver_sql(
        f"insert into marts.{mart} ({', '.join(names)}) "
        f"select {', '.join(changed.get(name, f'one.{name}') for name in names)} "
        f"from (select * from marts.{mart} where {condition} limit 1) as one "
        f"cross join generate_series(1, {copies}) as number"
    )


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def rows(owner: sqlalchemy.Engine, query: str, **parameters: Any) -> list[dict[str, Any]]:
    with owner.connect() as connection:
        found = connection.execute(sqlalchemy.text(query), parameters)
        return [dict(row) for row in found.mappings()]


def text_of(response: httpx.Response) -> str:
    """What a reader sees of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def listed(response: httpx.Response) -> list[str]:
    """The ids of the customers of a list, in its order."""
    return re.findall(r"/customers/([0-9a-f]{32})\"", response.text)


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize("page", [*PAGES, "customers", f"customers/{HOSTILE_ID}"])
def test_every_page_answers(operator: Visitor, tenant: str, page: str) -> None:
    """Prevents: a page that works for the tenant of its author and for nobody else."""
    response = operator.get(f"/t/{tenant}/{page}")
    if page.endswith(HOSTILE_ID) and tenant != "aurora":
        assert response.status_code == 404
        return
    assert response.status_code == 200
    for fault in ("cannot be shown", "could not be asked", "may not read", "Traceback"):
        assert fault not in response.text
    assert "As of 1 Jul 2026" in response.text
    assert "style=" not in response.text
    assert "<script" not in response.text
    assert not re.search(r"(?:src|href|action)=\"(?!/|#main\")", response.text)


@pytest.mark.parametrize("tenant", TENANTS)
def test_the_numbers_are_those_of_the_marts(
    operator: Visitor, owner: sqlalchemy.Engine, dashboard: Dashboard, tenant: str
) -> None:
    """Prevents: a card that counts other people than the mart, or everybody's."""
    (sums,) = rows(
        owner,
        """
        select
            count(*) filter (where stage = 'at_risk') as at_risk,
            sum(lifetime_value) as revenue,
            count(*) as customers
        from marts.customers
        where tenant_id = :tenant and customer_id <> :hostile
        """,
        tenant=tenant,
        hostile=HOSTILE_ID,
    )
    steps = rows(
        owner,
        "select customers from marts.journey_funnel where tenant_id = :tenant order by step_order",
        tenant=tenant,
    )
    seed = dashboard.tenants()[tenant]
    look = Look(seed.currency, seed.time_zone)
    shown = text_of(operator.get(f"/t/{tenant}/overview"))
    assert f"Customers {sums['customers']:,} " in shown
    revenue = " ".join(look.show(sums["revenue"], "whole_money").split())
    assert f"Revenue {revenue} " in shown
    assert f"{sums['at_risk']} people are at risk" in shown
    funnel = [f"{step['customers']:,}" for step in steps]
    assert re.search(r"Visitors {} .*Leads {} .*Customers {} .*Repeat {} ".format(*funnel), shown)


@pytest.mark.parametrize("sort", SORTS)
def test_pages_of_the_list_hold_everybody_once(
    operator: Visitor, owner: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    """Prevents: people of equal value who are skipped, or shown twice, where a page ends."""
    monkeypatch.setattr(customers, "PAGE_ROWS", 7)
    found: list[str] = []
    address: str | None = f"/t/aurora/customers?sort={sort}"
    while address:
        response = operator.get(address)
        assert len(listed(response)) <= 7
        found += listed(response)
        following = re.search(r'href="([^"]+)" rel="next"', response.text)
        address = html.unescape(following.group(1)) if following else None
    order = SORTS[sort]
    direction = "desc" if order.descending else "asc"
    expected = rows(
        owner,
        "select customer_id from marts.customers where tenant_id = 'aurora' "
        f"order by {order.column} {direction}, customer_id {direction}",
    )
    assert found == [row["customer_id"] for row in expected]


MANY_ROWS, SOME_ROWS = 2_345, 45
LISTS = {
    "Timeline": ("customer_activity_timeline", "title", "occurred_at desc, activity_id desc"),
    "Orders": ("orders", "source_order_id", "ordered_at desc, order_id desc"),
    "Points": ("points_transactions", "balance_after", "transaction_number desc"),
    "Stage path": ("stage_transitions", "from_stage", "transitioned_at desc, transition_id desc"),
    "Segments": ("segment_memberships", "exit_reason", "added_at desc, spell desc"),
    "Known by": ("customer_identities", "identifier", "is_primary desc, identifier"),
}
"""Of each list of a customer's page: the mart, a column that tells its rows apart, the order."""


@pytest.fixture(scope="module")
def busy_customer(owner: sqlalchemy.Engine) -> Iterator[str]:
    """A customer with thousands of activities, seven at an instant, and more of all than a page."""
    at = "timestamptz '2026-01-01' + make_interval(hours => number / 7)"
    per_mart = {
        "customer_activity_timeline": {
            "activity_id": "md5(number::text) || '~'",
            "title": "'Activity ' || number",
            "occurred_at": at,
        },
        "orders": {
            "order_id": "'busy:~' || md5(number::text)",
            "source_order_id": "'busy-' || number",
            "ordered_at": at,
        },
        "points_transactions": {
            "transaction_id": "md5(number::text)",
            "transaction_number": "number",
            "balance_after": "1000000 + number",
        },
        "stage_transitions": {
            "transition_id": "md5(number::text)",
            "from_stage": "'stage ' || number",
            "transitioned_at": at,
        },
        "segment_memberships": {
            "spell": "number",
            "exit_reason": "'reason ' || number",
            "added_at": at,
        },
        "customer_identities": {
            "identifier": "'busy-' || number || '@example.com'",
            "is_primary": "number = 30",
        },
    }
    with owner.begin() as connection:
        for mart, changed in per_mart.items():
            copies = MANY_ROWS if mart == "customer_activity_timeline" else SOME_ROWS
            here = {"tenant_id": "'aurora'", "customer_id": f"'{HOSTILE_ID}'"}
            copy_row(connection, mart, "tenant_id = 'aurora'", copies, **here, **changed)
    yield HOSTILE_ID
    with owner.begin() as connection:
        for mart in per_mart:
            connection.exec_driver_sql(
                f"delete from marts.{mart} where customer_id = '{HOSTILE_ID}'"
            )


def part_of(response: httpx.Response, title: str) -> str:
    """What stands below a panel's heading."""
    found = re.search(rf">{title}</h2>(.*?)</section>", response.text, re.DOTALL)
    assert found, title
    return found.group(1)


def link_of(part: str, words: str) -> str | None:
    found = re.search(rf'<a href="([^"]+)"[^>]*>{words}<', part)
    return html.unescape(found.group(1)).partition("#")[0] if found else None


@pytest.mark.parametrize("title", LISTS)
def test_pages_of_a_long_list_hold_every_row_once(
    operator: Visitor, owner: sqlalchemy.Engine, busy_customer: str, title: str
) -> None:
    """Prevents: things of one instant that are lost, or told twice, where a page ends."""
    mart, column, order = LISTS[title]
    first: str | None = f"/t/aurora/customers/{busy_customer}"
    address, found, pages = first, [], 0
    while address:
        response = operator.get(address)
        assert response.status_code == 200
        part = part_of(response, title)
        assert (link_of(part, "First page") is None) is (pages == 0)
        found += [
            [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
            for row in re.findall(r"<tr>(<td.*?)</tr>", part)
        ]
        address, pages = link_of(part, "Next page"), pages + 1
    assert link_of(part, "First page") == first
    expected = rows(
        owner,
        f"select {column}::text as told from marts.{mart} "
        f"where tenant_id = 'aurora' and customer_id = :customer order by {order}",
        customer=busy_customer,
    )
    told = [row["told"] for row in expected]
    assert len(told) == (MANY_ROWS if title == "Timeline" else SOME_ROWS)
    assert pages == -(-len(told) // (100 if title == "Timeline" else 20))
    look = Look("EUR", "Europe/Berlin")
    shown = {
        "balance_after": lambda text: look.show(int(text), "integer"),
        "from_stage": in_words,
        "exit_reason": in_words,
    }.get(column, str)
    assert len(found) == len(told)
    assert all(shown(text) in cells for text, cells in zip(told, found, strict=True))


def test_lists_of_a_page_are_turned_by_themselves(operator: Visitor, busy_customer: str) -> None:
    """Prevents: a reader of old orders who is thrown back by a look at the timeline."""
    address = f"/t/aurora/customers/{busy_customer}"
    older_orders = link_of(part_of(operator.get(address), "Orders"), "Next page")
    assert older_orders
    there = operator.get(older_orders)
    both = link_of(part_of(there, "Timeline"), "Next page")
    assert both
    assert (
        part_of(operator.get(both), "Orders").split("<p")[0]
        == (part_of(there, "Orders").split("<p")[0])
    )
    back = link_of(part_of(operator.get(both), "Timeline"), "First page")
    assert back == older_orders


@pytest.mark.parametrize(
    "place",
    [
        "x",
        "~",
        "2026-01-01~",
        "~abc",
        "sometime~abc",
        "2026-13-45~abc",
        "'; drop table marts.customers; --~abc",
        "2026-01-01T00:00:00Z~a\x00b",
        "2026-01-01~" + "9" * 5_000,
        "%s~%(after)s",
        "<script>~:after_0",
    ],
)
def test_a_place_that_is_none_is_said(operator: Visitor, busy_customer: str, place: str) -> None:
    """Prevents: an address that was cut, or made up, which fails or shows the first page for it."""
    page = next(panel for panel in load_pages()["customer"].panels if panel.title == "Timeline")
    person = f"/t/aurora/customers/{busy_customer}"
    response = operator.get(person, params={page.key: place})  # type: ignore[union-attr]
    assert response.status_code == 400
    part = part_of(response, "Timeline")
    assert NO_PLACE in part
    assert link_of(part, "First page") == person
    assert "busy-45" in part_of(response, "Orders")
    for wanted in ("customers", "customers.csv"):
        sort = {"after": place, "sort": "newest"}
        response = operator.get(f"/t/aurora/{wanted}", params=sort)
        assert response.status_code == 400
        assert NO_PLACE in response.text
        assert "<script" not in response.text


def test_behind_the_last_row_there_is_nothing(operator: Visitor, busy_customer: str) -> None:
    """Prevents: a list that ended while somebody read it, and says that it was always empty."""
    (page,) = [panel for panel in load_pages()["customer"].panels if panel.title == "Orders"]
    response = operator.get(
        f"/t/aurora/customers/{busy_customer}",
        params={page.key: "0001-01-01T00:00:00+00:00~x"},  # type: ignore[union-attr]
    )
    assert response.status_code == 200
    part = part_of(response, "Orders")
    assert "There is nothing further down." in part
    assert "No orders." not in part


def test_people_are_found_by_what_is_known_of_them(
    operator: Visitor, owner: sqlalchemy.Engine
) -> None:
    """Prevents: a search that needs the exact spelling, or knows only the primary address."""
    (mara,) = rows(
        owner,
        "select customer_id from marts.customer_identities "
        "where tenant_id = 'aurora' and identifier = 'mara.lindqvist@example.com'",
    )
    for query in (
        "mara lindq",
        "LINDQVIST Mara",
        "mara.lind",
        "m.lindqvist@work",
        "+49 172 2345678",
        "0172 234567",
        mara["customer_id"].upper(),
    ):
        response = operator.get("/t/aurora/customers", params={"q": query})
        if response.status_code == 303:
            assert response.headers["location"].endswith(mara["customer_id"])
        else:
            assert mara["customer_id"] in listed(response), query
    response = operator.get("/t/aurora/customers", params={"q": "mara nobody"})
    assert listed(response) == []


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("stage", "stage", "vip"),
        ("collection", "primary_collection", "growth"),
        ("collection", "primary_collection", "none"),
        ("band", "lead_band", "cold"),
        ("tier", "loyalty_tier", "bloom"),
    ],
)
def test_filters_hold(
    operator: Visitor, owner: sqlalchemy.Engine, name: str, column: str, value: str
) -> None:
    """Prevents: a list of VIPs with others among them, in the page or in the export."""
    expected = {
        row["customer_id"]
        for row in rows(
            owner,
            f"select customer_id from marts.customers "
            f"where tenant_id = 'aurora' and coalesce({column}, 'none') = :value",
            value=value,
        )
    }
    assert expected
    exported = read_csv(operator.get("/t/aurora/customers.csv", params={name: value}))
    assert {row["customer_id"] for row in exported} == expected
    shown = operator.get("/t/aurora/customers", params={name: value})
    assert set(listed(shown)) <= expected
    assert re.search(rf'<option value="{value}" selected>', shown.text)


def test_a_filter_that_fits_nobody_stays_in_sight(operator: Visitor) -> None:
    """Prevents: an empty list below a form that says it shows all."""
    shown = operator.get("/t/aurora/customers", params={"stage": "<b>x", "sort": "newest"})
    assert "Nobody is found by that" in shown.text
    assert '<option value="&lt;b&gt;x" selected>' in shown.text
    assert '<a class="clear" href="/t/aurora/customers?sort=newest">' in shown.text


def read_csv(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def test_the_export_is_whole_and_harmless(
    operator: Visitor, owner: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: an export that ends after its first piece, or runs in somebody's spreadsheet."""
    monkeypatch.setattr(customers, "EXPORT_ROWS_AT_ONCE", 10)
    exported = read_csv(operator.get("/t/aurora/customers.csv"))
    expected = rows(owner, "select * from marts.customers where tenant_id = 'aurora'")
    assert {row["customer_id"] for row in exported} == {row["customer_id"] for row in expected}
    assert len(exported) == len(expected)
    assert tuple(exported[0]) == EXPORTED
    hostile = next(row for row in exported if row["customer_id"] == HOSTILE_ID)
    assert hostile["email"] == "'" + html.unescape(HOSTILE_EMAIL)
    assert (hostile["first_name"], hostile["last_name"]) == (HOSTILE_NAME, "'+49")
    assert all(not cell.startswith(("=", "+", "@")) for row in exported for cell in row.values())


def test_a_hostile_name_stays_a_name(operator: Visitor) -> None:
    """Prevents: a customer's name that runs in the browser of whoever looks at it."""
    for path in (f"customers/{HOSTILE_ID}", "customers", "customers?q=%3Cscript"):
        response = operator.get(f"/t/aurora/{path}")
        assert HOSTILE_NAME in html.unescape(response.text)
        assert HOSTILE_NAME not in response.text


@pytest.mark.parametrize("query", QUERIES)
def test_a_hostile_query_finds_nobody(operator: Visitor, query: str) -> None:
    """Prevents: a wildcard or a quote that finds everybody, or fails the page."""
    response = operator.get("/t/aurora/customers", params={"q": query})
    assert response.status_code == 200
    assert set(listed(response)) <= {HOSTILE_ID} if query.startswith('"') else not listed(response)
    assert "<script" not in response.text


def test_an_old_id_leads_to_who_has_taken_it_over(operator: Visitor) -> None:
    """Prevents: links that die when two customers turn out to be one."""
    response = operator.get(f"/t/aurora/customers/{OLD_ID}")
    assert response.status_code == 303
    assert response.headers["location"] == f"/t/aurora/customers/{HOSTILE_ID}"
    assert operator.get(f"/t/bluegum/customers/{OLD_ID}").status_code == 404
    assert operator.get("/t/aurora/customers/nobody").status_code == 404


def test_the_story_of_a_customer_is_on_the_page(
    operator: Visitor, owner: sqlalchemy.Engine
) -> None:
    """Prevents: a page that leaves out orders, stages, points or identities of the person."""
    (mara,) = rows(
        owner,
        "select * from marts.customers "
        "where tenant_id = 'aurora' and email = 'mara.lindqvist@example.com'",
    )
    shown = text_of(operator.get(f"/t/aurora/customers/{mara['customer_id']}"))
    for query in (
        "select source_order_id from marts.orders",
        "select identifier from marts.customer_identities",
        "select title from marts.customer_activity_timeline",
    ):
        for row in rows(owner, f"{query} where customer_id = :id", id=mara["customer_id"]):
            (value,) = row.values()
            assert value in shown
    assert f"Orders {mara['total_orders']} " in shown


@pytest.mark.parametrize("tenant", TENANTS)
def test_operations_are_those_of_the_tenant(
    operator: Visitor, owner: sqlalchemy.Engine, tenant: str
) -> None:
    """Prevents: rejected rows and messages of another business, which no policy holds back."""
    shown = text_of(operator.get(f"/t/{tenant}/operations"))
    rejected = rows(
        owner,
        "select tenant_id, file, line, left(content, 300) as content from raw.rejected_rows",
    )
    for row in rejected:
        is_shown = " ".join(row["content"].split()) in shown and row["file"] in shown
        assert is_shown is (row["tenant_id"] == tenant), row
    messages = rows(
        owner,
        "select purpose, count(*) as messages from outbox.deliveries "
        "where tenant_id = :tenant and destination = 'klaviyo' group by purpose",
        tenant=tenant,
    )
    for row in messages:
        assert re.search(rf"{in_words(row['purpose'])} Klaviyo \S.* {row['messages']} ", shown)


def test_only_the_dashboard_asks_for_operations(
    settings: Settings, owner: sqlalchemy.Engine
) -> None:
    """Prevents: functions with their owner's rights that any reader may call, or for any tenant."""
    for function in (
        "ops.rejected_rows_of_tenant(integer)",
        "ops.messages_of_tenant()",
        "ops.checks_of_builds()",
    ):
        (may,) = rows(
            owner,
            "select array_agg(rolname::text order by rolname) as roles from pg_roles "
            "where rolname ~ '^journey_' and rolname <> 'journey_owner' "
            "and has_function_privilege(rolname, :function, 'execute')",
            function=function,
        )
        assert may["roles"] == ["journey_dashboard"]
    database = dashboard_engine(settings)
    try:
        for tenant in ("", "nosuch"):
            with reading_for(database, tenant) as connection:
                for call in ("ops.rejected_rows_of_tenant(10)", "ops.messages_of_tenant()"):
                    query = sqlalchemy.text(f"select * from {call}")
                    assert connection.execute(query).all() == []
    finally:
        database.dispose()


def emails_of_others(owner: sqlalchemy.Engine, tenant: str) -> set[str]:
    """E-mails and ids of people who are no customer of this tenant."""
    return {
        value
        for row in rows(
            owner,
            """
            select customer_id, identifier from marts.customer_identities
            where tenant_id <> :tenant and identifier not in (
                select identifier from marts.customer_identities where tenant_id = :tenant
            )
            """,
            tenant=tenant,
        )
        for value in row.values()
        if len(value) > 8
    }


@pytest.mark.parametrize("tenant", TENANTS)
def test_a_tenant_sees_nobody_else_by_any_address(
    dashboard: Dashboard, owner: sqlalchemy.Engine, tenant: str
) -> None:
    """Prevents: a customer of one business on a page of another."""
    client = client_of(dashboard, tenant)
    foreign = emails_of_others(owner, tenant)
    pages = [client.get(f"/t/{tenant}/{page}").text for page in (*PAGES, "customers")]
    pages.append(client.get(f"/t/{tenant}/customers.csv").text)
    for shown in pages:
        words = set(re.findall(r"[\w.+@-]+", html.unescape(shown)))
        assert not words & foreign

    (person,) = rows(
        owner,
        "select customer_id from marts.customers where tenant_id <> :tenant "
        "order by customer_id desc limit 1",
        tenant=tenant,
    )
    stolen = person["customer_id"]
    assert client.get(f"/t/{tenant}/customers/{stolen}").status_code == 404
    for other in {*TENANTS, "nosuch", "*", "%2e%2e"} - {tenant}:
        for path in ("", "/overview", "/customers", "/customers.csv", f"/customers/{stolen}"):
            assert client.get(f"/t/{other}{path}").status_code == 404, (other, path)
    assert client.get("/").headers["location"] == f"/t/{tenant}/overview"


def test_rows_need_the_tenant_of_the_transaction(settings: Settings) -> None:
    """Prevents: a connection of the pool that still shows the tenant of the visit before."""
    database = dashboard_engine(settings)
    try:
        with reading_for(database, "aurora") as connection:
            query = sqlalchemy.text("select distinct tenant_id from marts.customers")
            assert connection.execute(query).scalars().all() == ["aurora"]
            with pytest.raises(sqlalchemy.exc.InternalError), connection.begin_nested():
                connection.exec_driver_sql("create temporary table kept (value text)")
        with database.connect() as connection:
            assert connection.execute(query).scalars().all() == []
    finally:
        database.dispose()


@pytest.mark.parametrize("many", [0, 1, 10_000])
def test_people_are_found_whichever_word_is_rare(
    operator: Visitor, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Prevents: a search that finds others when a name is common than when it is rare."""
    found = {
        query: set(listed(operator.get("/t/aurora/customers", params={"q": query})))
        for query in ("m", "mara l", "l m", "mara.lindqvist@example.com mara")
    }
    assert all(found.values())
    monkeypatch.setattr(customers, "MANY", many)
    for query, expected in found.items():
        shown = operator.get("/t/aurora/customers", params={"q": query})
        assert set(listed(shown)) == expected


def test_a_search_reads_an_index(settings: Settings) -> None:
    """Prevents: a comparison that row-level security must hold back until every row was read."""
    wanted = read_wanted({"q": "mara", "stage": "vip"})
    database = dashboard_engine(settings)
    try:
        with reading_for(database, "aurora") as connection:
            connection.exec_driver_sql("set local enable_seqscan = off")
            compiled = prepare(connection, wanted, "DE", 50).compile(connection)
            plan = "\n".join(
                row[0]
                for row in connection.exec_driver_sql(f"explain {compiled.string}", compiled.params)
            )
    finally:
        database.dispose()
    assert re.search(r"Index Cond: .*word ~>=~ .* AND \(word ~<~ ", plan), plan
    assert "Seq Scan" not in plan


PATHS = ("/", *(f"/t/aurora/{page}" for page in (*PAGES, "customers", "customers.csv", "nosuch")))


def test_nothing_is_shown_without_a_token(dashboard: Dashboard) -> None:
    """Prevents: a page, or the name of a tenant, that anybody on the machine can read."""
    client = stranger(dashboard)
    for path in (*PATHS, "/t/nosuch/overview", f"/t/aurora/customers/{HOSTILE_ID}"):
        response = client.get(path)
        assert (response.status_code, response.headers["location"]) == (303, "/login")
    for token in ("", "wrong", "*"):
        response = client.get("/login", params={"token": token})
        assert response.status_code == 403
        assert "set-cookie" not in response.headers
        assert client.post("/login", data={"token": token}).status_code == 403
    assert client.post("/login", content=b"token=" + b"x" * 10_000).status_code == 413
    client.cookies.set("journey_session", "forged")
    assert client.get("/t/aurora/overview").status_code == 303


def test_a_login_ends_with_a_logout(dashboard: Dashboard) -> None:
    """Prevents: a logout that only forgets the cookie, and one that a link can cause."""
    client = stranger(dashboard)
    response = client.post("/login", data={"token": token_for(dashboard.settings)})
    assert response.status_code == 303
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    kept = client.cookies["journey_session"]
    assert client.get("/t/aurora/overview").status_code == 200

    assert client.get("/logout").status_code == 405
    refused = client.post("/logout", headers={"Origin": "http://elsewhere.example"})
    assert refused.status_code == 403
    assert client.get("/t/aurora/overview").status_code == 200

    assert client.post("/logout", headers={"Origin": BASE}).status_code == 303
    client.cookies.set("journey_session", kept)
    assert client.get("/t/aurora/overview").status_code == 303


@pytest.mark.parametrize(
    "path", ["/login", "/static/dashboard.css", "/static/nosuch", "/nosuch", *PATHS]
)
def test_every_answer_has_the_headers(operator: Visitor, path: str) -> None:
    """Prevents: an error page or a file that may be framed, kept or run."""
    response = operator.get(path)
    for name, value in HEADERS.items():
        assert response.headers.get_list(name) == [value]
    assert "unsafe-inline" not in response.headers["content-security-policy"]


def test_another_name_of_this_machine_is_refused(operator: Visitor) -> None:
    """Prevents: a page elsewhere that points its own name at this machine, and reads along."""
    for host in ("attacker.example", "attacker.example:8600", "10.0.0.1:8600"):
        response = operator.get("/t/aurora/overview", headers={"Host": host})
        assert response.status_code == 403
        assert "Aurora" not in response.text
    assert operator.get("/login", headers={"Host": "localhost:9000"}).status_code == 200


def test_a_tenant_without_rows_has_pages_without_numbers(
    settings: Settings, tmp_path: Path
) -> None:
    """Prevents: a page that fails for a tenant on its first day."""
    tenants = tmp_path / "tenants.csv"
    shutil.copy(SEEDS_DIR / "tenants.csv", tenants)
    with tenants.open("a") as file:
        file.write("newcomer,New & <b>Comer</b>,Asia/Tokyo,JPY,JP\n")
    dashboard = Dashboard(settings, tenants_file=tenants)
    client = client_of(dashboard)
    for page in (*PAGES, "customers"):
        response = client.get(f"/t/newcomer/{page}")
        assert response.status_code == 200
        assert "New &amp; &lt;b&gt;Comer" in response.text
        assert "could not be asked" not in response.text
    assert read_csv(client.get("/t/newcomer/customers.csv")) == []
    dashboard.forget_database()


def panel(query: str, folder: Path, **more: object) -> dict[str, object]:
    name = f"query_{len(list(folder.glob('*.sql')))}.sql"
    (folder / name).write_text(query)
    return {
        "title": query,
        "question": "What?",
        "kind": "table",
        "sql": name,
        "columns": [{"name": "answer"}],
    } | more


def test_broken_panels_say_what_happened_and_leave_the_others(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Prevents: one panel that takes its page down, or shows readers a stack trace."""
    panels = [
        panel("select answer from marts.not_built", tmp_path),
        panel("select 1 / 0 as answer", tmp_path),
        panel("select 1 as another", tmp_path),
        panel("select content as answer from raw.rejected_rows", tmp_path),
        panel("delete from marts.customers returning stage as answer", tmp_path),
        panel("select 1 as answer", tmp_path, kind="pie"),
        panel("select 'still here' as answer", tmp_path),
    ]
    page = {"title": "Overview", "question": "What?", "order": 1, "panels": panels}
    (tmp_path / "overview.yml").write_text(yaml.safe_dump(page))
    (tmp_path / "spoilt.yml").write_text("title: [")
    dashboard = Dashboard(settings, pages_dir=tmp_path)
    client = client_of(dashboard)
    shown = client.get("/t/aurora/overview").text
    assert "marts.not_built does not exist yet" in shown
    assert "could not be asked" in shown
    assert shown.count("This panel cannot be shown") == 2
    assert "may not read raw" in shown
    assert "still here" in shown
    assert "division by zero" not in shown
    assert "This page cannot be shown" in client.get("/t/aurora/spoilt").text

    caplog.clear()
    faults = "\n".join(dashboard.check())
    for cause in (
        "division by zero",
        'relation "marts.not_built" does not exist',
        "has no column answer",
        "permission denied",
        "kind is pie",
        "spoilt.yml",
    ):
        assert cause in faults
        assert cause in caplog.text
    dashboard.forget_database()


def test_a_warehouse_without_a_build_says_so(operator: Visitor, owner: sqlalchemy.Engine) -> None:
    """Prevents: a newcomer's first page that is an error."""
    with owner.begin() as connection:
        connection.exec_driver_sql("update ops.builds set verdict = 'failed'")
    try:
        for page in ("overview", "customers"):
            response = operator.get(f"/t/aurora/{page}")
            assert response.status_code == 200
            assert "No build has succeeded yet" in response.text
    finally:
        with owner.begin() as connection:
            connection.exec_driver_sql("update ops.builds set verdict = 'succeeded'")


def test_a_database_that_is_gone_is_said(tmp_path: Path) -> None:
    """Prevents: a stack trace while the server is restarted, and a dashboard that ends with it."""
    settings = Settings(home=tmp_path / "home", database_url=None)
    dashboard = Dashboard(settings)
    client = client_of(dashboard)
    for path in ("/t/aurora/overview", "/t/aurora/customers", "/t/aurora/customers.csv"):
        response = client.get(path)
        assert response.status_code == 503
        assert "journey up" in response.text
        assert "Traceback" not in response.text
    assert "journey up" in "\n".join(dashboard.check())


def test_seeds_that_cannot_be_read_are_said(settings: Settings, tmp_path: Path) -> None:
    """Prevents: a stack trace for a slip of the pen in the list of tenants."""
    (tmp_path / "tenants.csv").write_text("tenant_id,name\naurora\n")
    dashboard = Dashboard(settings, tenants_file=tmp_path / "tenants.csv")
    response = client_of(dashboard).get("/t/aurora/overview")
    assert response.status_code == 503
    assert "journey doctor" in response.text
