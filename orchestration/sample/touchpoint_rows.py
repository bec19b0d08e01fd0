"""The Arrow shape of a touchpoint file, shared by everything that writes touchpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from orchestration.sample.world import SOURCES

AMOUNT = pa.decimal128(12, 2)
INSTANT = pa.timestamp("s", tz="UTC")
SCHEMA = pa.schema(
    [
        (name, {"value": AMOUNT, "occurred_at": INSTANT}.get(name, pa.string()))
        for name in SOURCES["touchpoints"].columns
    ]
)


def touchpoint_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Touchpoints given one by one; `value` in cents, `occurred_at` in seconds, both nullable."""
    complete = [
        {
            **row,
            "value": None if row.get("value") is None else Decimal(row["value"]).scaleb(-2),
        }
        for row in rows
    ]
    return pa.Table.from_pylist(complete, schema=SCHEMA)


def cents_to_amounts(cents: np.ndarray[Any, np.dtype[np.int64]], is_null: Any) -> pa.Array:
    """Non-negative cents as decimals, without a Python object per row."""
    words = np.zeros((len(cents), 2), dtype=np.int64)
    words[:, 0] = cents
    validity = np.packbits(~is_null, bitorder="little").tobytes()
    return pa.Array.from_buffers(
        AMOUNT, len(cents), [pa.py_buffer(validity), pa.py_buffer(words.tobytes())]
    )
