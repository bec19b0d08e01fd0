"""The SQL macros say what their names promise, tried on the real database."""

from __future__ import annotations

import datetime
import hashlib
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jinja2
import pytest
import sqlalchemy

from orchestration.settings import PROJECT_ROOT

MACRO_FILES = [
    "hash_id.sql",
    "is_repeated_digit.sql",
    *(
        f"dispatch/{name}.sql"
        for name in (
            "add_days",
            "connected_components",
            "dates_between",
            "hash_joins_only",
            "days_between",
            "json_list",
            "json_number",
            "json_object",
            "json_text",
            "json_text_path",
            "tenant_date",
            "timestamp_text",
        )
    ),
]


def compiled(call: str) -> str:
    """The SQL that a call of a macro becomes on Postgres."""

    @jinja2.pass_context
    def dispatch(context: jinja2.runtime.Context, name: str, package: str = "") -> Any:
        del package
        own = context.resolve(f"postgres__{name}")
        return context.resolve(f"default__{name}") if isinstance(own, jinja2.Undefined) else own

    macros = "".join((PROJECT_ROOT / "macros" / name).read_text() for name in MACRO_FILES)
    template = jinja2.Environment().from_string(macros + "@{{ " + call + " }}")
    rendered = template.render(
        {"return": lambda value: value},
        adapter={"dispatch": dispatch},
        dbt={"type_string": lambda: "text"},
    )
    return rendered.rpartition("@")[2]


@pytest.fixture
def value_of(database: sqlalchemy.Engine) -> Callable[[str], Any]:
    """Evaluates a call of a macro, in a session that is not in UTC."""

    def evaluate(call: str) -> Any:
        with database.begin() as connection:
            connection.exec_driver_sql("set local time zone 'Europe/Berlin'")
            return connection.exec_driver_sql(
                "select " + compiled(call).replace("%", "%%")
            ).scalar()

    return evaluate


def json(document: str) -> str:
    """A JSON literal inside a macro's argument."""
    escaped = document.replace('"', '\\"')
    return f"\"cast('{escaped}' as jsonb)\""


def instant(text: str) -> str:
    """A literal of an instant inside a macro's argument."""
    return f"\"timestamptz '{text}'\""


def test_days_between_counts_whole_24_hour_periods(value_of: Callable[[str], Any]) -> None:
    """Prevents a threshold that is crossed early, or an hour off when the clocks change."""
    noon = "2026-03-28 12:00:00+01"
    assert (
        value_of(f"days_between({instant(noon)}, {instant('2026-03-29 12:59:59.999999+02')})") == 0
    )
    assert value_of(f"days_between({instant(noon)}, {instant('2026-03-29 13:00:00+02')})") == 1
    assert value_of(f"days_between({instant(noon)}, {instant(noon)})") == 0
    assert value_of(f"days_between({instant(noon)}, {instant('2026-03-28 11:59:59+01')})") == -1


def test_add_days_is_the_inverse_of_days_between(value_of: Callable[[str], Any]) -> None:
    """Prevents a crossed threshold whose instant and whose count of days disagree."""
    assert value_of(f"add_days({instant('2026-03-28 12:00:00+01')}, 1)") == datetime.datetime(
        2026, 3, 29, 11, 0, tzinfo=datetime.UTC
    )
    assert value_of(f"add_days({instant('2026-01-01 00:00:00Z')}, 'cast(180 as numeric)')") == (
        datetime.datetime(2026, 6, 30, tzinfo=datetime.UTC)
    )


@pytest.mark.parametrize(
    ("time_zone", "date"),
    [
        ("Europe/Berlin", datetime.date(2026, 7, 1)),
        ("Australia/Sydney", datetime.date(2026, 7, 1)),
        ("Africa/Accra", datetime.date(2026, 6, 30)),
    ],
)
def test_tenant_date_is_the_day_on_the_tenants_wall(
    value_of: Callable[[str], Any], time_zone: str, date: datetime.date
) -> None:
    """Prevents an order shortly before midnight that is converted at another day's rate."""
    late_evening = instant("2026-06-30 22:30:00Z")
    assert value_of(f"tenant_date({late_evening}, \"'{time_zone}'\")") == date


@pytest.mark.parametrize(
    ("first", "last", "unit", "dates"),
    [
        ("2026-03-28", "2026-03-30", "day", ["2026-03-28", "2026-03-29", "2026-03-30"]),
        ("2025-12-01", "2026-02-01", "month", ["2025-12-01", "2026-01-01", "2026-02-01"]),
        ("2026-03-28", "2026-03-28", "day", ["2026-03-28"]),
        ("2026-03-28", "2026-03-27", "day", []),
    ],
)
def test_dates_between_holds_both_ends(
    value_of: Callable[[str], Any], first: str, last: str, unit: str, dates: list[str]
) -> None:
    """Prevents a chart that lacks its last day, or the day on which the clocks change."""
    ends = ", ".join(f"\"date '{end}'\"" for end in (first, last))
    series = compiled(f"dates_between({ends}, '{unit}')")
    assert value_of(f'"array(select cast({series} as date))"') == [
        datetime.date.fromisoformat(one) for one in dates
    ]


def test_timestamp_text_does_not_depend_on_the_session(value_of: Callable[[str], Any]) -> None:
    """Prevents payloads and hashes that differ from one server setting to another."""
    assert value_of(f"timestamp_text({instant('2026-07-01 02:00:00.5+02')})") == (
        "2026-07-01T00:00:00.500000Z"
    )


def test_hash_id_tells_all_parts_apart(value_of: Callable[[str], Any]) -> None:
    """Prevents two records from sharing an id because their parts run together."""
    parts = [
        ["'ab'", "'c'"],
        ["'a'", "'bc'"],
        ["'abc'"],
        ["'abc'", "''"],
        ["''", "'abc'"],
        ["'abc'", "null"],
        ["null", "'abc'"],
        ["null"],
        ["''"],
        ["'-'"],
        ["'1:a'"],
        ["'a'", "'1:b'"],
        ["'a1'", "'b'"],
        ["'null'"],
        ["'c'", "'ab'"],
    ]
    assert len({value_of(f"hash_id({each})") for each in parts}) == len(parts)


def test_hash_id_stays_the_same(value_of: Callable[[str], Any]) -> None:
    """Prevents ids that were already sent or published from changing with a rewrite."""
    assert value_of("hash_id([\"'aurora'\", \"'order-1'\"])") == (
        hashlib.md5(b"6:aurora7:order-1", usedforsecurity=False).hexdigest()
    )


@pytest.mark.parametrize(
    ("document", "number"),
    [
        ('{"price": "12.50"}', Decimal("12.50")),
        ('{"price": 12.5}', Decimal("12.5")),
        ('{"price": -3}', Decimal(-3)),
        ('{"price": 1e3}', Decimal(1000)),
        ('{"price": "abc"}', None),
        ('{"price": ""}', None),
        ('{"price": null}', None),
        ('{"price": "NaN"}', None),
        ("{}", None),
    ],
)
def test_json_number_never_fails(
    value_of: Callable[[str], Any], document: str, number: Decimal | None
) -> None:
    """Prevents one odd value inside an object from stopping the build of every tenant."""
    assert value_of(f"json_number({json(document)}, 'price')") == number


@pytest.mark.parametrize(
    ("document", "items"),
    [('[{"id": 1}]', [{"id": 1}]), ("{}", []), ("null", []), ("3", []), ("[]", [])],
)
def test_json_list_is_always_a_list(
    value_of: Callable[[str], Any], document: str, items: list[Any]
) -> None:
    """Prevents an object where a list belongs from stopping the build of every tenant."""
    assert value_of(f"json_list({json(document)})") == items
    assert value_of('json_list("cast(null as jsonb)")') == []


def test_json_text_reads_keys_and_paths(value_of: Callable[[str], Any]) -> None:
    """Prevents quoted text, or text of the wrong level, from becoming an identifier."""
    document = json('{"id": 7, "a": {"b": "c"}}')
    assert value_of(f"json_text({document}, 'id')") == "7"
    assert value_of(f"json_text_path({document}, ['a', 'b'])") == "c"
    assert value_of(f"json_text({document}, 'none')") is None


def test_json_object_holds_the_named_values(value_of: Callable[[str], Any]) -> None:
    """Prevents payloads in which a value stands under another's name."""
    assert value_of("json_object({'code': \"'A'\", 'value': 15, 'none': 'null'})") == {
        "code": "A",
        "value": 15,
        "none": None,
    }


@pytest.mark.parametrize(
    ("phone", "is_repeated"),
    [
        ("+491111111111", True),
        ("+233000000000", True),
        ("+491111111112", False),
        ("+491511234567", False),
    ],
)
def test_is_repeated_digit_knows_placeholders(
    value_of: Callable[[str], Any], phone: str, is_repeated: bool
) -> None:
    """Prevents everybody who typed only ones from becoming one customer."""
    assert value_of(f"is_repeated_digit(\"'{phone}'\")") is is_repeated


def components_in_sql(
    database: sqlalchemy.Engine, edges: set[tuple[int, int]]
) -> dict[tuple[str, str], str]:
    """Every node of two tenants that hold the same graph, with its label."""
    both_ways = [(name(a), name(b)) for a, b in edges] + [(name(b), name(a)) for a, b in edges]
    with database.begin() as connection:
        connection.exec_driver_sql(
            "create temp table edges (tenant_id text, node text, neighbour text) on commit drop"
        )
        for tenant in ("one", "other"):
            connection.execute(
                sqlalchemy.text("insert into edges values (:tenant, :node, :neighbour)"),
                [{"tenant": tenant, "node": a, "neighbour": b} for a, b in both_ways],
            )
        connection.exec_driver_sql(
            "create temp table nodes on commit drop as select distinct tenant_id, node from edges"
        )
        connection.exec_driver_sql(compiled("hash_joins_only()"))
        rows = connection.exec_driver_sql(compiled("connected_components('nodes', 'edges')"))
        return {(tenant, node): component for tenant, node, component in rows}


def name(number: int) -> str:
    """A label whose order in text is that of the number."""
    return f"n{number:06}"


def components_in_python(edges: set[tuple[int, int]]) -> dict[str, str]:
    """The smallest node that each is connected to."""
    groups: dict[int, set[int]] = {}
    for a, b in edges:
        merged = groups.get(a, {a}) | groups.get(b, {b})
        groups |= dict.fromkeys(merged, merged)
    return {name(node): name(min(group)) for node, group in groups.items()}


def random_graph(seed: int) -> set[tuple[int, int]]:
    """Pairs, chains, stars and knots among a few hundred nodes."""
    draw = random.Random(seed)
    size, ties = draw.randrange(2, 300), draw.randrange(1, 400)
    pairs = {(draw.randrange(size), draw.randrange(size)) for _ in range(ties)}
    return {(a, b) for a, b in pairs if a != b} or {(0, 1)}


def shuffled(edges: set[tuple[int, int]], seed: int) -> set[tuple[int, int]]:
    """The same graph under other names."""
    nodes = sorted({node for edge in edges for node in edge})
    others = random.Random(seed).sample(nodes, len(nodes))
    names = dict(zip(nodes, others, strict=True))
    return {(names[a], names[b]) for a, b in edges}


@pytest.mark.parametrize("seed", range(12))
def test_components_are_what_is_connected(database: sqlalchemy.Engine, seed: int) -> None:
    """Prevents two people from being one, or one from being two, by the shape of their ties."""
    edges = random_graph(seed)
    expected = components_in_python(edges)
    assert components_in_sql(database, edges) == {
        (tenant, node): component
        for tenant in ("one", "other")
        for node, component in expected.items()
    }


@pytest.mark.parametrize(
    "edges",
    [
        pytest.param({(0, number) for number in range(1, 20_000)}, id="star"),
        pytest.param({(number, number + 1) for number in range(3_000)}, id="chain"),
    ],
)
def test_a_huge_component_costs_no_square(
    database: sqlalchemy.Engine, edges: set[tuple[int, int]]
) -> None:
    """Prevents a number typed in for everybody from holding up a build for hours."""
    found = components_in_sql(database, shuffled(edges, 7))
    assert set(found.values()) == {name(0)}
