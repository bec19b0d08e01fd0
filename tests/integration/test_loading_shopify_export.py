"""An orders export as the Shopify admin writes it, loaded as order objects."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy

from orchestration.ingest.load import load_landing
from orchestration.settings import Settings

EXPORT = Path(__file__).parent / "fixtures" / "shopify_orders_export.csv"


@pytest.fixture
def loaded(database: sqlalchemy.Engine, settings: Settings) -> sqlalchemy.Engine:
    """A database into which the export was loaded: three orders on five rows."""
    folder = Path(settings.landing, "aurora", "shopify_orders")
    folder.mkdir(parents=True)
    shutil.copy(EXPORT, folder / "orders_export_1.csv")
    report = load_landing(database, settings)
    (result,) = report.files
    assert (result.rows_read, result.rows_loaded, result.rows_rejected) == (3, 2, 1)
    return database


def one(database: sqlalchemy.Engine, statement: str) -> tuple[object, ...]:
    with database.connect() as connection:
        return tuple(connection.exec_driver_sql(statement).one())


def test_the_lines_of_an_order_become_one_order(loaded: sqlalchemy.Engine) -> None:
    """Prevents an order of two lines from counting as two orders, or from losing a line."""
    assert one(
        loaded,
        "select name, _line, total_price::text, updated_at::text, tags,"
        " jsonb_array_length(line_items), line_items -> 1 ->> 'title',"
        " line_items -> 0 ->> 'price', discount_codes -> 0 ->> 'code',"
        " customer ->> 'last_name', note_attributes -> 1 ->> 'value',"
        " transactions -> 0 ->> 'amount', jsonb_array_length(refunds)"
        " from raw.shopify_orders where id = '5001001'",
    ) == (
        "#1001", 2, "50.00", "2026-01-06 14:00:00+00", "gift, spring",
        2, 'Wholeness "deep" bath', "15.00", "WELCOME", "Lopez", "spring", "50.00", 0,
    )  # fmt: skip


def test_a_refund_is_dated_with_the_last_known_moment(loaded: sqlalchemy.Engine) -> None:
    """Prevents money given back from being left out because the export gives no date for it."""
    assert one(
        loaded,
        "select refunds -> 0 -> 'transactions' -> 0 ->> 'amount', refunds -> 0 ->> 'created_at',"
        " phone_numbers.e164, customer ->> 'first_name'"
        " from raw.shopify_orders inner join raw.phone_numbers"
        " on shopify_orders.phone = phone_numbers.phone where id = '5001002'",
    ) == ("10.00", "2026-02-03 12:00:00 +0000", "+4930901821", "Bo")


def test_a_bad_order_is_rejected_whole_with_every_reason(loaded: sqlalchemy.Engine) -> None:
    """Prevents a bad amount inside a line from reaching the models that add it up."""
    line, content, reasons = one(loaded, "select line, content, reasons from raw.rejected_rows")
    assert line == 6
    assert str(content).startswith("#1003,cy@example.com,pending")
    assert reasons == [
        "Lineitem quantity: 'one' is not a number",
        "total_price: 'abc' is not a number",
    ]
