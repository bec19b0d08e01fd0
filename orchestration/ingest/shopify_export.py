"""The orders export of the Shopify admin (Orders > Export), read as Shopify order objects.

The export is a CSV file with one row per line item: the first row of an order holds the order,
the rows that follow repeat its Name and hold further lines. It knows no customer id and no
dates of refunds: a refund is dated with the last thing that the export says happened to the
order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from orchestration.ingest.contracts import Column, Contract
from orchestration.ingest.readers import Reading, RowBatch, first_record, read_rows
from orchestration.ingest.validation import fault

SOURCE = "shopify_orders"
NUMBERS = ("Lineitem quantity", "Lineitem price", "Lineitem discount", "Refunded Amount")
MOMENTS = ("Created at", "Paid at", "Fulfilled at", "Cancelled at")
SIGNS = {"Name", "Financial Status", "Total", "Lineitem name", "Id"}
"""A header with all of these is an export's."""
PLAIN = {
    "id": "Id",
    "name": "Name",
    "email": "Email",
    "phone": "Phone",
    "created_at": "Created at",
    "processed_at": "Paid at",
    "cancelled_at": "Cancelled at",
    "currency": "Currency",
    "financial_status": "Financial Status",
    "fulfillment_status": "Fulfillment Status",
    "total_price": "Total",
    "subtotal_price": "Subtotal",
    "total_discounts": "Discount Amount",
    "total_tax": "Taxes",
    "source_name": "Source",
    "tags": "Tags",
}
LINE = {
    "title": "Lineitem name",
    "sku": "Lineitem sku",
    "quantity": "Lineitem quantity",
    "price": "Lineitem price",
    "total_discount": "Lineitem discount",
    "vendor": "Vendor",
}
OBJECTS = ("line_items", "refunds")
"""What the numbers of the lines go into."""
ADDRESS = ("Name", "Street", "City", "Zip", "Province", "Country", "Phone")
COLUMNS = (
    *PLAIN.values(),
    *LINE.values(),
    *(f"{kind} {part}" for kind in ("Billing", "Shipping") for part in ADDRESS),
    "Fulfilled at",
    "Discount Code",
    "Note Attributes",
    "Refunded Amount",
)
ROWS = Contract(
    "shopify_orders_export",
    "One row per line item of an order.",
    tuple(Column(name, "text", required=name in SIGNS and name != "Id") for name in COLUMNS),
    key=("Id",),
)
Row = dict[str, str]


def is_export(start: bytes) -> bool:
    """Whether a file that starts like this is an orders export."""
    return {name.strip() for name in first_record(start)} >= SIGNS


def read_export(contract: Contract, pieces: Iterator[bytes]) -> Reading:
    """Read an export as orders; a row of the result is one order, with all its lines.

    Raises (also while iterating):
        FileRefused: as for every CSV file.
    """
    rows = read_rows(ROWS, "csv", pieces)
    return Reading(_orders(contract, rows), rows.ignored_columns)


def _orders(contract: Contract, reading: Reading) -> Iterator[RowBatch]:
    """Batches of whole orders: the last of each batch of rows waits for the next."""
    orders: list[_Order] = []
    for batch in reading.batches:
        columns = {name: values.to_pylist() for name, values in batch.columns.items()}
        for at, line in enumerate(batch.lines.tolist()):
            row = {name: values[at] for name, values in columns.items() if values[at]}
            is_continued = orders and "Id" not in row and row.get("Name") == orders[-1].name
            if not is_continued:
                orders.append(_Order(line, row.get("Name")))
            orders[-1].add(row, batch.content(at))
        yield _batch(contract, orders[:-1], batch)
        orders = orders[-1:]
    if orders:
        yield _batch(contract, orders, None)


class _Order:
    """The rows of one order."""

    def __init__(self, line: int, name: str | None) -> None:
        self.line = line
        self.name = name
        self.rows: list[Row] = []
        self.texts: list[str] = []

    def add(self, row: Row, text: str) -> None:
        self.rows.append(row)
        self.texts.append(text)

    def reasons(self) -> list[str]:
        """What is wrong inside the lists and objects, by the names that the sender knows."""
        found = []
        for row in self.rows:
            for name in (*NUMBERS, "Fulfilled at"):
                column = (
                    Column(name, "numeric", minimum=0)
                    if name in NUMBERS
                    else Column(name, "timestamptz")
                )
                reason = fault(column, row.get(name))
                if reason:
                    found.append(f"{name}: {reason}")
        return found

    def values(self) -> dict[str, str | None]:
        """The order object, one text per column of the contract."""
        row = self.rows[0]
        order_id = row.get("Id", "")
        latest = max((row[name] for name in MOMENTS if name in row), key=_instant, default=None)
        refunded = row.get("Refunded Amount", "0")
        objects: dict[str, Any] = {
            "customer": _customer(row),
            "line_items": [
                {"id": f"{order_id}-{number}", **_present(line, LINE)}
                for number, line in enumerate(self.rows, 1)
                if "Lineitem name" in line
            ],
            "transactions": _money(row, "sale", row.get("Total"), row.get("Paid at")),
            "refunds": [
                {
                    "id": f"{order_id}-refund",
                    "created_at": latest,
                    "refund_line_items": [],
                    "transactions": _money(row, "refund", refunded, latest),
                }
            ]
            if refunded.strip("0.")
            else [],
            "discount_codes": [
                {
                    "code": row["Discount Code"],
                    "amount": row.get("Discount Amount", "0"),
                    "type": "fixed_amount",
                }
            ]
            if "Discount Code" in row
            else [],
            "billing_address": _address(row, "Billing"),
            "shipping_address": _address(row, "Shipping"),
            "note_attributes": [
                {"name": name.strip(), "value": value.strip()}
                for name, colon, value in (
                    line.partition(":") for line in row.get("Note Attributes", "").splitlines()
                )
                if colon
            ],
        }
        plain = {name: row.get(column) for name, column in PLAIN.items()}
        written = {
            name: json.dumps(value, ensure_ascii=False) if value is not None else None
            for name, value in objects.items()
        }
        return {**plain, **written, "updated_at": latest}


def _batch(contract: Contract, orders: list[_Order], rows: RowBatch | None) -> RowBatch:
    values = [order.values() for order in orders]
    reasons = {at: order.reasons() for at, order in enumerate(orders)}
    for at, found in reasons.items():
        if found:
            # Rejected already: the contract need not say the same again of the objects.
            values[at] |= dict.fromkeys(OBJECTS)
    texts = ["\n".join(order.texts) for order in orders]
    return RowBatch(
        {
            column.name: pa.array([order.get(column.name) for order in values], pa.string())
            for column in contract.columns
        },
        np.array([order.line for order in orders], dtype=np.int64),
        lambda at: texts[at],
        may_hold_nul=True,
        reasons={at: found for at, found in reasons.items() if found},
        rejected=rows.rejected if rows else [],
    )


def _instant(moment: str) -> tuple[bool, float]:
    """Order of moments like 2026-01-31 09:30:00 -0500; what is none comes first."""
    from datetime import UTC, datetime

    try:
        parsed = datetime.fromisoformat(moment.replace(" -", "-").replace(" +", "+"))
    except ValueError:
        return False, 0.0
    return True, (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _present(row: Row, names: dict[str, str]) -> Row:
    return {name: row[column] for name, column in names.items() if column in row}


def _money(row: Row, kind: str, amount: str | None, at: str | None) -> list[dict[str, str | None]]:
    if not amount or not at:
        return []
    return [
        {
            "id": f"{row.get('Id', '')}-{kind}",
            "kind": kind,
            "status": "success",
            "amount": amount,
            "currency": row.get("Currency"),
            "processed_at": at,
        }
    ]


def _customer(row: Row) -> Row | None:
    """Who bought: the export names no customer, but whom the bill goes to."""
    first, _, last = row.get("Billing Name", "").rpartition(" ")
    named = {
        "email": row.get("Email"),
        "phone": row.get("Phone"),
        "first_name": first or last,
        "last_name": last if first else "",
    }
    return {name: value for name, value in named.items() if value} or None


def _address(row: Row, kind: str) -> Row | None:
    return {
        part.lower(): row[f"{kind} {part}"] for part in ADDRESS if f"{kind} {part}" in row
    } or None
