"""Does a value fit its column? Fast over whole columns, exact on the few that look wrong.

Every reader hands over text (null for empty), so the same rules hold for CSV, JSON Lines and
Parquet. A vectorised test picks the suspects; a plain function per type then decides on each
of them and words the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.ingest.contracts import Column, Contract

LONGEST_TEXT = 65_536
"""Characters in a text column."""
LONGEST_KEY = 200
"""Characters in a text column of the key: it must fit into an index entry."""
LONGEST_JSON = 4_194_304
"""Characters in a jsonb column."""
INTEGER_DIGITS = 12
FRACTION_DIGITS = 30
BIGINT_DIGITS = 18
LONGEST_JSON_NUMBER = 100
LARGEST_EXPONENT = 300
FIRST_YEAR, LAST_YEAR = 1970, 2199

NUMERIC = rf"[+-]?[0-9]{{1,{INTEGER_DIGITS}}}(\.[0-9]{{1,{FRACTION_DIGITS}}})?"
AMOUNT = rf"[0-9]{{1,{INTEGER_DIGITS}}}(\.[0-9]{{1,{FRACTION_DIGITS}}})?|-0+(\.0+)?"
"""What the models take for a number of zero or more inside a jsonb column."""
BIGINT = rf"[+-]?[0-9]{{1,{BIGINT_DIGITS}}}"
BOOLEAN = r"(?i:true|false|yes|no|1|0)"
TIMESTAMP = (
    r"(19[7-9][0-9]|20[0-9]{2}|21[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
    r"( ?(Z|UTC|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?))?)?"
)
TIMESTAMP_FORM = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"( ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?)?"
)
DAY_THAT_MAY_NOT_EXIST = r"^[0-9]{4}-(02-(29|3)|(04|06|09|11)-31)"
_PLAIN_STRING = r'"[^"\\\x00-\x1f]*"'
_PLAIN_VALUE = rf"({_PLAIN_STRING}|-?(0|[1-9][0-9]{{0,14}})(\.[0-9]{{1,15}})?|true|false|null)"
_PLAIN_PAIR = rf"{_PLAIN_STRING}: ?{_PLAIN_VALUE}"
FLAT_OBJECT = rf"\{{({_PLAIN_PAIR}(, ?{_PLAIN_PAIR})*)?\}}"
NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def faults(
    contract: Contract, columns: dict[str, pa.Array], *, may_hold_nul: bool
) -> dict[int, list[str]]:
    """Every reason why rows of these columns break the contract, by row position.

    `columns` holds one text array per column of the contract. `may_hold_nul` is False when the
    reader knows that no value holds a NUL character, which saves looking.
    """
    found: dict[int, list[str]] = {}
    for column in contract.columns:
        values = columns[column.name]
        limit = LONGEST_KEY if column.name in contract.key else LONGEST_TEXT
        for row in _suspects(column, values, limit, may_hold_nul):
            reason = fault(column, values[row].as_py(), limit)
            if reason is not None:
                found.setdefault(row, []).append(f"{column.name}: {reason}")
        if column.required_for:
            for row, reason in _missing(column.required_for, values, columns):
                found.setdefault(row, []).append(f"{column.name}: {reason}")
    return found


def _missing(
    required_for: tuple[str, tuple[str, ...]], values: pa.Array, columns: dict[str, pa.Array]
) -> list[tuple[int, str]]:
    """Rows that lack what their kind must have."""
    name, kinds = required_for
    is_wanted = pc.is_in(columns[name], pa.array(kinds, pa.string()))
    empty = pc.or_kleene(values.is_null(), pc.equal(values, ""))
    return [
        (row, f"required for {name} {columns[name][row].as_py()}, but empty")
        for row in _positions(pc.and_(is_wanted, empty))
    ]


def fault(column: Column, value: str | None, longest_text: int = LONGEST_TEXT) -> str | None:
    """Why this value does not fit the column, or None when it does."""
    if value is None or value == "":
        return "required, but empty" if column.required else None
    if "\x00" in value:
        return f"{shown(value)} holds a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{shown(value)} holds half of a surrogate pair"
    if column.data_type == "text":
        if len(value) > longest_text:
            return f"{shown(value)} is longer than {longest_text} characters"
        if column.allowed and value not in column.allowed:
            return f"{shown(value)} is none of {', '.join(column.allowed)}"
        return None
    if column.data_type == "jsonb":
        return _json_fault(value, column)
    return _TYPE_FAULTS[column.data_type](value) or _range_fault(value, column)


def shown(value: str) -> str:
    """A value as a message shows it: quoted, shortened, without control characters."""
    short = value if len(value) <= 60 else value[:57] + "…"
    visible = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in short
    )
    return f"'{visible}'"


def _suspects(column: Column, values: pa.Array, longest_text: int, may_hold_nul: bool) -> list[int]:
    """Positions of the values worth an exact look; never misses one that is wrong."""
    suspects: set[int] = set()
    if column.required and values.null_count:
        suspects.update(_positions(values.is_null()))
    if values.null_count == len(values):
        return sorted(suspects)
    if may_hold_nul:
        suspects.update(_positions(pc.match_substring(values, "\x00")))
    if column.data_type == "text":
        # More bytes than characters allowed is necessary, not sufficient: the exact look decides.
        lengths = pc.binary_length(values)
        if (pc.max(lengths).as_py() or 0) > longest_text:
            suspects.update(_positions(pc.greater(lengths, longest_text)))
        if column.allowed:
            known = pc.is_in(values, pa.array([*column.allowed, None], pa.string()))
            suspects.update(_positions(pc.invert(known)))
        return sorted(suspects)
    suspects.update(_positions(pc.invert(_match(values, _PATTERNS[column.data_type]))))
    if column.minimum is not None:
        suspects.update(_positions(pc.invert(_match(values, _never_below(column.minimum)))))
    if column.maximum is not None:
        suspects.update(_positions(pc.invert(_match(values, _never_above(column.maximum)))))
    if column.data_type == "timestamptz":
        suspects.update(_positions(_match(values, DAY_THAT_MAY_NOT_EXIST)))
    if column.data_type == "jsonb":
        if (pc.max(pc.binary_length(values)).as_py() or 0) > LONGEST_JSON:
            suspects.update(_positions(pc.greater(pc.binary_length(values), LONGEST_JSON)))
        if column.shape == "list":
            suspects.update(_positions(pc.starts_with(values, "{")))
        if column.required_paths:
            suspects.update(_positions(pc.is_valid(values)))
        elif column.amounts or column.texts:
            empty = pc.is_in(values, pa.array(["[]", "{}", None], pa.string()))
            suspects.update(_positions(pc.invert(empty)))
    return sorted(suspects)


def _match(values: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(values, pattern)


def _never_below(minimum: int) -> str:
    """A pattern of numbers that are surely not below: any without a minus, unless 0 is."""
    return "^[^-]" if minimum <= 0 else "^$"


def _never_above(maximum: int) -> str:
    """A pattern of numbers that are surely not above: those with fewer digits."""
    return rf"^[+-]?[0-9]{{1,{len(str(maximum)) - 1}}}(\.|$)" if maximum >= 10 else "^$"


def _positions(mask: pa.Array) -> list[int]:
    if not pc.any(mask).as_py():
        return []
    positions: list[int] = pc.indices_nonzero(mask).to_pylist()
    return positions


def _numeric_fault(value: str) -> str | None:
    if re.fullmatch(NUMERIC, value):
        return None
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", value):
        return (
            f"{shown(value)} has more than {INTEGER_DIGITS} digits before the point "
            f"or {FRACTION_DIGITS} after it"
        )
    return f"{shown(value)} is not a number"


def _bigint_fault(value: str) -> str | None:
    if re.fullmatch(BIGINT, value):
        return None
    if re.fullmatch(r"[+-]?[0-9]+", value):
        return f"{shown(value)} has more than {BIGINT_DIGITS} digits"
    return f"{shown(value)} is not a whole number"


def _range_fault(value: str, column: Column) -> str | None:
    if column.minimum is not None and Decimal(value) < column.minimum:
        return f"{value} is below {column.minimum}"
    if column.maximum is not None and Decimal(value) > column.maximum:
        return f"{value} is above {column.maximum}"
    return None


def _boolean_fault(value: str) -> str | None:
    if re.fullmatch(BOOLEAN, value):
        return None
    return f"{shown(value)} is neither true nor false"


def _timestamp_fault(value: str) -> str | None:
    if not re.fullmatch(TIMESTAMP_FORM, value):
        return f"{shown(value)} is not a date and time like 2026-01-31T09:30:00Z"
    if not FIRST_YEAR <= int(value[:4]) <= LAST_YEAR:
        return f"{shown(value)} is not between {FIRST_YEAR} and {LAST_YEAR}"
    try:
        datetime.fromisoformat(value[:10])
    except ValueError:
        return f"{shown(value)} is a day that does not exist"
    if not re.fullmatch(TIMESTAMP, value):
        return f"{shown(value)} is a time that does not exist"
    return None


class _Unusable(ValueError):
    """A JSON value that PostgreSQL would refuse."""


class _Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()


def _json_fault(value: str, column: Column) -> str | None:
    if len(value) > LONGEST_JSON:
        return f"{shown(value)} is longer than {LONGEST_JSON} characters"
    try:
        parsed = _DECODER.decode(value)
        if "\\u" in value:
            if NUL_ESCAPE.search(value):
                return f"{shown(value)} holds a NUL character"
            json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return f"{shown(value)} holds half of a surrogate pair"
    except _Unusable as error:
        return f"{shown(value)} {error}"
    except RecursionError:
        return f"{shown(value)} is nested too deeply"
    except ValueError:
        return f"{shown(value)} is not JSON"
    if column.shape == "list" and not isinstance(parsed, list):
        return f"{shown(value)} is not a JSON list"
    if column.shape == "object" and not isinstance(parsed, dict):
        return f"{shown(value)} is not a JSON object"
    for paths, misfit in ((column.amounts, _amount_misfit), (column.texts, _text_misfit)):
        for path in paths:
            reason = _path_fault(parsed, path.split("."), 0, misfit)
            if reason is not None:
                return reason
    for path in column.required_paths:
        if _is_missing(parsed, path.split(".")):
            return f"{path} is required, but empty"
    return None


def _is_missing(value: Any, keys: Sequence[str]) -> bool:
    """Whether nothing stands at the end of a path; lists on the way are walked."""
    if isinstance(value, list):
        return any(_is_missing(item, keys) for item in value)
    if not keys:
        return value is None or value == ""
    return not isinstance(value, dict) or _is_missing(value.get(keys[0]), keys[1:])


def _path_fault(
    value: Any, keys: Sequence[str], depth: int, misfit: Callable[[Any], str | None]
) -> str | None:
    """What is wrong at the end of a path, or on the way to it; lists on the way are walked."""
    place = ".".join(keys[:depth])
    if depth == len(keys):
        words = misfit(value) if value is not None else None
        return f"{place} {words}" if words else None
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            reason = _path_fault(item.get(keys[depth]), keys, depth + 1, misfit)
            if reason is not None:
                return reason
        elif item is not None:
            return f"{place} {_shown_json(item)} is not an object".lstrip()
    return None


def _amount_misfit(value: Any) -> str | None:
    if isinstance(value, str):
        text = format(Decimal(value), "f") if isinstance(value, _Number) else value
        if re.fullmatch(AMOUNT, text):
            return None
    return f"{_shown_json(value)} is not an amount"


def _text_misfit(value: Any) -> str | None:
    return None if isinstance(value, str) else "is not a text or number"


def _shown_json(value: Any) -> str:
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list):
        return "[…]"
    return shown(value if isinstance(value, str) else json.dumps(value))


def _json_number(text: str) -> _Number:
    exponent = text.lower().partition("e")[2]
    if len(text) > LONGEST_JSON_NUMBER or (exponent and abs(int(exponent)) > LARGEST_EXPONENT):
        raise _Unusable("holds a number that is out of range")
    return _Number(text)


def _json_constant(text: str) -> Any:
    raise _Unusable(f"holds {text}, which is not JSON")


_DECODER = json.JSONDecoder(
    parse_float=_json_number, parse_int=_json_number, parse_constant=_json_constant
)
_TYPE_FAULTS: dict[str, Callable[[str], str | None]] = {
    "numeric": _numeric_fault,
    "bigint": _bigint_fault,
    "boolean": _boolean_fault,
    "timestamptz": _timestamp_fault,
}
_PATTERNS = {
    "numeric": f"^(?:{NUMERIC})$",
    "bigint": f"^(?:{BIGINT})$",
    "boolean": f"^{BOOLEAN}$",
    "timestamptz": f"^(?:{TIMESTAMP})$",
    "jsonb": f"^(?:{FLAT_OBJECT})$",
}
