"""Finding customers, listing them, and one customer's page."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    column,
    func,
    intersect,
    literal,
    or_,
    select,
    table,
    true,
    tuple_,
)
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from orchestration.dashboard import app as pages
from orchestration.dashboard.paging import NO_PLACE, read_place, write_place
from orchestration.dashboard.panels import Column
from orchestration.dashboard.reading import Row, Unanswered, ask, explain, reading_for
from orchestration.dashboard.views import show_cell
from orchestration.ingest.tenants import Tenant

if TYPE_CHECKING:
    from orchestration.dashboard.app import Visit

PAGE_ROWS = 50
EXPORT_ROWS_AT_ONCE = 2_000
EXPORT_SECONDS = 600
LONGEST_QUERY, MOST_WORDS = 100, 5
MANY = 10_000
"""How many words may begin alike and still be looked up first."""
AFTER_EVERYTHING = "\U0010ffff"
PHONE = re.compile(r"[+(]*[0-9](?:[-+()/. ]*[0-9]){2,}[-)/. ]*")
CUSTOMER_ID = re.compile(r"[0-9a-f]{32}")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

COLUMNS = (
    Column("name", "Customer", "text", link="customers/{customer_id}"),
    Column("email", "E-mail", "text"),
    Column("phone", "Phone", "text"),
    Column("stage", "Stage", "label"),
    Column("lead_band", "Band", "label"),
    Column("primary_collection", "Collection", "label"),
    Column("loyalty_tier", "Tier", "label"),
    Column("total_orders", "Orders", "integer"),
    Column("lifetime_value", "Lifetime value", "money"),
    Column("last_purchase_at", "Last order", "day"),
)
EXPORTED = (
    "customer_id",
    "email",
    "phone",
    "first_name",
    "last_name",
    "stage",
    "lead_band",
    "lead_score",
    "primary_collection",
    "loyalty_tier",
    "total_orders",
    "lifetime_value",
    "currency",
    "first_purchase_at",
    "last_purchase_at",
    "first_seen_at",
    "email_subscribed",
    "sms_subscribed",
)
CUSTOMERS = table("customers", column("tenant_id"), *map(column, EXPORTED), schema="marts")
WORDS = table(
    "customer_search_words",
    *map(column, ("tenant_id", "customer_id", "word")),
    schema="marts",
)
REDIRECTS = table(
    "customer_redirects", column("old_customer_id"), column("customer_id"), schema="marts"
)
FILTERS = {
    "stage": "stage",
    "collection": "primary_collection",
    "band": "lead_band",
    "tier": "loyalty_tier",
}
NONE = "none"
"""What a filter is called that asks for those without a value."""
CHOICES = {
    "stage": """
        select value
        from marts.journey_analytics
        where dimension = 'stage'
        order by value_order
    """,
    "collection": """
        select value
        from marts.journey_analytics
        where dimension = 'collection'
        order by value_order
    """,
    "band": """
        select lead_band as value
        from marts.lead_score_daily
        group by lead_band
        order by max(average_score) desc nulls last, lead_band
    """,
    "tier": """
        select tiers.tier as value
        from marts.loyalty_overview
        cross join lateral jsonb_object_keys(members_per_tier) as tiers (tier)
        order by tiers.tier
    """,
}


@dataclass(frozen=True)
class Sort:
    """An order of the list: a column that is never null, its direction, and how it is read."""

    words: str
    column: str
    descending: bool
    read: Callable[[str], Any]


SORTS = {
    "value": Sort("Lifetime value", "lifetime_value", True, Decimal),
    "score": Sort("Lead score", "lead_score", True, int),
    "orders": Sort("Orders", "total_orders", True, int),
    "newest": Sort("Newest first", "first_seen_at", True, datetime.fromisoformat),
    "oldest": Sort("Oldest first", "first_seen_at", False, datetime.fromisoformat),
}


@dataclass(frozen=True)
class Wanted:
    """What the reader asked for: words, filters by name, an order, and the last row seen."""

    query: str
    filters: Mapping[str, str]
    sort: str
    after: tuple[Any, str] | None = None
    """The value of the order's column in the last row seen, and its customer_id."""
    is_astray: bool = False
    """Whether the last row seen is named by what cannot be one."""

    def address(self, **more: str) -> str:
        """The query string that asks for this."""
        parts = {"q": self.query, **self.filters, "sort": self.sort, **more}
        return urlencode({name: value for name, value in parts.items() if value})


def read_wanted(parameters: Mapping[str, str]) -> Wanted:
    """What a query string asks for; what it does not know is left out."""
    sort = parameters.get("sort", "")
    sort = sort if sort in SORTS else "value"
    place = parameters.get("after", "")
    after = _read_after(place, SORTS[sort])
    return Wanted(
        query=" ".join(printable(parameters.get("q", ""))[:LONGEST_QUERY].split()),
        filters={
            name: printable(parameters[name])[:LONGEST_QUERY]
            for name in FILTERS
            if parameters.get(name)
        },
        sort=sort,
        after=after,
        is_astray=bool(place) and after is None,
    )


def _read_after(text: str, sort: Sort) -> tuple[Any, str] | None:
    place = read_place(text, 2)
    try:
        return (sort.read(place[0]), place[1]) if place else None
    except (ValueError, ArithmeticError):
        return None


def printable(text: str) -> str:
    """The text without control characters, which no value has and the database refuses."""
    return "".join(character for character in text if character.isprintable())


def prefixes(query: str, region: str) -> list[list[str]]:
    """What must be found: for each word of the query, the beginnings that count as that word.

    Digits alone are one phone, as it is written in the tenant's region or in full.
    """
    if PHONE.fullmatch(query):
        return [phone_beginnings(query, region)]
    return [[word] for word in query.lower().split()[:MOST_WORDS]]


def phone_beginnings(text: str, region: str) -> list[str]:
    """How a phone that begins like this may begin in E.164."""
    from phonenumbers import country_code_for_region

    digits = re.sub(r"\D", "", text)
    if text.strip().startswith("+"):
        return [f"+{digits}"]
    beginnings = [text.strip(), f"+{digits}"]
    if digits.startswith("00"):
        beginnings.append(f"+{digits[2:]}")
    beginnings.append(f"+{country_code_for_region(region)}{digits.lstrip('0')}")
    return list(dict.fromkeys(beginnings))


def count_query(beginnings: Sequence[str]) -> Select[Any]:
    """How many words begin so, counted up to one more than MANY."""
    found = _matches(beginnings).limit(MANY + 1).subquery()
    return select(func.count()).select_from(found)


def list_query(
    wanted: Wanted, words: Sequence[Sequence[str]], counts: Sequence[int], rows: int | None = None
) -> Select[Any]:
    """The customers asked for, in the order asked for; whose they are, the database decides.

    The way there does not depend on what the planner knows of names, which is nothing: who has a
    rare word is looked up first; a common one is looked for in each customer of the list, which
    soon has a page of them; of several common ones, those are found first who have all. The indexes
    of the orders hold what can be filtered by, so only the customers of the page itself are read.

    Args:
        words: what must be found of each customer: for each word, the beginnings that count.
        counts: how many words begin so, up to one more than MANY.
        rows: how many customers at most; None for all of them.
    """
    sort = SORTS[wanted.sort]
    value, customer_id = CUSTOMERS.c[sort.column], CUSTOMERS.c.customer_id
    conditions = [_has(FILTERS[name], text) for name, text in wanted.filters.items()]
    if wanted.after:
        here, last = tuple_(value, customer_id), tuple_(*map(literal, wanted.after))
        conditions.append(here < last if sort.descending else here > last)
    looked_up, looked_for = divide(counts)
    people: FromClause = CUSTOMERS
    if looked_up:
        sets = [_matches(words[index]).distinct() for index in looked_up]
        found = sets[0] if len(sets) == 1 else intersect(*sets)
        first = found.cte("found").prefix_with("materialized")
        people = people.join(first, _same_customer(first))
    for index in looked_for:
        probe = _matches(words[index]).where(_same_customer(WORDS)).limit(1)
        people = people.join(probe.lateral(f"probe_{index}"), true())
    listed = select(CUSTOMERS.c.tenant_id, customer_id, value).select_from(people)
    page = _in_order(listed.where(*conditions), CUSTOMERS, sort).limit(rows).subquery("page")
    shown = select(*(CUSTOMERS.c[name] for name in EXPORTED))
    return _in_order(shown.select_from(CUSTOMERS.join(page, _same_customer(page))), page, sort)


def _in_order(query: Select[Any], rows: FromClause, sort: Sort) -> Select[Any]:
    # there is one tenant to see; naming it first lets an index give the order
    keys = (rows.c.tenant_id, rows.c[sort.column], rows.c.customer_id)
    return query.order_by(*(key.desc() if sort.descending else key for key in keys))


def divide(counts: Sequence[int]) -> tuple[list[int], list[int]]:
    """Which words to look up first, and which to look for in each customer, by position."""
    everyone = list(range(len(counts)))
    if not everyone:
        return [], []
    rarest = min(everyone, key=counts.__getitem__)
    if counts[rarest] <= MANY:
        return [rarest], [index for index in everyone if index != rarest]
    return ([], everyone) if len(counts) == 1 else (everyone, [])


def _has(name: str, text: str) -> ColumnElement[bool]:
    return CUSTOMERS.c[name].is_(None) if text == NONE else CUSTOMERS.c[name] == text


def _matches(beginnings: Sequence[str]) -> Select[Any]:
    """Comparisons byte by byte: an index serves them, and row-level security lets it."""
    ranges = (
        and_(
            WORDS.c.word.op("~>=~", is_comparison=True)(beginning),
            WORDS.c.word.op("~<~", is_comparison=True)(beginning + AFTER_EVERYTHING),
        )
        for beginning in beginnings
    )
    return select(WORDS.c.tenant_id, WORDS.c.customer_id).where(or_(*ranges))


def _same_customer(found: FromClause) -> ColumnElement[bool]:
    return and_(
        CUSTOMERS.c.tenant_id == found.c.tenant_id,
        CUSTOMERS.c.customer_id == found.c.customer_id,
    )


def prepare(
    connection: Connection, wanted: Wanted, region: str, rows: int | None = None
) -> Select[Any]:
    """The query for what is wanted, after a look at how common its words are."""
    words = prefixes(wanted.query, region)
    counts: list[int] = [
        connection.execute(count_query(beginnings)).scalar_one() for beginnings in words
    ]
    return list_query(wanted, words, counts, rows)


def named(row: Row) -> dict[str, Any]:
    """The row with a name to call the customer by."""
    name = " ".join(filter(None, (row["first_name"], row["last_name"])))
    return dict(row) | {"name": name or row["email"] or row["phone"] or "Somebody"}


def search(request: Request, visit: Visit) -> Response:
    """The list of customers."""
    wanted = read_wanted(request.query_params)
    if CUSTOMER_ID.fullmatch(wanted.query.lower()):
        return RedirectResponse(f"{visit.root}/customers/{wanted.query.lower()}", 303)
    problem, rows = NO_PLACE if wanted.is_astray else None, []
    choices: dict[str, list[str]] = {}
    with reading_for(visit.dashboard.database, visit.tenant.tenant_id) as connection:
        build = pages.find_build(connection)
        if build is not None:
            choices = filter_choices(connection)
        if build is not None and not wanted.is_astray:
            try:
                region = visit.tenant.phone_region
                query = prepare(connection, wanted, region, PAGE_ROWS + 1)
                found = connection.execute(query).mappings()
                rows = [dict(row) for row in found]
            except sqlalchemy.exc.DBAPIError as error:
                problem = _explained("customers", error)
    shown = [named(row) for row in rows[:PAGE_ROWS]]
    following = None
    if len(rows) > PAGE_ROWS:
        last = shown[-1]
        place = write_place([last[SORTS[wanted.sort].column], last["customer_id"]])
        following = wanted.address(after=place)
    return visit.render(
        "customers.html",
        "customers",
        build,
        400 if wanted.is_astray else 200,
        wanted=wanted,
        sorts=SORTS,
        choices=choices,
        headings=COLUMNS,
        rows=[[show_cell(one, row, visit.look, visit.root) for one in COLUMNS] for row in shown],
        following=following,
        address=wanted.address(),
        problem=problem,
    )


def _explained(place: str, error: sqlalchemy.exc.DBAPIError) -> str:
    if error.connection_invalidated:
        raise error
    answer = explain(error)
    pages.log.warning("%s: %s", place, answer.cause)
    return answer.words


def filter_choices(connection: Connection) -> dict[str, list[str]]:
    """The values to filter by, from aggregates; nothing where there is no such mart yet."""
    found: dict[str, list[str]] = {}
    for name, query in CHOICES.items():
        answer = ask(connection, query, {})
        found[name] = [] if isinstance(answer, Unanswered) else [row["value"] for row in answer[1]]
    return found


def person(request: Request, visit: Visit) -> Response:
    """One customer's page; an old id leads to who has taken it over."""
    customer_id = printable(request.path_params["customer_id"])
    page = visit.dashboard.pages["customer"]
    with reading_for(visit.dashboard.database, visit.tenant.tenant_id) as connection:
        build = pages.find_build(connection)
        row = _one(connection, select(CUSTOMERS), CUSTOMERS.c.customer_id, customer_id)
        if build is None or row is None:
            now = _one(connection, select(REDIRECTS), REDIRECTS.c.old_customer_id, customer_id)
            if now is None:
                raise HTTPException(404)
            return RedirectResponse(f"{visit.root}/customers/{now['customer_id']}", 303)
        turned = pages.read_turned(page, f"{visit.root}/customers/{customer_id}", request)
        panels = pages.answer_page(connection, page, visit, build, turned, customer_id)
    return pages.show_page(
        visit, "customer.html", "customers", build, page, panels, customer=named(row)
    )


def _one(
    connection: Connection, query: Select[Any], key: ColumnElement[Any], value: str
) -> Row | None:
    answer = ask(connection, query.where(key == value), {})
    return None if isinstance(answer, Unanswered) or not answer[1] else answer[1][0]


def export(request: Request, visit: Visit) -> Response:
    """The customers asked for as a CSV file, written while it is read."""
    wanted = read_wanted(request.query_params)
    if wanted.is_astray:
        return visit.dashboard.say(400, "There is nothing to export", NO_PLACE)
    lines = export_lines(visit.dashboard.database, visit.tenant, wanted)
    try:
        beginning = next(lines)
    except sqlalchemy.exc.DBAPIError as error:
        words = _explained("customers.csv", error)
        return visit.dashboard.say(503, "There is nothing to export", words)
    name = f"customers-{visit.tenant.tenant_id}.csv"
    return StreamingResponse(
        chain([beginning], lines),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def export_lines(database: sqlalchemy.Engine, tenant: Tenant, wanted: Wanted) -> Iterator[str]:
    """The lines of the file, some thousand at a time; the first piece is the header."""
    with reading_for(database, tenant.tenant_id, EXPORT_SECONDS) as connection:
        query = prepare(connection, wanted, tenant.phone_region)
        rows = connection.execute(query, execution_options={"yield_per": EXPORT_ROWS_AT_ONCE})
        yield csv_lines([EXPORTED])
        for piece in rows.partitions():
            yield csv_lines(piece)


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV that no spreadsheet takes for formulas."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(map(csv_cell, row) for row in rows)
    return written.getvalue()


def csv_cell(value: Any) -> str:
    """A value for a CSV file; what a spreadsheet would compute gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return str(value)
