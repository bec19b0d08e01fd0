"""Points by a plain reading of the rules: lots that are spent one by one, nothing summed up.

After every change the whole past is told again from its beginning, without the rewards that have
come back unused by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

REDEEMED = ("redeem_discount", "redeem_product")
UNUSED = ("unused_discount", "unused_product")
TAKEN_BACK = ("refund", "cancellation")


@dataclass(frozen=True)
class Event:
    """Something that gives or takes points; the sums are those after it."""

    kind: str
    source_id: str
    at: datetime
    given_points: int = 0
    order_id: str | None = None
    order_amount: Decimal = Decimal(0)
    taken_before: Decimal = Decimal(0)
    taken_after: Decimal = Decimal(0)
    lifetime_value: Decimal = Decimal(0)
    total_orders: int = 0


@dataclass(frozen=True)
class Tier:
    """What a tier asks for, in rising order."""

    name: str
    min_points: int
    min_lifetime_value: Decimal
    min_orders: int
    multiplier: Fraction


@dataclass
class Lot:
    """Points given together."""

    source_id: str
    points: int
    expires_at: datetime
    left: int = 0


@dataclass(frozen=True)
class Step:
    """A change of the points: what happened, and balance less debt after it."""

    at: datetime
    what: str
    source_id: str
    net: int


@dataclass
class Ledger:
    """What a member's events come to."""

    steps: list[Step] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    debt: int = 0
    lifetime_points: int = 0
    tier: str | None = None

    @property
    def net(self) -> int:
        """The balance less the debt."""
        return sum(lot.left for lot in self.lots) - self.debt


@dataclass(frozen=True)
class Change:
    """A lot opens (points above zero), points go, or the lot of that place expires."""

    points: int = 0
    source_id: str = ""
    expires_at: datetime | None = None
    redemption: str | None = None
    expired_lot: int | None = None


def replay(events: Sequence[Event], tiers: Sequence[Tier], zone: str, as_of: datetime) -> Ledger:
    """Take the events in order, with what expires between them and up to `as_of`."""
    ledger = Ledger(tier=_reached(tiers, 0, Decimal(0), 0))
    past: list[Change] = []
    returned: set[str] = set()
    stored: dict[str | None, int] = {}
    waiting: list[tuple[datetime, int]] = []
    for event in events:
        _expire(ledger, past, returned, waiting, event.at)
        points = _points(event, _multiplier(tiers, ledger.tier), stored)
        if event.kind != "adjustment" and event.kind not in (*REDEEMED, *UNUSED):
            ledger.lifetime_points += points
        ledger.tier = _reached(
            tiers, ledger.lifetime_points, event.lifetime_value, event.total_orders
        )
        if not points:
            continue
        if event.kind in UNUSED:
            returned.add(event.source_id)
        elif points > 0:
            expires_at = end_of_day_next_year(event.at, zone)
            waiting.append((expires_at, sum(one.points > 0 for one in past)))
            past.append(Change(points, event.source_id, expires_at))
        else:
            redemption = event.source_id if event.kind in REDEEMED else None
            past.append(Change(points, event.source_id, redemption=redemption))
        _tell(ledger, past, returned)
        ledger.steps.append(Step(event.at, event.kind, event.source_id, ledger.net))
    _expire(ledger, past, returned, waiting, as_of)
    return ledger


def _expire(
    ledger: Ledger,
    past: list[Change],
    returned: set[str],
    waiting: list[tuple[datetime, int]],
    until: datetime,
) -> None:
    while waiting and waiting[0][0] <= until:
        at, place = waiting.pop(0)
        past.append(Change(expired_lot=place))
        _tell(ledger, past, returned)
        ledger.steps.append(Step(at, "expire", ledger.lots[place].source_id, ledger.net))


def _tell(ledger: Ledger, past: Iterable[Change], returned: set[str]) -> None:
    ledger.lots, ledger.debt = [], 0
    for change in past:
        if change.expired_lot is not None:
            ledger.lots[change.expired_lot].left = 0
        elif change.expires_at is not None:
            paid = min(ledger.debt, change.points)
            ledger.debt -= paid
            left = change.points - paid
            ledger.lots.append(Lot(change.source_id, change.points, change.expires_at, left))
        elif change.redemption not in returned:
            missing = -change.points
            for lot in ledger.lots:
                taken = min(lot.left, missing)
                lot.left -= taken
                missing -= taken
            ledger.debt += missing


def _points(event: Event, multiplier: Fraction, stored: dict[str | None, int]) -> int:
    if event.kind == "order":
        whole_units = int(event.order_amount)
        stored[event.order_id] = half_up(whole_units * multiplier)
        return stored[event.order_id]
    if event.kind not in TAKEN_BACK:
        return event.given_points
    if not event.order_amount:
        return 0
    before, after = (
        half_up(stored[event.order_id] * Fraction(taken) / Fraction(event.order_amount))
        for taken in (event.taken_before, event.taken_after)
    )
    return before - after


def half_up(number: Fraction) -> int:
    """Round to the nearest whole number, a half away from zero; for numbers from zero on."""
    return int(number + Fraction(1, 2))


def end_of_day_next_year(at: datetime, zone: str) -> datetime:
    """The end of the same calendar day a year later; 29 February becomes the 28th."""
    local = at.astimezone(ZoneInfo(zone)).date()
    is_leap_day = (local.month, local.day) == (2, 29)
    day = date(local.year + 1, local.month, 28 if is_leap_day else local.day)
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(at.tzinfo)


def _multiplier(tiers: Sequence[Tier], held: str | None) -> Fraction:
    return next((tier.multiplier for tier in tiers if tier.name == held), Fraction(1))


def _reached(tiers: Sequence[Tier], points: int, value: Decimal, orders: int) -> str | None:
    return next(iter(_held(tiers, points, value, orders)), None)


def _held(tiers: Sequence[Tier], points: int, value: Decimal, orders: int) -> Iterator[str]:
    """The tiers whose every minimum is met, the highest first."""
    for tier in reversed(tiers):
        if (
            points >= tier.min_points
            and value >= tier.min_lifetime_value
            and orders >= tier.min_orders
        ):
            yield tier.name
