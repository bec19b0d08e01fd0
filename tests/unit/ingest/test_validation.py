"""Which values fit a column, on both sides of every limit."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.ingest.contracts import Column, Contract, read_contracts
from orchestration.ingest.validation import (
    LONGEST_JSON,
    LONGEST_KEY,
    LONGEST_TEXT,
    fault,
    faults,
)
from orchestration.settings import DBT_PROJECT_DIR

GOOD = {
    "text": ["x", " ", "é" * LONGEST_TEXT, 'O\'Neil, "Bob"\n'],
    "numeric": ["0", "-1.50", "+7", "999999999999", "999999999999.99", "0." + "1" * 30, "007"],
    "bigint": ["0", "-12", "+3", "9" * 18],
    "boolean": ["true", "FALSE", "Yes", "no", "1", "0"],
    "timestamptz": [
        "1970-01-01",
        "2199-12-31T23:59:59.999999Z",
        "2026-01-31 09:30",
        "2026-01-31T09:30:00",
        "2026-01-31 09:30:00 -0500",
        "2026-01-31 09:30:00 UTC",
        "2026-01-31T09:30:00.123456789+05:30",
        "2026-01-31T09:30:00+14",
        "2024-02-29T00:00:00Z",
    ],
    "jsonb": [
        "{}",
        "[]",
        "null",
        " 1 ",
        '{"a": 1, "b": "x", "c": null, "d": -0.5}',
        '{"a": {"b": [1, 2, {"c": "\\u00e9\\n"}]}}',
        '{"a": "\\\\u0000"}',
        '{"pair": "\\ud83d\\ude00"}',
        "1e300",
        "[" * 200 + "]" * 200,
    ],
}
BAD = {
    "text": [("x\x00y", "NUL"), ("x" * (LONGEST_TEXT + 1), "longer than")],
    "numeric": [
        ("abc", "'abc' is not a number"),
        ("12,50", "is not a number"),
        ("1e3", "is not a number"),
        ("NaN", "is not a number"),
        ("Infinity", "is not a number"),
        (" 1", "is not a number"),
        ("1\n", "is not a number"),
        ("1.", "is not a number"),
        ("٣", "is not a number"),
        ("1000000000000", "more than 12 digits"),
        ("0." + "1" * 31, "30 after it"),
    ],
    "bigint": [("1.0", "not a whole number"), ("9" * 19, "more than 18"), ("x", "whole number")],
    "boolean": [("maybe", "neither true nor false"), ("2", "neither"), ("t", "neither")],
    "timestamptz": [
        ("yesterday", "is not a date and time"),
        ("31.01.2026", "is not a date and time"),
        ("1700000000", "is not a date and time"),
        ("2026-01-31T09:30:00Zjunk", "is not a date and time"),
        ("1969-12-31T23:59:59Z", "is not between 1970 and 2199"),
        ("2200-01-01", "is not between 1970 and 2199"),
        ("2026-02-29", "a day that does not exist"),
        ("2026-04-31T00:00:00Z", "a day that does not exist"),
        ("2026-13-01", "a day that does not exist"),
        ("2026-01-32", "a day that does not exist"),
        ("2026-01-31T24:00:00Z", "a time that does not exist"),
        ("2026-01-31T23:60:00Z", "a time that does not exist"),
        ("2026-01-31T23:59:60Z", "a time that does not exist"),
        ("2026-01-31T23:59:59+15:00", "a time that does not exist"),
    ],
    "jsonb": [
        ("{", "is not JSON"),
        ("{'a': 1}", "is not JSON"),
        ("{} {}", "is not JSON"),
        ('{"a": 01}', "is not JSON"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\\ud83d"}', "surrogate"),
        ('{"a": 1e301}', "out of range"),
        ('{"a": ' + "1" * 101 + "}", "out of range"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('"' + "x" * LONGEST_JSON + '"', "longer than"),
    ],
}
CASES_GOOD = [(kind, value) for kind, values in GOOD.items() for value in values]
CASES_BAD = [(kind, value, words) for kind, values in BAD.items() for value, words in values]


def contract_of(*columns: Column) -> Contract:
    key = Column("id", "text", required=True)
    return Contract("things", "", (key, *columns), key=("id",))


def reasons(column: Column, value: str | None) -> list[str]:
    """What the whole path says about one value between two good rows."""
    contract = contract_of(column)
    columns = {
        "id": pa.array(["a", "b", "c"], pa.string()),
        column.name: pa.array([value, value, value], pa.string()),
    }
    found = faults(contract, columns, may_hold_nul=True)
    assert len({tuple(words) for words in found.values()}) <= 1
    return found.get(1, [])


@pytest.mark.parametrize(("kind", "value"), CASES_GOOD)
def test_a_value_that_fits_is_never_rejected(kind: str, value: str) -> None:
    """Prevents good rows from ending among the rejects."""
    assert reasons(Column("x", kind), value) == []
    assert fault(Column("x", kind), value) is None


@pytest.mark.parametrize(("kind", "value", "words"), CASES_BAD)
def test_a_value_that_does_not_fit_is_named(kind: str, value: str, words: str) -> None:
    """Prevents a bad value from slipping through the vectorised test, or without a reason."""
    (reason,) = reasons(Column("x", kind), value)
    assert reason.startswith("x: ")
    assert words in reason
    assert len(reason) < 300


def test_required_and_allowed_and_shape() -> None:
    """Prevents empty required values, unknown codes and lists where objects belong."""
    assert reasons(Column("x", "text", required=True), None) == ["x: required, but empty"]
    assert reasons(Column("x", "text"), None) == []
    status = Column("x", "text", allowed=("paid", "pending"))
    assert reasons(status, "paid") == reasons(status, None) == []
    assert reasons(status, "Paid") == ["x: 'Paid' is none of paid, pending"]
    listed = Column("x", "jsonb", shape="list")
    assert reasons(listed, "[]") == []
    assert reasons(listed, "{}") == ["x: '{}' is not a JSON list"]
    named = Column("x", "jsonb", shape="object")
    assert reasons(named, "{}") == []
    assert reasons(named, "[]") == ["x: '[]' is not a JSON object"]


@pytest.mark.parametrize(
    ("limits", "value", "words"),
    [
        ({"minimum": 0}, "-5", "-5 is below 0"),
        ({"minimum": 0}, "-0.01", "-0.01 is below 0"),
        ({"minimum": 0}, "-0.00", None),
        ({"minimum": 0}, "+0", None),
        ({"minimum": 0}, "-x", "'-x' is not a number"),
        ({"minimum": 2}, "1.99", "1.99 is below 2"),
        ({"minimum": 2}, "2", None),
        ({"minimum": -2}, "-2.1", "-2.1 is below -2"),
        ({"minimum": -2}, "-2", None),
        ({"maximum": 100}, "100.00", None),
        ({"maximum": 100}, "0099.9", None),
        ({"maximum": 100}, "100.01", "100.01 is above 100"),
        ({"maximum": 100}, "+101", "+101 is above 100"),
        ({"maximum": 100}, "-500", None),
        ({"maximum": 5}, "6", "6 is above 5"),
        ({"maximum": -5}, "-4", "-4 is above -5"),
    ],
)
def test_a_number_stays_between_its_limits(
    limits: dict[str, int], value: str, words: str | None
) -> None:
    """Prevents negative prices from lowering revenue, and scores beyond their scale."""
    column = Column("x", "numeric", **limits)  # type: ignore[arg-type]
    assert reasons(column, value) == ([f"x: {words}"] if words else [])


@given(st.integers(-1200, 1200), st.integers(-120_000, 120_000), st.booleans())
def test_the_fast_look_at_limits_misses_nothing(limit: int, cents: int, is_minimum: bool) -> None:
    """Prevents a vectorised test that lets a number beyond its limit pass."""
    column = Column("x", "numeric", **{"minimum" if is_minimum else "maximum": limit})  # type: ignore[arg-type]
    value = f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
    is_wrong = cents < 100 * limit if is_minimum else cents > 100 * limit
    assert bool(reasons(column, value)) == is_wrong


REFUNDS = Column("refunds", "jsonb", shape="list", amounts=("transactions.amount",))


@pytest.mark.parametrize(
    "amount",
    ["0", "5", "5.00", "12e2", "1.5E-3", "null", '"0"', '"999999999999.99"', '"-0.00"', "-0"],
)
def test_amounts_inside_json_may_be_numbers_or_texts(amount: str) -> None:
    """Prevents good refunds from being rejected for how their platform writes numbers."""
    for value in (
        f'[{{"transactions": [{{"amount": {amount}}}]}}]',
        f'[null, {{"transactions": [null, {{"amount": {amount}}}]}}, {{}}]',
    ):
        assert reasons(REFUNDS, value) == []
    assert reasons(REFUNDS, "[]") == reasons(REFUNDS, '[{"transactions": null}]') == []


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ('"xx"', "'xx'"),
        ('"1e30"', "'1e30'"),
        ("1e30", "'1e30'"),
        ("-4", "'-4'"),
        ('"-4.00"', "'-4.00'"),
        ('"+4"', "'+4'"),
        ('"12,50"', "'12,50'"),
        ('"1000000000000"', "'1000000000000'"),
        ('""', "''"),
        ('" 4"', "' 4'"),
        ("true", "'true'"),
        ('["5"]', "[…]"),
        ('{"value": 5}', "{…}"),
    ],
)
def test_an_amount_inside_json_that_no_model_can_add_up_is_named(amount: str, words: str) -> None:
    """Prevents a refund from being ignored silently, so that net amounts are too high."""
    good = '{"transactions": [{"amount": "1.00"}]}'
    value = f'[{good}, {{"transactions": [{{"amount": "2"}}, {{"amount": {amount}}}]}}]'
    assert reasons(REFUNDS, value) == [f"refunds: transactions.amount {words} is not an amount"]
    # A flat object passes the fast look at JSON, so it must be looked at for its amounts.
    costs = Column("costs", "jsonb", shape="object", amounts=("total",))
    flat = f'{{"total": {amount}}}'
    assert reasons(costs, flat) == [f"costs: total {words} is not an amount"]


def test_what_stands_where_an_object_belongs_is_named() -> None:
    """Prevents money from vanishing because the way to it is broken."""
    assert reasons(REFUNDS, '["x"]') == ["refunds: 'x' is not an object"]
    assert reasons(REFUNDS, "[[1]]") == ["refunds: […] is not an object"]
    assert reasons(REFUNDS, '[{"transactions": 5}]') == [
        "refunds: transactions '5' is not an object"
    ]


def test_texts_inside_json_are_no_objects() -> None:
    """Prevents the text of a JSON object from becoming somebody's customer id."""
    customer = Column("customer", "jsonb", shape="object", texts=("id", "email"))
    for value in ('{"id": 7}', '{"id": "7", "email": null}', '{"email": "a@b.c"}', "{}", None):
        assert reasons(customer, value) == []
    for wrong in ('{"a": 1}', "[1]", "true"):
        assert reasons(customer, f'{{"id": {wrong}}}') == ["customer: id is not a text or number"]
    assert reasons(customer, '{"id": 1, "email": {}}') == [
        "customer: email is not a text or number"
    ]


@pytest.mark.parametrize(
    ("source", "column", "value"),
    [
        ("shopify_orders", "total_price", "-5"),
        ("shopify_orders", "total_discounts", "-3"),
        ("shopify_orders", "customer", '{"id": {"x": 1}}'),
        ("shopify_orders", "line_items", '[{"price": "abc"}]'),
        ("shopify_orders", "refunds", '[{"transactions": [{"amount": "xx"}]}]'),
        ("shopify_orders", "refunds", '[{"refund_line_items": [{"subtotal": -4}]}]'),
        ("shopify_orders", "transactions", '[{"amount": "1e30"}]'),
        ("shop_orders", "refunded_amount", "-1"),
        ("humanitix_orders", "purchaseTotals", '{"total": "ten"}'),
        ("humanitix_orders", "purchaseTotals", '{"subtotal": 10}'),
        ("humanitix_orders", "totals", '{"refunds": -1}'),
        ("humanitix_tickets", "discount", "-1"),
        ("eventbrite_orders", "costs", '{"gross": {"currency": "AUD", "value": -100}}'),
        ("eventbrite_orders", "costs", "{}"),
        ("eventbrite_orders", "costs", '{"gross": {"value": 100}}'),
        ("eventbrite_orders", "costs", '{"gross": {"currency": "", "value": 100}}'),
        ("eventbrite_attendees", "costs", '{"gross": {"value": "x"}}'),
        ("coupons", "usage_limit", "-1"),
        ("contacts", "ai_score", "100.5"),
    ],
)
def test_the_contracts_refuse_impossible_money(source: str, column: str, value: str) -> None:
    """Prevents a rule from being dropped from a declaration, and money from going wrong."""
    declared = read_contracts(DBT_PROJECT_DIR)[source].column(column)
    assert fault(declared, value) is not None


def test_points_taken_away_stay_legal() -> None:
    """Prevents the rule against negative amounts from losing corrections of points."""
    points = read_contracts(DBT_PROJECT_DIR)["loyalty_adjustments"].column("points")
    assert fault(points, "-50") is None


def test_every_reason_of_a_row_is_kept() -> None:
    """Prevents a sender from mending one fault at a time."""
    contract = contract_of(Column("amount", "numeric"), Column("at", "timestamptz", required=True))
    columns = {
        "id": pa.array([None, "ok"], pa.string()),
        "amount": pa.array(["abc", "1"], pa.string()),
        "at": pa.array([None, "2026-01-01"], pa.string()),
    }
    assert faults(contract, columns, may_hold_nul=False) == {
        0: ["id: required, but empty", "amount: 'abc' is not a number", "at: required, but empty"]
    }


@pytest.mark.parametrize(
    ("kind", "value", "is_refused"),
    [
        ("percentage", None, True),
        ("fixed_amount", "", True),
        ("percentage", "0", False),
        ("free_shipping", None, False),
        (None, None, False),
    ],
)
def test_what_a_kind_of_row_needs_is_not_empty(
    kind: str | None, value: str | None, is_refused: bool
) -> None:
    """Prevents a coupon that takes nothing off, or all, because nobody said how much."""
    contract = contract_of(
        Column("kind", "text"),
        Column("value", "numeric", required_for=("kind", ("percentage", "fixed_amount"))),
    )
    columns = {
        "id": pa.array(["1", "2"], pa.string()),
        "kind": pa.array([kind, "percentage"], pa.string()),
        "value": pa.array([value, "5"], pa.string()),
    }
    told = {0: [f"value: required for kind {kind}, but empty"]} if is_refused else {}
    assert faults(contract, columns, may_hold_nul=False) == told


@pytest.mark.parametrize(
    ("source", "column", "required_for"),
    [
        ("coupons", "value", ("discount_type", ("percentage", "fixed_amount"))),
        ("coupons", "buy_quantity", ("discount_type", ("buy_x_get_y",))),
        ("coupons", "get_quantity", ("discount_type", ("buy_x_get_y",))),
        ("loyalty_adjustments", "points", ("type", ("earn_bonus", "adjustment"))),
    ],
)
def test_what_the_kinds_of_rows_need_is_declared(
    source: str, column: str, required_for: tuple[str, tuple[str, ...]]
) -> None:
    """Prevents a coupon without value and points without number from loading: the rule dropped."""
    declared = read_contracts(DBT_PROJECT_DIR)[source].column(column)
    assert declared.required_for == required_for


def test_a_key_must_fit_into_an_index_entry() -> None:
    """Prevents one overlong id from making the database refuse its whole file."""
    contract = contract_of()
    short, long = "é" * LONGEST_KEY, "é" * (LONGEST_KEY + 1)
    columns = {"id": pa.array([short, long], pa.string())}
    assert list(faults(contract, columns, may_hold_nul=False)) == [1]
