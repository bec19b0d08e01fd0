"""Gifts and the claims for them, by a plain reading of the rules: one claim after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from .identity import Identities
from .money import Order
from .records import Record, email_of, of_source
from .seeds import Seeds, Tenant

Rows = dict[tuple[Any, ...], dict[str, Any]]
STATUSES = ("pending", "delivered", "claimed", "expired", "cancelled")


@dataclass
class Gift:
    """A gift, with the instants between which it can be claimed."""

    record: Record
    order: Order | None
    due_at: datetime
    expires_at: datetime
    claim: Record | None = None

    @property
    def is_paid(self) -> bool:
        if self.record.values.get("order_id") is None:
            return True
        return self.order is not None and self.order.was_paid

    @property
    def cancelled_at(self) -> datetime | None:
        """When its order ended; from the beginning, if nobody ever paid."""
        if self.order is None or self.order.status not in ("cancelled", "refunded"):
            return None
        ended_at = self.order.ended_at or self.record.seen_at
        return ended_at if ended_at < self.expires_at else None

    @property
    def delivery_at(self) -> datetime | None:
        ends = [end for end in (self.expires_at, self.cancelled_at) if end is not None]
        return self.due_at if self.is_paid and self.due_at < min(ends) else None

    def reason_against(self, at: datetime) -> str | None:
        """Why it cannot be claimed at that instant."""
        if self.delivery_at is None or at < self.delivery_at:
            return "not_delivered"
        if self.cancelled_at is not None and at >= self.cancelled_at:
            return "order_cancelled"
        if at >= self.expires_at:
            return "expired"
        return "already_claimed" if self.claim is not None else None

    def status(self, as_of: datetime) -> str:
        if self.claim is not None:
            return "claimed"
        if self.cancelled_at is not None:
            return "cancelled"
        if self.expires_at <= as_of:
            return "expired"
        return "delivered" if self.delivered_at(as_of) else "pending"

    def delivered_at(self, as_of: datetime) -> datetime | None:
        at = self.delivery_at
        return at if at is not None and at <= as_of else None


def code_of(gift_id: str) -> str:
    """The code that a gift of a drawn world gets, so that its claims can be drawn with it."""
    letters = hashlib.sha256(gift_id.encode()).hexdigest().upper()
    return f"GIFT-{letters[:4]}-{letters[4:8]}"


def end_of_day_after(at: datetime, days: int, zone: str) -> datetime:
    """The end of the day of the tenant so many days after that of `at`."""
    day = at.astimezone(ZoneInfo(zone)).date() + timedelta(days=days + 1)
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(at.tzinfo)


def add_gifts(
    tables: Mapping[str, Rows],
    orders: list[Order],
    records: list[Record],
    who: Identities,
    tenant: Tenant,
    seeds: Seeds,
    as_of: datetime,
) -> None:
    """The rows of every mart about gifts."""
    days = int(seeds.number(tenant, "gift_expiry_days"))
    by_number = {
        one.source_order_id: one
        for one in sorted(orders, key=lambda one: one.order_id, reverse=True)
    }
    gifts = {}
    for record in of_source(records, "gifts"):
        order = by_number.get(record.values.get("order_id") or "")
        scheduled_at = record.values.get("scheduled_delivery_at")
        due = (record.seen_at, scheduled_at, order and order.ordered_at)
        gifts[code_of(record.record_id)] = Gift(
            record,
            order,
            max(at for at in due if at is not None),
            end_of_day_after(record.seen_at, days, tenant.time_zone),
        )

    def owner(email: str | None) -> str | None:
        return who.owner([("email", email_of(email) or "")])

    refused = 0
    claims = of_source(records, "gift_claims")
    for claim in sorted(claims, key=lambda one: (one.seen_at, one.record_id)):
        gift = gifts.get(claim.values["gift_code"].strip().upper())
        reason = "unknown_code" if gift is None else gift.reason_against(claim.seen_at)
        if gift is not None and reason is None:
            gift.claim = claim
        refused += reason is not None
        tables["gift_claims"][claim.record_id,] = {
            "gift_id": gift and gift.record.record_id,
            "customer_id": owner(claim.values.get("email")),
            "claimed_at": claim.seen_at,
            "status": "accepted" if reason is None else "refused",
            "reason": reason,
        }
    counts = dict.fromkeys(STATUSES, 0)
    delivered = 0
    for code, gift in gifts.items():
        values = gift.record.values
        counts[gift.status(as_of)] += 1
        delivered += gift.delivered_at(as_of) is not None
        tables["gifts"][gift.record.record_id,] = {
            "customer_id": owner(values.get("sender_email"))
            or (gift.order.customer_id if gift.order else None),
            "status": gift.status(as_of),
            "code": code,
            "recipient_email": email_of(values["recipient_email"]),
            "due_at": gift.due_at,
            "delivered_at": gift.delivered_at(as_of),
            "claimed_at": gift.claim and gift.claim.seen_at,
            "gift_claim_id": gift.claim and gift.claim.record_id,
            "claimed_by_customer_id": owner(gift.claim.values.get("email")) if gift.claim else None,
            "cancelled_at": gift.cancelled_at,
            "expires_at": gift.expires_at,
        }
    share = Decimal(counts["claimed"]) / delivered if delivered else None
    tables["gift_overview"][()] = {
        "gift_count": len(gifts),
        **{f"{status}_count": count for status, count in counts.items()},
        "refused_claim_count": refused,
        "claim_rate": share and share.quantize(Decimal("0.0001"), ROUND_HALF_UP),
    }
