"""Limits of coupons: verdicts rest on earlier ones, and yet two running counts find them all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from orchestration.settings import Settings
from orchestration.transform import transform
from orchestration.warehouse.database import engine

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
COUPONS = 20_000 if IS_LONG else 400
BEFORE = (None, None, None, None, None, None, "expired", "not_active")
AFTER = (None, None, None, None, "restricted", "not_first_order")
INSERT = """
    insert into intermediate.int_gifts_coupons__uses (
        tenant_id, order_id, code, coupon_id, customer_id, ordered_at, is_counted, usage_limit,
        usage_limit_per_customer, is_depleted, reason_before_limit, reason_after_limit,
        discount_amount, net_amount, currency
    )
    values (%s, %s, 'CODE', %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 'EUR')
"""


@dataclass(frozen=True)
class Use:
    """A use of a coupon, with all that is known before limits are asked."""

    tenant_id: str
    order_id: str
    coupon_id: str
    customer_id: str
    at: datetime
    is_counted: bool
    limit: int | None
    personal_limit: int | None
    is_depleted: bool
    before: str | None
    after: str | None


def draw(seed: int) -> list[Use]:
    """Uses of one coupon by a few people, often at the same instant."""
    random = Random(seed)
    limit, personal = random.choice((None, 0, 1, 2, 4, 7)), random.choice((None, 0, 1, 2, 3))
    depleted_at = random.choice((None, None, None, AS_OF - timedelta(days=3)))
    uses = []
    for number in range(random.randint(1, 16)):
        at = AS_OF - timedelta(days=random.randrange(10))
        uses.append(
            Use(
                tenant_id=random.choice(("acme", "acme", "other")),
                order_id=f"order-{random.randrange(10**9)}-{seed}-{number}",
                coupon_id=f"coupon-{seed}",
                customer_id=random.choice(("ada", "ada", "ben", "cleo")),
                at=at,
                is_counted=random.random() < 0.8,
                limit=limit,
                personal_limit=personal,
                is_depleted=depleted_at is not None and at >= depleted_at,
                before=random.choice(BEFORE),
                after=random.choice(AFTER),
            )
        )
    return uses


def judged(uses: Iterable[Use]) -> dict[tuple[str, str], str]:
    """The verdict of each use, one after the other."""
    used: Counter[tuple[str, str]] = Counter()
    had: Counter[tuple[str, str, str]] = Counter()
    verdicts = {}
    for use in sorted(uses, key=lambda one: (one.at, one.order_id)):
        coupon = (use.tenant_id, use.coupon_id)
        person = (*coupon, use.customer_id)
        if use.before:
            verdict = use.before
        elif use.is_depleted or (use.limit is not None and used[coupon] >= use.limit):
            verdict = "usage_limit_reached"
        elif use.after:
            verdict = use.after
        elif use.personal_limit is not None and had[person] >= use.personal_limit:
            verdict = "personal_limit_reached"
        else:
            verdict = "valid"
            used[coupon] += use.is_counted
            had[person] += use.is_counted
        verdicts[use.tenant_id, use.order_id] = verdict
    return verdicts


@pytest.mark.long
def test_two_running_counts_judge_like_one_use_after_the_other(built: Settings) -> None:
    """Prevents a use too many, or one refused too early, in any order of people, limits and orders
    that do not count."""
    uses = [use for seed in range(COUPONS) for use in draw(seed)]
    database = engine(built)
    with database.begin() as connection:
        connection.exec_driver_sql("truncate intermediate.int_gifts_coupons__uses")
        connection.exec_driver_sql(
            INSERT,
            [
                (
                    use.tenant_id, use.order_id, use.coupon_id, use.customer_id, use.at,
                    use.is_counted, use.limit, use.personal_limit, use.is_depleted, use.before,
                    use.after,
                )
                for use in uses
            ],
        )  # fmt: skip
    transform(built, AS_OF, select=["coupon_uses"], with_tests_of_selected=False).require_success()
    with database.connect() as connection:
        rows = connection.exec_driver_sql(
            "select tenant_id, order_id, verdict from marts.coupon_uses"
        ).all()
    database.dispose()
    found = {(tenant_id, order_id): verdict for tenant_id, order_id, verdict in rows}
    expected = judged(uses)
    assert set(expected.values()) == {
        *("valid", "expired", "not_active", "usage_limit_reached", "restricted"),
        *("not_first_order", "personal_limit_reached"),
    }
    wrong = {key for key in expected if found.get(key) != expected[key]}
    assert not wrong, [use for use in uses if (use.tenant_id, use.order_id) in wrong][:5]
    assert len(found) == len(expected)
