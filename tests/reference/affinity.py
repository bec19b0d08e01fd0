"""Which collections a customer is drawn to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

from .money import Order, purchase_key
from .records import Record
from .seeds import Seeds


def named_collections(
    orders: Iterable[Order], touchpoints: Iterable[tuple[Record, str | None]]
) -> dict[str, set[str]]:
    """What the purchases among touchpoints and their customers name, by the order they stand for.

    A number that two sources use means the order of the touchpoint's customer, else the first.
    """
    purchases = [
        (record, owner) for record, owner in touchpoints if record.values["type"] == "purchase"
    ]
    keys = {record.record_id: purchase_key(record) for record, _ in purchases}
    meant: dict[tuple[str, str], list[Order]] = {}
    for order in orders:
        key = ("order", order.source_order_id)
        if order.source == "touchpoint":
            key = keys[order.source_order_id]
        meant.setdefault(key, []).append(order)
    named: dict[str, set[str]] = {}
    for record, owner in purchases:
        possible = [
            (order.customer_id != owner, order.order_id)
            for order in meant.get(keys[record.record_id], [])
        ]
        if possible:
            _, order_id = min(possible)
            collection = (record.values.get("collection") or "").strip(" ")
            named.setdefault(order_id, set()).add(collection)
    return named


def scores(
    orders: Iterable[Order],
    touchpoints: Iterable[Record],
    named: Mapping[str, set[str]],
    seeds: Seeds,
) -> dict[str, Decimal]:
    """Points per collection; every purchase counts through its order, once per collection.

    `orders` and `touchpoints` are the customer's; the purchase touchpoints that name an order need
    not name the customer, so what they name comes by order.
    """
    known = seeds.collections()
    counts: Counter[tuple[str, str]] = Counter()
    for touchpoint in touchpoints:
        collection = (touchpoint.values.get("collection") or "").strip(" ")
        if touchpoint.values["type"] != "purchase" and collection in known:
            counts[touchpoint.values["type"], collection] += 1
    for order in orders:
        if not order.is_counted:
            continue
        collections = named.get(order.order_id, set()).intersection(known)
        for collection in collections or set(order.line_collections).intersection(known):
            counts["purchase", collection] += 1
    points: dict[str, Decimal] = {}
    for (kind, collection), count in counts.items():
        worth = count * seeds.affinity_points(kind)
        points[collection] = points.get(collection, Decimal(0)) + worth
    return {collection: worth for collection, worth in points.items() if worth > 0}


def primary(points: dict[str, Decimal], seeds: Seeds) -> str | None:
    """The highest score; ties go to the order of the seed, and no score at all is nobody's."""
    order = seeds.collections()
    return min(points, key=lambda one: (-points[one], order.index(one)), default=None)
