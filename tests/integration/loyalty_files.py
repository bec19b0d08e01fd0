"""Landing files of a small shop, for tests that follow points through several builds."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tests.reference.histories import File, World
from tests.reference.seeds import Tenant
from tests.reference.warehouse import Warehouse


def order(order_id: str, email: str, at: datetime, code: str | None = None) -> dict[str, object]:
    """A paid order of 300 euros."""
    return {
        "id": order_id,
        "email": email,
        "created_at": at,
        "updated_at": at,
        "test": False,
        "currency": "EUR",
        "financial_status": "paid",
        "total_price": Decimal(300),
        "total_discounts": Decimal(0),
        "transactions": [],
        "line_items": [],
        "discount_codes": [{"code": code, "amount": "5.00"}] if code else [],
    }


def arrive(warehouse: Warehouse, tenant: Tenant, source: str, *rows: dict[str, object]) -> None:
    """Load rows for the tenant."""
    world = World(0, tenant, ((File(source, f"{rows[0]['id']}.jsonl", rows),),))
    warehouse.load([(world, 0)])
