"""Which values fit a column, on both sides of every limit."""

from __future__ import annotations

import pyarrow as pa
import pytest

from orchestration.ingest.contracts import Column, Contract
from orchestration.ingest.validation import (
    LONGEST_JSON,
    LONGEST_KEY,
    LONGEST_TEXT,
    fault,
    faults,
)

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


def test_a_key_must_fit_into_an_index_entry() -> None:
    """Prevents one overlong id from making the database refuse its whole file."""
    contract = contract_of()
    short, long = "é" * LONGEST_KEY, "é" * (LONGEST_KEY + 1)
    columns = {"id": pa.array([short, long], pa.string())}
    assert list(faults(contract, columns, may_hold_nul=False)) == [1]
