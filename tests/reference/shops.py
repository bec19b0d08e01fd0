"""Slug shops: who buys there, and what visits, pages, networks and months bring."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from .identity import Identities
from .money import ZERO, Order, rounded
from .records import Record, of_source, phone_of, text_of
from .seeds import Seeds, Tenant
from .stages import DAY, days_between

Rows = dict[tuple[Any, ...], dict[str, Any]]
RATE = Decimal("0.0001")


class Purchase:
    """An order of a slug shop, with what its record shows."""

    def __init__(self, order: Order, record: Record, tenant: Tenant, as_of: datetime) -> None:
        self.order = order
        self.shop_id = record.values["shop_id"]
        self.slug = text_of(record.values.get("slug"))
        self.network = text_of(record.values.get("network"))
        self.phone = phone_of(record.values.get("phone_number"), tenant.phone_region)
        self.at = order.ordered_at
        self.on = order.ordered_at.astimezone(ZoneInfo(tenant.time_zone)).date()
        self.worth = order.worth_at(as_of)
        self.number: int | None = None


def add_shops(
    tables: Mapping[str, Rows],
    orders: Iterable[Order],
    records: list[Record],
    who: Identities,
    tenant: Tenant,
    seeds: Seeds,
    as_of: datetime,
) -> None:
    """The rows of every mart about slug shops."""
    by_id = {f"shop:{one.record_id}": one for one in of_source(records, "shop_orders")}
    purchases = sorted(
        (
            Purchase(order, by_id[order.order_id], tenant, as_of)
            for order in orders
            if order.source == "shop"
        ),
        key=lambda one: (one.at, one.order.order_id),
    )
    visits = of_source(records, "shop_visits")
    counted = [one for one in purchases if one.order.is_counted]
    buyers: dict[tuple[str, str], list[Purchase]] = defaultdict(list)
    for one in counted:
        if one.phone and ("shop_phone", f"{one.shop_id}:{one.phone}") in who.identities:
            buyers[one.shop_id, one.phone].append(one)
            one.number = len(buyers[one.shop_id, one.phone])
    for one in purchases:
        tables["shop_purchases"][one.order.order_id,] = {
            "customer_id": one.order.customer_id,
            "slug": one.slug,
            "phone": one.phone,
            "purchase_number": one.number,
            "net_amount": one.worth,
        }
    for (shop_id, phone), own in buyers.items():
        tables["shop_customers"][shop_id, phone] = {
            "customer_id": who.identities["shop_phone", f"{shop_id}:{phone}"].customer_id,
            "first_purchase_at": own[0].at,
            "last_purchase_at": own[-1].at,
            "total_purchases": len(own),
            "total_spent_amount": _worth(own),
            "is_repeat": len(own) > 1,
            "first_slug": own[0].slug,
            "preferred_network": _preferred(own),
        }
    shops = {one.shop_id for one in purchases} | {one.values["shop_id"] for one in visits}
    for shop_id in shops:
        mine = [own for (shop, _), own in buyers.items() if shop == shop_id]
        own_counted = [one for one in counted if one.shop_id == shop_id]
        own_visits = [one for one in visits if one.values["shop_id"] == shop_id]
        _add_overview(tables, shop_id, mine, own_counted, len(own_visits), tenant, seeds, as_of)
        _add_slugs(tables, shop_id, own_counted, own_visits)
        _add_groups(tables, shop_id, mine, seeds, as_of)
        _add_networks(tables, shop_id, mine, own_counted)
        for month in range(1, 13):
            sold = [one for one in own_counted if one.on.month == month]
            tables["seasonal_sales"][shop_id, month] = {
                "years": len({one.on.year for one in sold}),
                "orders": len(sold),
                "order_rate": _rate(len(sold), len(own_counted)),
                "revenue_amount": _worth(sold),
            }


def _add_overview(
    tables: Mapping[str, Rows],
    shop_id: str,
    buyers: list[list[Purchase]],
    counted: list[Purchase],
    visits: int,
    tenant: Tenant,
    seeds: Seeds,
    as_of: datetime,
) -> None:
    zone = ZoneInfo(tenant.time_zone)
    today = as_of.astimezone(zone)
    firsts = [own[0].at for own in buyers]
    months = [first.astimezone(zone) for first in firsts]
    repeat = sum(len(own) > 1 for own in buyers)
    spent = sum((_worth(own) for own in buyers), ZERO)
    new_days = int(seeds.number(tenant, "new_shop_customer_days"))
    tables["shop_overview"][shop_id,] = {
        "customers": len(buyers),
        "repeat_customers": repeat,
        "repeat_rate": _rate(repeat, len(buyers)),
        "new_customers_this_month": sum(
            (month.year, month.month) == (today.year, today.month) for month in months
        ),
        "new_customers_lately": sum(as_of - first < new_days * DAY for first in firsts),
        "average_lifetime_value": rounded(spent / len(buyers)) if buyers else None,
        "visits": visits,
        "orders": len(counted),
        "revenue_amount": _worth(counted),
    }


def _add_slugs(
    tables: Mapping[str, Rows], shop_id: str, counted: list[Purchase], visits: list[Record]
) -> None:
    order_ids = {one.order.source_order_id for one in counted}
    named: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for visit in visits:
        if (order_id := text_of(visit.values.get("order_id"))) in order_ids and order_id:
            named[order_id].append((visit.seen_at, visit.values["slug"].strip(" ")))
    converted = [min(candidates)[1] for candidates in named.values()]
    visited = [visit.values["slug"].strip(" ") for visit in visits]
    for slug in {*visited, *(one.slug for one in counted if one.slug)}:
        own = [one for one in counted if one.slug == slug]
        tables["slug_performance"][shop_id, slug] = {
            "visits": visited.count(slug),
            "converted_visits": converted.count(slug),
            "conversion_rate": _rate(converted.count(slug), visited.count(slug)),
            "orders": len(own),
            "first_time_orders": sum(one.number == 1 for one in own),
            "repeat_orders": sum((one.number or 0) > 1 for one in own),
            "revenue_amount": _worth(own),
        }


def _add_groups(
    tables: Mapping[str, Rows],
    shop_id: str,
    buyers: list[list[Purchase]],
    seeds: Seeds,
    as_of: datetime,
) -> None:
    measures: dict[str, Callable[[list[Purchase]], int]] = {
        "purchase_frequency": len,
        "purchase_decay": lambda own: days_between(own[-1].at, as_of),
    }
    for dimension, measure in measures.items():
        for bucket, span in seeds.shop_buckets(dimension):
            inside = [own for own in buyers if span.holds(measure(own))]
            tables[dimension][shop_id, bucket] = {
                "customers": len(inside),
                "customer_rate": _rate(len(inside), len(buyers)),
                "orders": sum(len(own) for own in inside),
                "revenue_amount": sum((_worth(own) for own in inside), ZERO),
            }


def _add_networks(
    tables: Mapping[str, Rows],
    shop_id: str,
    buyers: list[list[Purchase]],
    counted: list[Purchase],
) -> None:
    named = [one for one in counted if one.network]
    preferred = [network for own in buyers if (network := _preferred(own))]
    for network in {one.network for one in named}:
        own = [one for one in named if one.network == network]
        fans = preferred.count(network or "")
        tables["network_preference"][shop_id, network] = {
            "customers": fans,
            "customer_rate": _rate(fans, len(preferred)),
            "orders": len(own),
            "order_rate": _rate(len(own), len(named)),
            "revenue_amount": _worth(own),
        }


def _preferred(own: list[Purchase]) -> str | None:
    """The most frequent network, then the latest used, then the first of the alphabet."""
    names = {one.network for one in own if one.network}

    def rank(network: str) -> tuple[int, float, str]:
        used = [one.at for one in own if one.network == network]
        return -len(used), -max(used).timestamp(), network

    return min(names, key=rank, default=None)


def _worth(purchases: Iterable[Purchase]) -> Decimal:
    return sum((one.worth for one in purchases), ZERO)


def _rate(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / whole).quantize(RATE, "ROUND_HALF_UP") if whole else None
