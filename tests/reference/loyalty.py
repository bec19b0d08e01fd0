"""The loyalty programme of a tenant: what its orders, reviews and gifts of points come to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .identity import Identities
from .ledger import Event, Tier, replay
from .money import ZERO, Order, rounded
from .records import Record, email_of, of_source, phone_of
from .seeds import Seeds, Tenant

Rows = dict[tuple[Any, ...], dict[str, Any]]
RANKS = ("sign_up", "order", "review", "earn_birthday", "earn_bonus", "adjustment", "refund")
Change = tuple[Event, Decimal, int]
"""An event, and by how much it changes lifetime value and orders."""


def tiers(seeds: Seeds) -> list[Tier]:
    """The default tiers, in rising order."""
    return [
        Tier(
            row["tier_id"],
            int(row["min_points"] or 0),
            Decimal(row["min_lifetime_value"] or 0),
            int(row["min_orders"] or 0),
            Fraction(row["points_multiplier"]),
        )
        for row in sorted(seeds.loyalty_tiers(), key=lambda row: int(row["tier_order"]))
    ]


def add_loyalty(
    tables: Mapping[str, Rows],
    orders: list[Order],
    records: list[Record],
    who: Identities,
    touchpoints: Mapping[str, list[Record]],
    tenant: Tenant,
    seeds: Seeds,
    as_of: datetime,
) -> None:
    """The rows of every mart about members and their points."""
    for customer_id in who.customers():
        changes = [
            *(change for one in orders if one.customer_id == customer_id for change in _order(one)),
            *_given(customer_id, touchpoints.get(customer_id, []), records, who, tenant, seeds),
        ]
        if not changes:
            continue
        joined_at = min(event.at for event, _, _ in changes)
        welcome = int(seeds.number(tenant, "points_sign_up"))
        changes.append((Event("sign_up", customer_id, joined_at, welcome), ZERO, 0))
        events = _in_order(changes)
        ledger = replay(events, tiers(seeds), tenant.time_zone, as_of)
        tables["loyalty_accounts"][customer_id,] = {
            "points_balance": max(ledger.net, 0),
            "points_debt": max(-ledger.net, 0),
            "lifetime_points_earned": ledger.lifetime_points,
            "total_orders": events[-1].total_orders,
            "tier": ledger.tier,
            "joined_at": joined_at,
        }
        by_source = {event.source_id: event for event in events}
        for lot in ledger.lots:
            event = by_source[lot.source_id]
            lot_id = _hash(tenant.tenant_id, event.kind, event.source_id, event.kind)
            tables["points_lots"][lot_id,] = {
                "customer_id": customer_id,
                "points": lot.points,
                "remaining_points": lot.left,
                "opened_at": event.at,
                "expires_at": lot.expires_at,
            }


def _in_order(changes: list[Change]) -> list[Event]:
    """At one instant giving comes before taking back; each event knows the sums after it."""

    def place(change: Change) -> tuple[datetime, int, str]:
        event = change[0]
        rank = RANKS.index(event.kind) if event.kind in RANKS else len(RANKS)
        return event.at, rank, event.source_id

    value, count, events = ZERO, 0, []
    for event, amount, orders in sorted(changes, key=place):
        value, count = value + amount, count + orders
        events.append(replace(event, lifetime_value=value, total_orders=count))
    return events


def _order(order: Order) -> Iterator[Change]:
    """What a paid order gives, and what is taken back of it until it ends."""
    if not order.was_paid:
        return
    worth = rounded(order.owed * order.rate)
    points_for = max(worth, ZERO)
    source_id = f"order:{order.order_id}"
    made = Event("order", source_id, order.ordered_at, 0, order.order_id, points_for)
    yield made, worth, 1
    taken = ZERO
    for refund in order.refunds:
        if refund.is_full or (order.ended_at is not None and refund.refunded_at > order.ended_at):
            continue
        before, taken = taken, taken + refund.amount_tenant
        yield (
            replace(
                made,
                kind="refund",
                source_id=f"refund:{refund.refund_id}",
                at=refund.refunded_at,
                taken_before=min(before, points_for),
                taken_after=min(taken, points_for),
            ),
            -refund.amount_tenant,
            0,
        )
    if order.ended_at is not None:
        kind = "refund" if order.status == "refunded" else "cancellation"
        end = replace(made, kind=kind, source_id=f"refund:~end:{order.order_id}", at=order.ended_at)
        yield (
            replace(end, taken_before=min(taken, points_for), taken_after=points_for),
            taken - worth,
            -1,
        )


def _given(
    customer_id: str,
    touchpoints: list[Record],
    records: list[Record],
    who: Identities,
    tenant: Tenant,
    seeds: Seeds,
) -> Iterator[Change]:
    """Fixed points: for reviews, and by hand."""
    for_review = int(seeds.number(tenant, "points_review"))
    for record in touchpoints:
        if record.values["type"] == "review":
            yield Event("review", record.record_id, record.seen_at, for_review), ZERO, 0
    for record in of_source(records, "loyalty_adjustments"):
        email = email_of(record.values.get("email"))
        phone = phone_of(record.values.get("phone"), tenant.phone_region)
        if who.owner([("email", email or ""), ("phone", phone or "")]) == customer_id:
            points = record.values["points"]
            if points is None:
                points = int(seeds.number(tenant, "points_birthday"))
            event = Event(record.values["type"], record.record_id, record.seen_at, points)
            yield event, ZERO, 0


def _hash(*parts: str) -> str:
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest()
