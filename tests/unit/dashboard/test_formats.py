"""How values read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from orchestration.dashboard.formats import FORMATS, NOTHING, Look, in_words

BERLIN = Look("EUR", "Europe/Berlin")
NEW_YEAR = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (1234567, "integer", "1,234,567"),
        (Decimal("-3"), "integer", "-3"),
        (Decimal("0.5344"), "percent", "53.4 %"),
        (Decimal("1234.5"), "money", "€1,234.50"),
        (Decimal("-0.01"), "money", "-€0.01"),
        (Decimal("240431.60"), "whole_money", "€240,432"),
        (NEW_YEAR, "instant", "1 Jan 2026, 00:30"),
        (NEW_YEAR, "day", "1 Jan 2026"),
        (date(2026, 6, 1), "month", "Jun 2026"),
        (12, "month_name", "December"),
        ("at_risk", "label", "At risk"),
        ("vip", "label", "VIP"),
        (False, "yes_no", "No"),
        (["one", "two"], "text", "one; two"),
    ],
)
def test_values_read_as_the_tenant_writes_them(value: Any, form: str, shown: str) -> None:
    """Prevents: an order of New Year's Eve in the wrong year, and amounts without a currency."""
    assert BERLIN.show(value, form) == shown


def test_amounts_of_another_currency_keep_it() -> None:
    """Prevents: dollars that are shown as euros."""
    assert BERLIN.show(Decimal("7"), "money", "AUD") == "A$7.00"
    assert BERLIN.show(Decimal("-7"), "money", "GHS") == "-GHS\N{NO-BREAK SPACE}7.00"
    assert BERLIN.show(Decimal("7000"), "whole_money", "GHS") == "GHS\N{NO-BREAK SPACE}7,000"
    assert Look("JPY", "Asia/Tokyo").show(Decimal("700"), "money") == "¥700"


@pytest.mark.parametrize("form", FORMATS)
def test_null_is_a_dash(form: str) -> None:
    """Prevents: None on the screen, and zeros where nothing is known."""
    assert BERLIN.show(None, form) == NOTHING


def test_words_of_nothing() -> None:
    """Prevents: a page that fails because a value is empty text."""
    assert in_words("") == ""
