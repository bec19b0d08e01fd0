"""Places in long lists, as addresses carry them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from orchestration.dashboard.paging import LONGEST_PLACE, Turned, read_place, write_place


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([datetime(2026, 6, 1, 7, tzinfo=UTC), "a~b"], ["2026-06-01T07:00:00+00:00", "a~b"]),
        ([date(2026, 6, 1), 7], ["2026-06-01", "7"]),
        ([Decimal("12.50"), True, "x y&z=1"], ["12.50", "True", "x y&z=1"]),
        ([3], ["3"]),
    ],
)
def test_a_place_is_read_as_it_was_written(values: list[object], text: list[str]) -> None:
    """Prevents: an id with odd characters behind which the list ends or begins again."""
    assert read_place(write_place(values), len(values)) == text


@pytest.mark.parametrize("text", ["", "~", "a~", "~b", "a", "a~b\0", "a~" + "b" * LONGEST_PLACE])
def test_what_is_no_place_is_none(text: str) -> None:
    """Prevents: a query with half a place, which shows rows of another page."""
    assert read_place(text, 2) is None


def test_an_address_turns_one_list_and_leaves_the_others() -> None:
    """Prevents: a list that is thrown back to its beginning because another one was turned."""
    turned = Turned("/t/aurora/customers/1", {"customer-4": "5~x", "customer-8": "a&b~=c"})
    assert turned.address("customer-4", "6~y") == (
        "/t/aurora/customers/1?customer-4=6~y&customer-8=a%26b~%3Dc"
    )
    assert turned.address("customer-8", "") == "/t/aurora/customers/1?customer-4=5~x"
    assert Turned("/t/aurora/customers/1", {}).address("customer-8", "") == "/t/aurora/customers/1"
