"""One tenant's marts, derived from the rules alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from . import (
    affinity,
    clients,
    consent,
    coupons,
    gifts,
    loyalty,
    rfm,
    segments,
    shops,
    stages,
    winback,
)
from .identity import Identities, Key, first_loads_of, resolve, sightings_of
from .money import ZERO, Order, order_ids_of, orders_of, rounded
from .records import (
    Record,
    Values,
    current_records,
    email_of,
    of_source,
    shown_until,
    versions_of,
)
from .seeds import ManualRule, Seeds, Tenant
from .stages import Life, days_between

EXPORTED = (
    "first_name",
    "last_name",
    "client_id",
    "stage",
    "lead_band",
    "primary_collection",
    "lifetime_value",
    "currency",
)
"""What the marketing export takes over from the customer."""

Rows = dict[tuple[Any, ...], dict[str, Any]]
"""Rows of a mart by their key, without the tenant."""


@dataclass
class Marts:
    """What every mart that follows from the customer rules must hold."""

    refusals: set[tuple[Key, Key]] = field(default_factory=set)
    tables: dict[str, Rows] = field(default_factory=lambda: defaultdict(dict))
    people: dict[str, winback.Person] = field(default_factory=dict)
    """Every customer as campaigns see them."""


def derive(
    files: Iterable[tuple[str, Iterable[Values]]],
    tenant: Tenant,
    seeds: Seeds,
    rules: Iterable[ManualRule],
    as_of: datetime,
    campaigns: Iterable[winback.Campaign] = (),
    outbox: winback.Outbox = MappingProxyType({}),
) -> Marts:
    """The marts of a tenant whose files, (source, rows), were loaded in this order."""
    versions = versions_of(files)
    records = current_records(versions, as_of)
    first_loads = first_loads_of(shown_until(versions, as_of), tenant)
    who = resolve(records, tenant, seeds, rules, order_ids_of(records), first_loads)
    orders = orders_of(records, tenant, seeds, as_of)
    answers = consent.subscribed(records, tenant, as_of)
    marts = Marts(who.refusals)
    tables = marts.tables
    for (kind, value), identity in who.identities.items():
        tables["customer_identities"][kind, value] = {
            "customer_id": identity.customer_id,
            "source": identity.source,
            "is_primary": identity.is_primary,
            "first_seen_at": identity.first_seen_at,
            "last_seen_at": identity.last_seen_at,
            "seen_count": identity.seen_count,
        }
    for order in orders:
        own = ("order_reference", order.order_id)
        order.customer_id = who.owner([*order.keys, own]) or ""
        tables["orders"][order.order_id,] = _order_row(order, tenant, as_of)
    touchpoints: dict[str, list[Record]] = defaultdict(list)
    owned = [
        (record, who.owner(sightings_of(record, tenant)[0].keys))
        for record in of_source(records, "touchpoints")
    ]
    named = affinity.named_collections(orders, owned)
    for record, owner in owned:
        if owner is not None:
            touchpoints[owner].append(record)
    won = winback.wins(campaigns, outbox, orders, as_of)
    for customer_id in who.customers():
        own_orders = [order for order in orders if order.customer_id == customer_id]
        life = _life(customer_id, who, own_orders, touchpoints[customer_id], records, won)
        _add_customer(
            tables, customer_id, who, life, touchpoints[customer_id], named, answers,
            tenant, seeds, as_of,
        )  # fmt: skip
        marts.people[customer_id] = winback.Person(
            row={"customer_id": customer_id, **tables["customers"][customer_id,]},
            stages=tuple(
                (move.transitioned_at, move.to_stage)
                for move in stages.transitions(life, tenant, seeds, as_of)
            ),
            orders=life.orders,
            touchpoints=tuple(touchpoints[customer_id]),
        )
    winback.add_winback(tables, campaigns, outbox, marts.people, tenant.tenant_id, as_of)
    shops.add_shops(tables, orders, records, who, tenant, seeds, as_of)
    gifts.add_gifts(tables, orders, records, who, tenant, seeds, as_of)
    coupons.add_coupons(tables, orders, records, as_of)
    loyalty.add_loyalty(tables, orders, records, who, touchpoints, tenant, seeds, as_of)
    clients.add_clients(tables, records, who, tenant, seeds, as_of)
    for table in ("customers", "customer_marketing_export"):
        for key, row in tables[table].items():
            row["loyalty_tier"] = tables["loyalty_accounts"].get(key, {}).get("tier")
    return marts


def _order_row(order: Order, tenant: Tenant, as_of: datetime) -> dict[str, Any]:
    return {
        "customer_id": order.customer_id,
        "source": order.source,
        "status": order.status,
        "is_counted": order.is_counted,
        "ordered_at": order.ordered_at,
        "gross_amount": order.gross,
        "discount_amount": order.discount,
        "refund_amount": order.refunded,
        "net_amount": order.net,
        "currency": order.currency,
        "net_amount_tenant": order.worth_at(as_of),
        "tenant_currency": tenant.currency,
        "shop_id": order.shop_id,
        "collection": order.collection,
    }


def _life(
    customer_id: str,
    who: Identities,
    orders: list[Order],
    touchpoints: list[Record],
    records: list[Record],
    won: Mapping[str, str],
) -> Life:
    own = {key: one for key, one in who.identities.items() if one.customer_id == customer_id}
    seen = [identity.first_seen_at for identity in own.values()]
    seen += [
        record.seen_at
        for record in of_source(records, "client_journey_events")
        if ("contact", record.values["client_id"]) in own
    ]
    captures = [
        (record.seen_at, f"lead:{record.record_id}")
        for record in of_source(records, "leads")
        if ("email", email_of(record.values.get("email"))) in own
    ]
    if any(kind == "email" for kind, _ in own):
        captures += [
            (record.seen_at, f"touchpoint:{record.record_id}")
            for record in touchpoints
            if record.values["type"] == "lead_capture"
        ]
    lead_at, lead_reference = min(captures, default=(None, None))
    follow_ups = [
        (record.seen_at, f"touchpoint:{record.record_id}")
        for record in touchpoints
        if lead_at is not None and record.seen_at > lead_at
    ]
    followed_up_at, follow_up_reference = min(follow_ups, default=(None, None))
    return Life(
        first_seen_at=min(seen),
        orders=tuple(orders),
        engagements=tuple(
            (record.seen_at, f"touchpoint:{record.record_id}")
            for record in touchpoints
            if record.values["type"] in ("page_view", "email_click")
        ),
        lead_at=lead_at,
        lead_reference=lead_reference,
        followed_up_at=followed_up_at,
        follow_up_reference=follow_up_reference,
        won=won,
    )


def _add_customer(
    tables: dict[str, Rows],
    customer_id: str,
    who: Identities,
    life: Life,
    touchpoints: list[Record],
    named: Mapping[str, set[str]],
    answers: dict[consent.Address, bool],
    tenant: Tenant,
    seeds: Seeds,
    as_of: datetime,
) -> None:
    counted = [order for order in life.orders if order.is_counted]
    value = sum((order.worth_at(as_of) for order in counted), ZERO)
    first, last = _ends(order.ordered_at for order in counted)
    days_since_purchase = None if last is None else days_between(last, as_of)
    points = affinity.scores(life.orders, touchpoints, named, seeds)
    primary = affinity.primary(points, seeds)
    for collection, worth in points.items():
        tables["collection_affinity"][customer_id, collection] = {
            "score": worth,
            "is_primary": collection == primary,
        }
    moves = stages.transitions(life, tenant, seeds, as_of)
    for move in moves:
        tables["stage_transitions"][customer_id, move.transitioned_at] = {
            "from_stage": move.from_stage,
            "to_stage": move.to_stage,
            "trigger_type": move.trigger_type,
            "trigger_reference_id": move.trigger_reference_id,
        }
    tables["customer_stages"][customer_id,] = {
        "stage": moves[-1].to_stage,
        "stage_since": moves[-1].transitioned_at,
        "days_since_purchase": days_since_purchase,
        "days_since_engagement": days_between(stages.last_engaged_at(life, as_of), as_of),
    }
    now = rfm.score(life.orders, tenant, seeds, as_of)
    tables["lead_scores"][customer_id,] = {
        "recency_score": now.recency,
        "frequency_score": now.frequency,
        "monetary_score": now.monetary,
        "lead_score": now.lead_score,
        "lead_band": now.lead_band,
        "days_since_purchase": days_since_purchase,
    }
    for period in rfm.history(life.first_seen_at, life.orders, tenant, seeds, as_of):
        lead_score, lead_band, valid_from, valid_to = astuple(period)
        tables["lead_score_history"][customer_id, valid_from] = {
            "lead_score": lead_score,
            "lead_band": lead_band,
            "valid_to": valid_to,
        }
    addresses = {
        kind: value
        for (kind, value), one in who.identities.items()
        if one.customer_id == customer_id and one.is_primary
    }
    email_subscribed = answers.get(("email", addresses.get("email", "")), False)
    for segment_id in segments.memberships(
        segments.Traits(
            stage=moves[-1].to_stage,
            lead_band=now.lead_band,
            primary_collection=primary,
            lifetime_value=value,
            total_orders=len(counted),
            days_since_purchase=days_since_purchase,
            is_email_subscribed=email_subscribed,
        ),
        seeds,
    ):
        tables["segment_memberships"][segment_id, customer_id] = {"added_at": as_of}

    def last_of(touchpoint_type: str) -> datetime | None:
        return _ends(one.seen_at for one in touchpoints if one.values["type"] == touchpoint_type)[1]

    def became(stage: str) -> tuple[datetime | None, datetime | None]:
        return _ends(move.transitioned_at for move in moves if move.to_stage == stage)

    first_name, last_name = _name(who, customer_id)
    tables["customers"][customer_id,] = {
        "email": addresses.get("email"),
        "phone": addresses.get("phone"),
        "first_name": first_name,
        "last_name": last_name,
        "client_id": min(
            (
                value
                for (kind, value), one in who.identities.items()
                if kind == "contact" and one.customer_id == customer_id
            ),
            default=None,
        ),
        "stage": moves[-1].to_stage,
        "lead_score": now.lead_score,
        "lead_band": now.lead_band,
        "primary_collection": primary,
        "total_orders": len(counted),
        "lifetime_value": value,
        "average_order_value": rounded(value / len(counted)) if counted else None,
        "currency": tenant.currency,
        "purchase_frequency_days": _frequency(first, last, len(counted)),
        "first_purchase_at": first,
        "last_purchase_at": last,
        "last_email_open_at": last_of("email_open"),
        "last_email_click_at": last_of("email_click"),
        "last_site_visit_at": last_of("page_view"),
        "became_lead_at": life.lead_at,
        "became_customer_at": became("customer")[0],
        "became_repeat_at": became("repeat")[0],
        "became_vip_at": became("vip")[0],
        "became_at_risk_at": became("at_risk")[1],
        "became_churned_at": became("churned")[1],
        "email_subscribed": email_subscribed,
        "sms_subscribed": answers.get(("sms", addresses.get("phone", "")), False),
        "first_seen_at": life.first_seen_at,
    }
    whole = tables["customers"][customer_id,]
    if whole["email_subscribed"] or whole["sms_subscribed"]:
        tables["customer_marketing_export"][customer_id,] = {
            "email": whole["email"] if whole["email_subscribed"] else None,
            "phone": whole["phone"] if whole["sms_subscribed"] else None,
            **{name: whole[name] for name in EXPORTED},
        }


def _frequency(first: datetime | None, last: datetime | None, count: int) -> Decimal | None:
    """Days between orders, on average."""
    if first is None or last is None or count < 2:
        return None
    return rounded(Decimal(days_between(first, last)) / (count - 1))


def _name(who: Identities, customer_id: str) -> tuple[str | None, str | None]:
    names = who.names.get(customer_id, {})
    ranked = sorted(
        names,
        key=lambda one: (
            -names[one][0],
            -names[one][1].timestamp(),
            one[0] or "",
            one[1] or "",
        ),
    )
    return ranked[0] if ranked else (None, None)


def _ends(instants: Iterable[datetime]) -> tuple[datetime | None, datetime | None]:
    known = sorted(instants)
    return (known[0], known[-1]) if known else (None, None)
