"""A referrer earns by what a friend does, in whichever build that becomes known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.reference.histories import World
from tests.reference.seeds import Tenant
from tests.reference.warehouse import Warehouse

from .conftest import Worlds
from .loyalty_files import arrive, order

DAY = timedelta(days=1)
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
ADA = "ada@example.com"


def referral(referral_id: str, code: str, email: str) -> dict[str, object]:
    return {
        "id": referral_id,
        "referral_code": code,
        "referred_email": email,
        "used_at": AS_OF - 2 * DAY,
    }


def adas(warehouse: Warehouse, columns: str) -> dict[str, object]:
    """What the account of Ada says."""
    (row,) = warehouse.query(
        f"select {columns} from marts.loyalty_accounts as accounts "
        "inner join marts.customer_identities as identities using (tenant_id, customer_id) "
        f"where identities.identifier = '{ADA}'"
    )
    return row


def statuses(warehouse: Warehouse) -> dict[str, str]:
    rows = warehouse.query("select referral_id, status from marts.referrals")
    return {row["referral_id"]: row["status"] for row in rows}


def test_referrers_follow_their_friends_in_partial_builds(worlds_warehouse: Worlds) -> None:
    """Prevents points that only a whole build gives, takes back, or moves to another referrer."""
    tenant = Tenant("friends", "Europe/Berlin", "EUR", "DE")
    with worlds_warehouse([World(0, tenant, ((),))]) as warehouse:
        bought = AS_OF - 100 * DAY
        arrive(
            warehouse,
            tenant,
            "shopify_orders",
            order("o-ada", ADA, bought),
            order("o-eve", "eve@example.com", bought),
        )
        warehouse.build(AS_OF)
        account = adas(warehouse, "points_balance, referral_code")
        assert account["points_balance"] == 350
        code = str(account["referral_code"])
        arrive(
            warehouse,
            tenant,
            "referrals",
            referral("r-bob", code.lower(), "bob@example.com"),
            referral("r-late", code, "late@example.com"),
            referral("r-self", code, ADA),
            referral("r-eve", code, "eve@example.com"),
        )
        warehouse.build(AS_OF + DAY)
        assert statuses(warehouse) == {
            "r-bob": "pending",
            "r-late": "pending",
            "r-self": "self_referral",
            "r-eve": "customer_before",
        }

        of_bob = order("o-bob", "bob@example.com", AS_OF)
        arrive(warehouse, tenant, "shopify_orders", of_bob)
        warehouse.build(AS_OF + 2 * DAY)
        assert adas(warehouse, "points_balance") == {"points_balance": 380}

        back: dict[str, object] = {"id": "refund", "created_at": (AS_OF + 2 * DAY).isoformat()}
        back["transactions"] = [{"kind": "refund", "status": "success", "amount": "100.00"}]
        newer = {
            **of_bob,
            "updated_at": AS_OF + 2 * DAY,
            "financial_status": "partially_refunded",
            "refunds": [back],
        }
        arrive(warehouse, tenant, "shopify_orders", newer)
        arrive(warehouse, tenant, "referrals", referral("r-late", "ELSEWHER", "late@example.com"))
        warehouse.build(AS_OF + 3 * DAY)
        assert adas(warehouse, "points_balance") == {"points_balance": 370}
        assert statuses(warehouse)["r-late"] == "unknown_code"
        partial = warehouse.contents(("marts", "sync"))
        warehouse.build(AS_OF + 3 * DAY, full_refresh=True)
        assert warehouse.contents(("marts", "sync")) == partial
