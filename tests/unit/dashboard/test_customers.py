"""What a query string asks for, and the CSV file."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Select
from sqlalchemy.dialects import postgresql

from orchestration.dashboard.customers import (
    LONGEST_QUERY,
    MANY,
    SORTS,
    csv_cell,
    csv_lines,
    divide,
    list_query,
    prefixes,
    read_wanted,
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", []),
        ("Mara  LIND", [["mara"], ["lind"]]),
        ("mara@example.com", [["mara@example.com"]]),
        ("% _", [["%"], ["_"]]),
        ("42", [["42"]]),
        ("+49 172 2345", [["+491722345"]]),
        ("0172/2345", [["0172/2345", "+01722345", "+491722345"]]),
        ("0049172", [["0049172", "+0049172", "+49172", "+4949172"]]),
    ],
)
def test_a_query_means_beginnings(query: str, found: list[list[str]]) -> None:
    """Prevents: a phone that is only found in the spelling of the database."""
    assert prefixes(query, "DE") == found


def test_what_is_unknown_is_left_out() -> None:
    """Prevents: a page that fails for an address that was cut or made up."""
    wanted = read_wanted(
        {"q": "a\x00b" + "c" * 500, "stage": "vip", "sort": "'; drop table", "after": "x~y"}
    )
    assert wanted.query.startswith("abc")
    assert len(wanted.query) == LONGEST_QUERY
    assert (wanted.sort, wanted.after, dict(wanted.filters)) == ("value", None, {"stage": "vip"})
    assert wanted.address() == f"q={wanted.query}&stage=vip&sort=value"


@pytest.mark.parametrize(
    ("sort", "key", "value"),
    [
        ("value", "12.50", Decimal("12.50")),
        ("orders", "3", 3),
        ("newest", "2026-06-01T00:00:00+00:00", datetime(2026, 6, 1, tzinfo=UTC)),
    ],
)
def test_a_page_begins_after_the_last_row_seen(sort: str, key: str, value: object) -> None:
    """Prevents: pages that skip or repeat people, because the key was read as text."""
    assert read_wanted({"sort": sort, "after": f"{key}~abc"}).after == (value, "abc")
    for astray in (key, f"{key}~", "~abc", "some~abc"):
        wanted = read_wanted({"sort": sort, "after": astray})
        assert (wanted.after, wanted.is_astray) == (None, True)


def str_and_values(query: Select[Any]) -> tuple[str, set[Any]]:
    compiled = query.compile(dialect=postgresql.dialect())
    return str(compiled), set(compiled.params.values())


def check_query(asked: tuple[str, set[Any]]) -> None:
    """That texts are values, and the database decides about tenants."""
    query, values = asked
    assert "offset" not in query.lower()
    assert not re.search(r"tenant_id = (?!marts|found|probe|page|customer)", query), query
    assert "100%" in values
    assert "x' or true" in values
    assert "neill" not in query


@pytest.mark.parametrize(
    ("counts", "looked_up", "looked_for"),
    [
        ([], [], []),
        ([7], [0], []),
        ([MANY + 1], [], [0]),
        ([MANY + 1, 3, MANY], [1], [0, 2]),
        ([MANY + 1, MANY + 1], [0, 1], []),
    ],
)
def test_the_rarest_word_is_looked_up_first(
    counts: list[int], looked_up: list[int], looked_for: list[int]
) -> None:
    """Prevents: a search for one e-mail that looks at a million customers in turn."""
    assert divide(counts) == (looked_up, looked_for)


@pytest.mark.parametrize("sort", SORTS)
def test_no_tenant_and_no_offset_in_the_query(sort: str) -> None:
    """Prevents: a list that filters tenants by itself, or counts through all pages before it."""
    wanted = read_wanted({"sort": sort, "q": "100% o'neill_", "stage": "x' or true"})
    words = prefixes(wanted.query, "DE")
    for counts in ([1, 2], [MANY + 1, MANY + 1], [MANY + 1, 0]):
        check_query(str_and_values(list_query(wanted, words, counts)))
    check_query(str_and_values(list_query(wanted, words[:1], [MANY + 1])))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+491722345", "'+491722345"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("plain, text", "plain, text"),
        (Decimal("-2.50"), "-2.50"),
        (-2, "-2"),
        (None, ""),
        (True, "true"),
    ],
)
def test_no_cell_is_a_formula(value: object, cell: str) -> None:
    """Prevents: a customer's name that runs in the spreadsheet of whoever opens the export."""
    assert csv_cell(value) == cell


def test_lines_are_read_back_whole() -> None:
    """Prevents: a comma, quote or line break in a name that shifts the columns."""
    rows = [["a,b", 'say "x"', "two\nlines"], [None, 1, "é"]]
    read = list(csv.reader(io.StringIO(csv_lines(rows), newline="")))
    assert read == [["a,b", 'say "x"', "two\nlines"], ["", "1", "é"]]
