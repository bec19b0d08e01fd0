"""Gifts: a code for each, drawn once, and claims with the very codes that were drawn."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy

from orchestration.activation import gift_codes
from orchestration.activation.gift_codes import mint_gift_codes
from orchestration.settings import Settings
from orchestration.warehouse.database import engine
from tests.reference.histories import World
from tests.reference.seeds import Tenant
from tests.reference.warehouse import Warehouse

from .conftest import Worlds
from .loyalty_files import arrive, order

GIFTS, PROCESSES = 40, 8
DAY = timedelta(days=1)
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
MAKE = """
    insert into raw.gifts (
        tenant_id, id, recipient_email, created_at, _load_id, _line, _loaded_at, _is_current
    )
    select
        tenant_id, 'gift-' || number, 'eve@example.com', '2026-05-01T00:00:00Z', 0, number,
        '2026-05-01T00:00:00Z', true
    from generate_series(1, %(gifts)s) as number, unnest(array['acme', 'other']) as tenant_id
"""


@pytest.fixture
def gifts(built: Settings) -> Iterator[sqlalchemy.Engine]:
    """A warehouse with gifts of two tenants that have no code yet."""
    made = engine(built)
    with made.begin() as connection:
        connection.exec_driver_sql(MAKE, {"gifts": GIFTS})
    yield made
    made.dispose()


def codes(database: sqlalchemy.Engine) -> dict[tuple[str, str], str]:
    """The code of each made gift."""
    with database.connect() as connection:
        rows = connection.exec_driver_sql(
            "select tenant_id, gift_id, code from outbox.gift_codes "
            "where tenant_id in ('acme', 'other')"
        ).all()
    return {(tenant_id, gift_id): code for tenant_id, gift_id, code in rows}


def mint_together(settings: Settings, start: Barrier) -> None:
    """Draw codes when everybody is ready."""
    start.wait()
    mint_gift_codes(settings)


def test_every_gift_gets_one_code_whoever_draws(built: Settings, gifts: sqlalchemy.Engine) -> None:
    """Prevents: a gift with two codes, or without any, when several programs draw at once."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(PROCESSES)
    drawing = [context.Process(target=mint_together, args=(built, start)) for _ in range(PROCESSES)]
    for process in drawing:
        process.start()
    for process in drawing:
        process.join()
    assert {process.exitcode for process in drawing} == {0}
    drawn = codes(gifts)
    assert len(drawn) == 2 * GIFTS
    assert mint_gift_codes(built) == 0
    assert codes(gifts) == drawn


def test_a_code_that_is_taken_is_drawn_again(
    built: Settings, gifts: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a build that fails, or two gifts of a tenant with one code, by chance."""
    few = iter(f"GIFT-AAAA-AA{number // 3:02d}" for number in range(12 * GIFTS))
    monkeypatch.setattr(gift_codes, "new_gift_code", lambda: next(few))
    assert mint_gift_codes(built) == 2 * GIFTS
    for tenant_id in ("acme", "other"):
        own = [code for (tenant, _), code in codes(gifts).items() if tenant == tenant_id]
        assert len(set(own)) == len(own) == GIFTS


def gift(gift_id: str, order_id: str | None, **changes: object) -> dict[str, object]:
    return {
        "id": gift_id,
        "order_id": order_id,
        "sender_email": "ada@example.com",
        "recipient_email": "eve@example.com",
        "created_at": AS_OF - 20 * DAY,
        **changes,
    }


def states(warehouse: Warehouse) -> dict[str, str]:
    """The status of each gift, and the reason against each claim."""
    return {
        row["id"]: row["state"]
        for row in warehouse.query(
            "select gift_id as id, status as state from marts.gifts union all "
            "select gift_claim_id, coalesce(reason, status) from marts.gift_claims"
        )
    }


def test_gifts_are_followed_to_their_end(worlds_warehouse: Worlds) -> None:
    """Prevents: a real code that is unknown, and a gift that a claim, a refund or the time has
    changed without its sender being touched."""
    tenant = Tenant("gifts", "Australia/Sydney", "EUR", "AU")
    with worlds_warehouse([World(0, tenant, ((),))]) as warehouse:
        paid = order("o-paid", "ada@example.com", AS_OF - 20 * DAY)
        back = order("o-back", "bob@example.com", AS_OF - 20 * DAY)
        arrive(warehouse, tenant, "shopify_orders", paid, back)
        arrive(
            warehouse,
            tenant,
            "gifts",
            gift("wanted", "o-paid"),
            gift("later", "o-paid", scheduled_delivery_at=AS_OF + DAY),
            gift("given-back", "o-back"),
            gift("forgotten", None),
        )
        assert mint_gift_codes(warehouse.settings) == 4
        warehouse.build(AS_OF)
        assert states(warehouse) == {
            "wanted": "delivered",
            "later": "pending",
            "given-back": "delivered",
            "forgotten": "delivered",
        }
        sent = "select payload::text as body from sync.sync_klaviyo__gift_deliveries"
        assert len(warehouse.query(sent)) == 3

        by_gift = {
            row["gift_id"]: row["code"]
            for row in warehouse.query("select gift_id, code from outbox.gift_codes")
        }
        told = " ".join(row["body"] for row in warehouse.query(sent))
        assert by_gift["wanted"] in told
        assert by_gift["later"] not in told
        later = AS_OF + 2 * DAY
        arrive(
            warehouse,
            tenant,
            "gift_claims",
            *(
                {
                    "id": claim_id,
                    "gift_code": f" {by_gift[gift_id].lower()}",
                    "email": email,
                    "claimed_at": at,
                }
                for claim_id, gift_id, email, at in (
                    ("first", "wanted", "eve@example.com", AS_OF + DAY),
                    ("second", "wanted", "bob@example.com", AS_OF + DAY),
                    ("too-early", "later", "eve@example.com", AS_OF),
                    ("too-late", "given-back", "eve@example.com", AS_OF + DAY),
                )
            ),
        )
        returned = {**back, "financial_status": "refunded", "updated_at": AS_OF + DAY / 2}
        moved = {"kind": "refund", "status": "success", "amount": "300.00"}
        returned["refunds"] = [
            {"id": "r", "created_at": (AS_OF + DAY / 2).isoformat(), "transactions": [moved]}
        ]
        arrive(warehouse, tenant, "shopify_orders", returned)
        warehouse.build(later)
        assert states(warehouse) == {
            "wanted": "claimed",
            "first": "accepted",
            "second": "already_claimed",
            "later": "delivered",
            "too-early": "not_delivered",
            "given-back": "cancelled",
            "too-late": "order_cancelled",
            "forgotten": "delivered",
        }
        (claimed,) = warehouse.query("select * from marts.gifts where status = 'claimed'")
        assert claimed["gift_claim_id"] == "first"
        assert claimed["claimed_by_customer_id"] is None

        # the ninetieth day after the 12th of May, when it was made in Sydney, is the 10th of August
        last_day = datetime(2026, 8, 10, 14, tzinfo=UTC)
        warehouse.build(last_day)
        assert states(warehouse)["forgotten"] == states(warehouse)["later"] == "expired"
        assert warehouse.query(sent) == []
