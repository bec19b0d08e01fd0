"""The lifecycle, replayed instant by instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .money import Order
from .seeds import Seeds, Tenant

DAY = timedelta(hours=24)
CHURNING = ("at_risk", "customer", "repeat", "churned")
FIRST_SEEN, WINBACK, PURCHASE, REFUND, ENGAGEMENT, TIME_BASED = (
    "first_seen",
    "winback_recovery",
    "purchase",
    "refund",
    "engagement",
    "time_based",
)
TRIGGERS = (FIRST_SEEN, WINBACK, PURCHASE, REFUND, ENGAGEMENT, TIME_BASED)
"""Of several things at one instant, the first of these is the trigger."""


@dataclass(frozen=True)
class Event:
    """Something that may change a stage; the reference is None where there is nothing to name."""

    at: datetime
    trigger: str
    reference: str | None = None

    @property
    def rank(self) -> tuple[datetime, int, bool, str]:
        return (
            self.at,
            TRIGGERS.index(self.trigger),
            self.reference is None,
            self.reference or "",
        )


@dataclass(frozen=True)
class Life:
    """What is known of one customer."""

    first_seen_at: datetime
    orders: tuple[Order, ...]
    engagements: tuple[tuple[datetime, str], ...]
    """Page views and e-mail clicks, with their references."""
    lead_at: datetime | None = None
    lead_reference: str | None = None
    followed_up_at: datetime | None = None
    follow_up_reference: str | None = None
    won: Mapping[str, str] = field(default_factory=dict)
    """The campaign that won an order, by the order's id."""


@dataclass(frozen=True)
class Transition:
    from_stage: str | None
    to_stage: str
    trigger_type: str
    trigger_reference_id: str | None
    transitioned_at: datetime


def days_between(start: datetime, end: datetime) -> int:
    return (end - start) // DAY


def transitions(life: Life, tenant: Tenant, seeds: Seeds, as_of: datetime) -> list[Transition]:
    """Every change of stage up to `as_of`."""
    rules = _Rules(tenant, seeds)
    found: list[Transition] = []
    stage: str | None = None
    at: datetime | None = None
    for event in sorted(_events(life, rules), key=lambda one: one.rank):
        if event.at > as_of or event.at == at:
            continue
        at = event.at
        after = rules.stage(life, at, stage)
        if after != stage:
            found.append(Transition(stage, after, event.trigger, event.reference, at))
            stage = after
    return found


def _events(life: Life, rules: _Rules) -> Iterable[Event]:
    yield Event(life.first_seen_at, FIRST_SEEN)
    engagements = sorted(
        [
            (life.first_seen_at, ""),
            *life.engagements,
            *((one.ordered_at, f"order:{one.order_id}") for one in life.orders if one.was_paid),
        ]
    )
    for order in life.orders:
        if not order.was_paid:
            continue
        reference = f"order:{order.order_id}"
        yield Event(order.ordered_at, PURCHASE, reference)
        if order.order_id in life.won:
            yield Event(order.ordered_at, WINBACK, f"campaign:{life.won[order.order_id]}")
        for refund in order.refunds:
            if order.ended_at is None or refund.refunded_at <= order.ended_at:
                yield Event(refund.refunded_at, REFUND, reference)
        if order.ended_at is not None:
            yield Event(order.ended_at, REFUND, reference)
        for days in (rules.customer_at_risk, rules.repeat_at_risk, rules.vip_lapse):
            if days is not None:
                yield Event(order.ordered_at + (days + 1) * DAY, TIME_BASED)
    if life.lead_at is not None:
        yield Event(life.lead_at, ENGAGEMENT, life.lead_reference)
    if life.followed_up_at is not None:
        yield Event(life.followed_up_at, ENGAGEMENT, life.follow_up_reference)
    # An engagement changes a stage only where it ends a stretch that is long enough for one.
    shortest = min(rules.lead_at_risk, rules.churned)
    before = life.first_seen_at
    for at, reference in engagements:
        if days_between(before, at) > shortest:
            yield Event(at, ENGAGEMENT, reference)
        before = at
        for days in (rules.lead_at_risk, rules.churned):
            yield Event(at + (days + 1) * DAY, TIME_BASED)


class _Rules:
    def __init__(self, tenant: Tenant, seeds: Seeds) -> None:
        def days(name: str) -> int:
            return int(seeds.number(tenant, name))

        self.lead_at_risk = days("lead_at_risk_days")
        self.customer_at_risk = days("customer_at_risk_days")
        self.repeat_at_risk = days("repeat_at_risk_days")
        self.churned = days("churned_days")
        lapse = seeds.setting(tenant, "vip_lapse_days")
        self.vip_lapse = None if lapse is None else int(lapse)
        self.vip_value = seeds.number(tenant, "vip_lifetime_value_amount")

    def stage(self, life: Life, at: datetime, before: str | None) -> str:
        """Read at every instant: what one reading changes is the stage before to the next."""
        while (after := self._reading(life, at, before)) != before:
            before = after
        return after

    def _reading(self, life: Life, at: datetime, before: str | None) -> str:
        orders = [order for order in life.orders if order.counts_at(at)]
        value = sum(order.worth_at(at) for order in orders)
        idle = days_between(last_engaged_at(life, at), at)
        if idle > self.churned and before in CHURNING:
            return "churned"
        if not orders:
            if life.lead_at is None or life.lead_at > at:
                return "visitor"
            if idle > self.lead_at_risk:
                return "at_risk"
            followed_up = life.followed_up_at is not None and life.followed_up_at <= at
            return "prospect" if followed_up else "lead"
        since = days_between(max(order.ordered_at for order in orders), at)
        if len(orders) == 1:
            return "at_risk" if since > self.customer_at_risk else "customer"
        if value >= self.vip_value:
            lapsed = self.vip_lapse is not None and since > self.vip_lapse
            return "at_risk" if lapsed else "vip"
        return "at_risk" if since > self.repeat_at_risk else "repeat"


def last_engaged_at(life: Life, at: datetime) -> datetime:
    """Before any engagement, the clock starts when the customer was first seen."""
    engaged = [
        *(one for one, _ in life.engagements),
        *(order.ordered_at for order in life.orders if order.was_paid),
    ]
    return max((one for one in engaged if one <= at), default=life.first_seen_at)
