"""Recency, frequency and monetary value: the score now, and each time it changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import ceil

from .money import ZERO, Order
from .seeds import Seeds, Span, Tenant
from .stages import DAY, days_between

WEIGHTS = {
    "recency": "recency_weight",
    "frequency": "frequency_weight",
    "monetary": "monetary_weight",
}


@dataclass(frozen=True)
class Score:
    recency: int
    frequency: int
    monetary: int
    lead_score: int
    lead_band: str


@dataclass(frozen=True)
class Period:
    """A score that held from one instant until another; None is still."""

    lead_score: int
    lead_band: str
    valid_from: datetime
    valid_to: datetime | None


def score(orders: Iterable[Order], tenant: Tenant, seeds: Seeds, at: datetime) -> Score:
    counted = [order for order in orders if order.counts_at(at)]
    spans = {dimension: seeds.spans(dimension) for dimension in WEIGHTS}
    recency = min(span.points for span in spans["recency"])
    if counted:
        since = days_between(max(order.ordered_at for order in counted), at)
        recency = _points(spans["recency"], since)
    frequency = _points(spans["frequency"], len(counted))
    value = sum((order.worth_at(at) for order in counted), ZERO)
    monetary = _points(spans["monetary"], value)
    weights = {one: seeds.number(tenant, name) for one, name in WEIGHTS.items()}
    total = int(
        weights["recency"] * recency
        + weights["frequency"] * frequency
        + weights["monetary"] * monetary
    )
    band = next(name for name, least, most in seeds.bands() if least <= total <= most)
    return Score(recency, frequency, monetary, total, band)


def history(
    first_seen_at: datetime, orders: Iterable[Order], tenant: Tenant, seeds: Seeds, as_of: datetime
) -> list[Period]:
    """One period per change of the score, from the first time that the customer was seen."""
    orders = list(orders)
    instants = {first_seen_at}
    for order in orders:
        instants |= {order.ordered_at, *(refund.refunded_at for refund in order.refunds)}
        if order.ended_at is not None:
            instants.add(order.ended_at)
        for span in seeds.spans("recency"):
            if span.from_value is not None:
                instants.add(order.ordered_at + ceil(span.from_value) * DAY)
    periods: list[Period] = []
    for at in sorted(one for one in instants if first_seen_at <= one <= as_of):
        now = score(orders, tenant, seeds, at)
        if periods and periods[-1].lead_score == now.lead_score:
            continue
        if periods:
            before = periods.pop()
            periods.append(Period(before.lead_score, before.lead_band, before.valid_from, at))
        periods.append(Period(now.lead_score, now.lead_band, at, None))
    return periods


def _points(spans: Iterable[Span], value: Decimal | int) -> int:
    return next(span.points for span in spans if span.holds(value))
