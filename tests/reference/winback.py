"""Win-back campaigns: who may be written to, what became of the message, and whether it helped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import sqrt
from random import Random
from statistics import NormalDist
from typing import Any

from .identity import hash_id
from .money import ZERO, Order
from .records import Record, text_of

DAY, SECOND = timedelta(hours=24), timedelta(seconds=1)
ANSWERS = {
    "email_open": "opened_at",
    "email_click": "clicked_at",
    "email_unsubscribe": "unsubscribed_at",
}
FLOW, CODE = "Flow-a", "Back10"


@dataclass(frozen=True)
class Campaign:
    """A row of the seed."""

    campaign_id: str
    target_stages: str
    min_days_inactive: int | None
    max_days_inactive: int | None
    min_lifetime_value: Decimal | None
    target_collections: str | None
    send_delay_days: int
    attribution_days: int
    holdout_percent: int
    max_recipients_per_run: int
    status: str
    starts_at: datetime
    ends_at: datetime | None
    klaviyo_flow_id: str | None
    discount_code: str | None

    def seed_row(self, tenant_id: str) -> dict[str, object]:
        """Every column of the seed."""
        return {
            **vars(self),
            "tenant_id": tenant_id,
            "campaign_name": self.campaign_id,
            "incentive_type": "free_shipping",
            "klaviyo_metric": "Come back",
            "starts_at": self.starts_at.isoformat(),
            "ends_at": self.ends_at and self.ends_at.isoformat(),
        }


@dataclass(frozen=True)
class Enrolment:
    campaign_id: str
    customer_id: str
    enrolled_at: datetime
    is_held_out: bool


@dataclass(frozen=True)
class Delivery:
    """What became of the message of an enrolment."""

    state: str
    at: datetime
    reason: str | None = None


Outbox = Mapping[Enrolment, Delivery | None]


@dataclass(frozen=True)
class Person:
    """What campaigns look at."""

    row: Mapping[str, Any]
    """The customer's row of `customers`."""
    stages: tuple[tuple[datetime, str], ...]
    """When each stage began."""
    orders: tuple[Order, ...]
    touchpoints: tuple[Record, ...]

    @property
    def counted(self) -> list[Order]:
        own = [order for order in self.orders if order.is_counted]
        return sorted(own, key=lambda order: (order.ordered_at, order.order_id))


def message_id(tenant_id: str, campaign_id: str, customer_id: str) -> str:
    return hash_id(tenant_id, "winback", campaign_id, customer_id)


def is_held_out(campaign: Campaign, tenant_id: str, customer_id: str) -> bool:
    drawn = hash_id(tenant_id, campaign.campaign_id, customer_id)
    return int(drawn[:8], 16) % 100 < campaign.holdout_percent


def reason_against(
    campaign: Campaign, person: Person, as_of: datetime, *, is_recipient: bool
) -> str | None:
    """The first rule that fails."""
    row = person.row
    clocks = [one for one in (row["last_purchase_at"], row["last_email_click_at"]) if one]
    idle = (as_of - max(clocks, default=row["first_seen_at"])) // DAY
    collections = (campaign.target_collections or "").split("|")
    if campaign.status != "active":
        return "campaign_not_active"
    if campaign.starts_at > as_of:
        return "campaign_not_started"
    if campaign.ends_at is not None and campaign.ends_at <= as_of:
        return "campaign_ended"
    if row["stage"] not in campaign.target_stages.split("|"):
        return "stage_not_targeted"
    if row["email"] is None:
        return "no_email"
    if not row["email_subscribed"]:
        return "email_not_subscribed"
    if row["lifetime_value"] < (campaign.min_lifetime_value or row["lifetime_value"]):
        return "lifetime_value_too_low"
    if campaign.target_collections and row["primary_collection"] not in collections:
        return "collection_not_targeted"
    if campaign.min_days_inactive is not None and idle < campaign.min_days_inactive:
        return "not_inactive_long_enough"
    if campaign.max_days_inactive is not None and idle > campaign.max_days_inactive:
        return "inactive_too_long"
    return "already_a_recipient" if is_recipient else None


def sent_at(enrolment: Enrolment, outbox: Outbox, as_of: datetime) -> datetime | None:
    """When the message was sent, as far as the build knows."""
    delivery = outbox[enrolment]
    is_sent = delivery is not None and delivery.state == "accepted" and delivery.at <= as_of
    return delivery.at if is_sent and delivery is not None else None


def wins(
    campaigns: Iterable[Campaign], outbox: Outbox, orders: Iterable[Order], as_of: datetime
) -> dict[str, str]:
    """The campaign that won each order, by the id of the order; the latest message wins."""
    by_customer: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        if order.is_counted:
            by_customer[order.customer_id].append(order)
    claims: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for campaign in sorted(campaigns, key=lambda one: one.campaign_id):
        for enrolment in _of(campaign, outbox, as_of):
            at = sent_at(enrolment, outbox, as_of)
            if enrolment.is_held_out or at is None:
                continue
            order = _first_after(at, campaign, by_customer[enrolment.customer_id])
            if order is not None:
                claims[order.order_id].append((at, campaign.campaign_id))
    return {
        order_id: max(claimed, key=lambda claim: claim[0])[1]
        for order_id, claimed in claims.items()
    }


def add_winback(
    tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]],
    campaigns: Iterable[Campaign],
    outbox: Outbox,
    people: Mapping[str, Person],
    tenant_id: str,
    as_of: datetime,
) -> None:
    """The marts about campaigns."""
    everybody = [order for person in people.values() for order in person.orders]
    won = wins(campaigns, outbox, everybody, as_of)
    for campaign in campaigns:
        recipients = {}
        for enrolment in _of(campaign, outbox, as_of):
            if enrolment.customer_id in people:
                recipients[enrolment.customer_id] = _recipient(
                    enrolment, campaign, campaigns, people[enrolment.customer_id], outbox, won,
                    tenant_id, as_of,
                )  # fmt: skip
        for customer_id, person in people.items():
            reason = reason_against(campaign, person, as_of, is_recipient=customer_id in recipients)
            tables["winback_eligibility"][campaign.campaign_id, customer_id] = {
                "is_eligible": reason is None,
                "reason": reason,
            }
        for customer_id, row in recipients.items():
            tables["winback_recipients"][campaign.campaign_id, customer_id] = row
        tables["winback_performance"][campaign.campaign_id,] = _performance(recipients.values())


def to_enrol(
    campaign: Campaign,
    people: Mapping[str, Person],
    eligible: Iterable[str],
    tenant_id: str,
) -> dict[str, bool]:
    """Whom a run enrols, and whether each is held out."""
    line = sorted((people[one].stages[-1][0], one) for one in eligible)
    return {
        customer_id: is_held_out(campaign, tenant_id, customer_id)
        for _, customer_id in line[: campaign.max_recipients_per_run]
    }


def _of(campaign: Campaign, outbox: Outbox, as_of: datetime) -> list[Enrolment]:
    return [
        one for one in outbox if one.campaign_id == campaign.campaign_id and one.enrolled_at < as_of
    ]


def _first_after(at: datetime, campaign: Campaign, orders: Iterable[Order]) -> Order | None:
    """The first counted order after an instant, inside the window that it opens."""
    end = at + campaign.attribution_days * DAY
    inside = [order for order in orders if order.is_counted and at < order.ordered_at < end]
    return min(inside, key=lambda order: (order.ordered_at, order.order_id), default=None)


def _recipient(
    enrolment: Enrolment,
    campaign: Campaign,
    campaigns: Iterable[Campaign],
    person: Person,
    outbox: Outbox,
    won: Mapping[str, str],
    tenant_id: str,
    as_of: datetime,
) -> dict[str, Any]:
    at = sent_at(enrolment, outbox, as_of)
    since = [begun for begun, _ in person.stages if begun <= enrolment.enrolled_at]
    delayed = [one + campaign.send_delay_days * DAY for one in since[-1:]]
    due_at = max([*delayed, campaign.starts_at, enrolment.enrolled_at])
    start = due_at if enrolment.is_held_out else at
    end = None if start is None else start + campaign.attribution_days * DAY
    bought = [one.ordered_at for one in person.counted if one.ordered_at > enrolment.enrolled_at]
    order = None if start is None else _first_after(start, campaign, person.orders)
    if order is not None and enrolment.is_held_out:
        later = _claims(order, start, person.row["customer_id"], campaigns, outbox, person, as_of)
        order = None if later else order
    elif order is not None and won[order.order_id] != campaign.campaign_id:
        order = None
    answers = {} if at is None or enrolment.is_held_out else _answers(
        enrolment, campaign, campaigns, person, outbox, as_of
    )  # fmt: skip
    reason = _skip_reason(enrolment, campaign, person, bought, outbox, as_of)
    row: dict[str, Any] = {
        "enrolled_at": enrolment.enrolled_at,
        "is_held_out": enrolment.is_held_out,
        "due_at": due_at,
        "message_id": message_id(tenant_id, campaign.campaign_id, enrolment.customer_id),
        "sent_at": at,
        "attribution_ends_at": end,
        **{column: min(answers.get(column, ()), default=None) for column in ANSWERS.values()},
        "recovered_at": order and order.ordered_at,
        "recovery_order_id": order and order.order_id,
        "recovered_amount": order and order.worth_at(as_of),
        "discount_code_used": None,
        "skip_reason": reason,
    }
    if order is not None and campaign.discount_code is not None:
        code = campaign.discount_code.strip().upper()
        row["discount_code_used"] = code if code in order.codes else None
    row["status"] = _status(row, as_of)
    row["is_compared"] = at is not None
    if enrolment.is_held_out:
        row["is_compared"] = due_at <= as_of and all(one > due_at for one in bought)
    return row


def _claims(
    order: Order,
    start: datetime | None,
    customer_id: str,
    campaigns: Iterable[Campaign],
    outbox: Outbox,
    person: Person,
    as_of: datetime,
) -> bool:
    """Whether a message sent since claims the order."""
    for campaign in campaigns:
        for enrolment in _of(campaign, outbox, as_of):
            at = sent_at(enrolment, outbox, as_of)
            if (
                enrolment.customer_id == customer_id
                and not enrolment.is_held_out
                and at is not None
                and start is not None
                and at >= start
                and _first_after(at, campaign, person.orders) == order
            ):
                return True
    return False


def _answers(
    enrolment: Enrolment,
    campaign: Campaign,
    campaigns: Iterable[Campaign],
    person: Person,
    outbox: Outbox,
    as_of: datetime,
) -> dict[str, list[datetime]]:
    """The touchpoints that answer this message rather than another of the person's."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for record in person.touchpoints:
        if record.values["type"] not in ANSWERS:
            continue
        named = _named(record)
        possible = []
        for other in campaigns:
            for one in _of(other, outbox, as_of):
                at = sent_at(one, outbox, as_of)
                if one.customer_id != enrolment.customer_id or one.is_held_out or at is None:
                    continue
                names = (other.campaign_id.lower(), (other.klaviyo_flow_id or "").lower())
                if at < record.seen_at < at + other.attribution_days * DAY and (
                    named is None or named in names
                ):
                    possible.append((at, other.campaign_id))
        latest = max((at for at, _ in possible), default=None)
        answered = min((one for at, one in possible if at == latest), default=None)
        if answered == campaign.campaign_id:
            found[ANSWERS[record.values["type"]]].append(record.seen_at)
    return found


def _named(record: Record) -> str | None:
    values = record.values
    is_reference = text_of(values.get("reference_type")) == "campaign"
    text = values.get("reference_id" if is_reference else "utm_campaign")
    return (text or "").strip(" ").lower() or None


def _skip_reason(
    enrolment: Enrolment,
    campaign: Campaign,
    person: Person,
    bought: list[datetime],
    outbox: Outbox,
    as_of: datetime,
) -> str | None:
    delivery = outbox[enrolment]
    if enrolment.is_held_out or sent_at(enrolment, outbox, as_of) is not None:
        return None
    if delivery and delivery.state in ("skipped", "rejected") and delivery.at <= as_of:
        return delivery.reason or delivery.state
    if person.row["email"] is None:
        return "no_email"
    if not person.row["email_subscribed"]:
        return "email_not_subscribed"
    if bought:
        return "purchased_since_enrolment"
    is_over = campaign.ends_at is not None and campaign.ends_at <= as_of
    return "campaign_ended" if campaign.status == "completed" or is_over else None


def _status(row: Mapping[str, Any], as_of: datetime) -> str:
    if row["is_held_out"]:
        return "held_out"
    if row["sent_at"] is None:
        return "skipped" if row["skip_reason"] else "pending"
    if row["recovered_at"]:
        return "recovered"
    if row["unsubscribed_at"]:
        return "unsubscribed"
    if row["attribution_ends_at"] <= as_of:
        return "expired"
    if row["clicked_at"]:
        return "clicked"
    return "opened" if row["opened_at"] else "sent"


def _performance(recipients: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    everybody = list(recipients)
    sent = [one for one in everybody if one["sent_at"] and not one["is_held_out"]]
    held_out = [one for one in everybody if one["is_held_out"]]
    compared = [one for one in held_out if one["is_compared"]]
    won = sum(one["recovered_at"] is not None for one in sent)
    came_back = sum(one["recovered_at"] is not None for one in compared)
    interval = newcombe(won, len(sent), came_back, len(compared))
    counts = {
        what: sum(one[f"{what}_at"] is not None for one in sent)
        for what in ("opened", "clicked", "unsubscribed", "recovered")
    }
    statuses = [one["status"] for one in everybody]
    return {
        "targeted_count": len(everybody),
        "held_out_count": len(held_out),
        "sent_count": len(sent),
        **{f"{what}_count": count for what, count in counts.items()},
        **{
            f"{status}_count": statuses.count(status)
            for status in ("pending", "skipped", "expired")
        },
        "held_out_compared_count": len(compared),
        "held_out_recovered_count": came_back,
        "recovered_amount": sum((one["recovered_amount"] or ZERO for one in sent), ZERO),
        **{f"{what}_rate": _rate(count, len(sent)) for what, count in counts.items()},
        "held_out_recovered_rate": _rate(came_back, len(compared)),
        "lift_low_rate": None if interval is None else _rounded(interval[0]),
        "lift_rate": None if interval is None else _rounded(interval[1]),
        "lift_high_rate": None if interval is None else _rounded(interval[2]),
    }


def newcombe(
    successes: int, trials: int, other_successes: int, other_trials: int
) -> tuple[float, float, float] | None:
    """Lower end, difference and upper end, from the midpoints and widths of Wilson's intervals."""
    if not trials or not other_trials:
        return None
    low, rate, high = _wilson(successes, trials)
    other_low, other_rate, other_high = _wilson(other_successes, other_trials)
    difference = rate - other_rate
    below = sqrt((rate - low) ** 2 + (other_high - other_rate) ** 2)
    above = sqrt((high - rate) ** 2 + (other_rate - other_low) ** 2)
    return difference - below, difference, difference + above


def _wilson(successes: int, trials: int) -> tuple[float, float, float]:
    z = NormalDist().inv_cdf(0.975)
    rate = successes / trials
    shrink = 1 + z * z / trials
    middle = (rate + z * z / (2 * trials)) / shrink
    half = z / shrink * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return middle - half, rate, middle + half


def _rate(count: int, of: int) -> Decimal | None:
    return None if of == 0 else _rounded(count / of)


def _rounded(value: float) -> Decimal:
    # the ends of an interval are compared to four places, so the noise of the last bits goes first
    return Decimal(f"{value:.12f}").quantize(Decimal("0.0001"), ROUND_HALF_UP)


def draw_campaigns(seed: int, as_of: datetime) -> tuple[Campaign, ...]:
    """Two or three campaigns; the first one addresses nearly everybody."""
    random = Random(f"campaigns of {seed}")
    wide = Campaign(
        campaign_id="c-a",
        target_stages="at_risk|churned",
        min_days_inactive=None,
        max_days_inactive=None,
        min_lifetime_value=None,
        target_collections=None,
        send_delay_days=random.choice((0, 1, 10)),
        attribution_days=random.choice((1, 14, 14, 30)),
        holdout_percent=random.choice((0, 30, 100)),
        max_recipients_per_run=random.choice((1, 500)),
        status="active",
        starts_at=as_of - 400 * DAY,
        ends_at=None,
        klaviyo_flow_id=FLOW,
        discount_code=CODE,
    )
    others = [
        replace(
            wide,
            campaign_id=f"c-{letter}",
            target_stages=random.choice(("at_risk", "churned", "at_risk|churned")),
            min_days_inactive=random.choice((None, 60, 90)),
            max_days_inactive=random.choice((None, 120, 180)),
            min_lifetime_value=random.choice((None, None, Decimal("50"))),
            target_collections=random.choice((None, None, "growth|grounding")),
            send_delay_days=random.choice((0, 1, 10)),
            attribution_days=random.choice((1, 14, 14, 30)),
            holdout_percent=random.choice((0, 50)),
            status=random.choice(("active",) * 4 + ("draft", "paused", "completed")),
            starts_at=as_of - random.choice((400 * DAY, 30 * DAY, 0 * DAY, -SECOND)),
            ends_at=random.choice((None, None, as_of, as_of + SECOND)),
            klaviyo_flow_id=None,
            discount_code=random.choice((None, "OTHER")),
        )
        for letter in ("b", "c")[: random.randint(1, 2)]
    ]
    return (wide, *others)


def draw_outbox(
    seed: int, campaigns: Iterable[Campaign], people: Mapping[str, Person], as_of: datetime
) -> Outbox:
    """Enrolments and messages that could have been, on both sides of what people did."""
    drawn: dict[Enrolment, Delivery | None] = {}
    for campaign in campaigns:
        window = campaign.attribution_days * DAY
        for customer_id, person in people.items():
            random = Random(f"{seed} {campaign.campaign_id} {person.row['first_seen_at']}")
            if random.random() < 0.4:
                continue
            moments = [order.ordered_at for order in person.orders]
            moments += [one.seen_at for one in person.touchpoints if one.values["type"] in ANSWERS]
            moments = [one for one in moments if one > as_of - 70 * DAY] or moments
            near = random.choice(moments) if moments else as_of - 10 * DAY
            edges = (window, window - SECOND, window + SECOND)
            early = random.choice((0 * DAY, SECOND, SECOND, DAY, 3 * DAY, *edges))
            at = near - early
            if random.random() < 0.2:
                at = as_of - random.choice((0 * DAY, -SECOND, window, window - SECOND, 40 * DAY))
            enrolled_at = at - random.choice((0 * DAY, DAY, 12 * DAY))
            enrolment = Enrolment(
                campaign.campaign_id, customer_id, enrolled_at, random.random() < 0.25
            )
            state = random.choice(
                ("accepted",) * 5 + ("skipped", "rejected", "unknown", "intended", None)
            )
            reason = random.choice(("frequency_cap", None)) if state == "skipped" else None
            is_on_its_way = state is not None and not enrolment.is_held_out
            drawn[enrolment] = Delivery(str(state), at, reason) if is_on_its_way else None
        forgotten = Enrolment(campaign.campaign_id, "forgotten", as_of - 20 * DAY, False)
        drawn[forgotten] = Delivery("accepted", as_of - 19 * DAY)
    return drawn
