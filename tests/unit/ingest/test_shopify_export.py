"""An orders export taken apart: what is wrong in it, in the sender's own words."""

from __future__ import annotations

from orchestration.ingest.contracts import read_contracts
from orchestration.ingest.shopify_export import SOURCE, read_export
from orchestration.ingest.validation import faults
from orchestration.settings import DBT_PROJECT_DIR

HEADER = (
    "Id,Name,Financial Status,Created at,Currency,Total,Refunded Amount,"
    "Lineitem name,Lineitem quantity,Lineitem price,Lineitem discount\n"
)


def reasons(total: str, refunded: str, quantity: str, price: str, discount: str) -> list[str]:
    """Everything that the loader says about an order with these numbers."""
    row = f"1,#1,paid,2026-01-05,EUR,{total},{refunded},Candle,{quantity},{price},{discount}\n"
    contract = read_contracts(DBT_PROJECT_DIR)[SOURCE]
    found: list[str] = []
    for batch in read_export(contract, iter([(HEADER + row).encode()])).batches:
        found += batch.reasons.get(0, [])
        found += faults(contract, batch.columns, may_hold_nul=True).get(0, [])
    return found


def test_negative_numbers_are_named_once_by_the_names_of_the_export() -> None:
    """Prevents negative money of an export from loading, or a reason nobody can find there."""
    assert reasons("5.00", "0", "1", "6.00", "1.00") == []
    assert reasons("-5", "-4", "-1", "-6", "-3") == [
        "Lineitem quantity: -1 is below 0",
        "Lineitem price: -6 is below 0",
        "Lineitem discount: -3 is below 0",
        "Refunded Amount: -4 is below 0",
        "total_price: -5 is below 0",
    ]
