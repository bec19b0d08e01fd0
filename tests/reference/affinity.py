"""Which collections a customer is drawn to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from .money import Order, purchase_key
from .records import Record, of_source
from .seeds import Seeds


def scores(
    orders: Iterable[Order],
    touchpoints: Iterable[Record],
    all_records: Iterable[Record],
    seeds: Seeds,
) -> dict[str, Decimal]:
    """Points per collection; every purchase counts through its order, once per collection.

    `orders` and `touchpoints` are the customer's; the purchase touchpoints that name an order are
    looked for among all records, for they need not name the customer.
    """
    known = seeds.collections()
    counts: Counter[tuple[str, str]] = Counter()
    for touchpoint in touchpoints:
        collection = (touchpoint.values.get("collection") or "").strip(" ")
        if touchpoint.values["type"] != "purchase" and collection in known:
            counts[touchpoint.values["type"], collection] += 1
    named: dict[tuple[str, str], set[str]] = {}
    own_keys: dict[str, tuple[str, str]] = {}
    for purchase in of_source(all_records, "touchpoints"):
        if purchase.values["type"] == "purchase":
            key = purchase_key(purchase)
            own_keys[purchase.record_id] = key
            named.setdefault(key, set()).add((purchase.values.get("collection") or "").strip(" "))
    for order in orders:
        if not order.is_counted:
            continue
        key = ("order", order.source_order_id)
        if order.source == "touchpoint":
            key = own_keys[order.source_order_id]
        collections = named.get(key, set()).intersection(known)
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
