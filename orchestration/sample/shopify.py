"""Shopify orders of the wellness shop: every payment story, told in versions."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestration.sample.people import (
    EMAIL,
    EMAIL_2,
    PHONE,
    SHOPIFY,
    VIP,
    People,
    PlacedOrders,
    written_email,
    written_phone,
)
from orchestration.sample.world import (
    AS_OF,
    DAY,
    PRODUCTS,
    PRODUCTS_PER_COLLECTION,
    berlin,
    money,
)
from orchestration.sample.writers import Landing

STORIES = {
    "paid": 0.60,
    "captured": 0.14,
    "retried": 0.03,
    "partial refund": 0.05,
    "two partial refunds": 0.02,
    "full refund": 0.035,
    "cancelled unpaid": 0.02,
    "cancelled paid": 0.02,
    "pending": 0.02,
    "pending then paid": 0.02,
    "authorized": 0.01,
    "expired": 0.01,
    "partially paid": 0.005,
    "test": 0.02,
}
_STORY_NAMES = tuple(STORIES)
_COUNTED = {
    "paid",
    "captured",
    "retried",
    "partial refund",
    "two partial refunds",
    "pending then paid",
}
_CURRENCIES = ("EUR", "USD", "GBP")
_CURRENCY_SHARES = (0.90, 0.06, 0.04)
_TO_EURO = (1.0, 0.92, 1.17)
# Code, percent off, cents off.
_DISCOUNTS = (
    (None, 0, 0),
    ("WELCOME10", 10, 0),
    ("COMEBACK15", 15, 0),
    ("FRIEND5", 0, 500),
    ("FREESHIP", 0, 0),
    ("ONTHEHOUSE", 100, 0),
    ("MISSYOU15", 15, 0),
)
_NO_CODE, _WELCOME, _COMEBACK, _FRIEND, _FREESHIP, _FREE, _MISS_YOU = range(len(_DISCOUNTS))
_SHIPPING_CENTS, _FREE_SHIPPING_FROM = 490, 6_000
_LANDINGS = (
    (None, None),
    ("/?utm_source=pinterest&utm_medium=social", "https://www.pinterest.com/"),
    ("/collections/grounding", "https://www.google.com/"),
    ("/?ref={ref}", "https://friends.example/"),
    ("/?utm_source=klaviyo&utm_medium=email&utm_campaign=spring", None),
)
FIRST_ORDER_ID = 5_000_000_000_000


def shopify_order_id(number: int, ordinal: int) -> int:
    """The id of somebody's order; everybody has room for 32."""
    return FIRST_ORDER_ID + number * 32 + ordinal


def order_line(order_id: int, position: int, product: int, quantity: int) -> dict[str, Any]:
    """One line of an order; most lines carry their collection as a property."""
    thing = PRODUCTS[product]
    return {
        "id": order_id * 10 + position,
        "product_id": thing.product_id,
        "sku": thing.sku,
        "title": thing.title,
        "quantity": quantity,
        "price": money(thing.cents),
        "total_discount": "0.00",
        "properties": (
            []
            if (order_id + position) % 10 == 0
            else [{"name": "collection", "value": thing.collection}]
        ),
    }


def transaction(
    number: int, kind: str, status: str, cents: int, currency: str, at: int
) -> dict[str, Any]:
    """One movement of money."""
    return {
        "id": number,
        "kind": kind,
        "status": status,
        "amount": money(cents),
        "currency": currency,
        "processed_at": berlin(at),
    }


def refund(
    order: dict[str, Any], ordinal: int, amounts: list[int], at: int, note: str = ""
) -> dict[str, Any]:
    """A refund of these amounts in cents, one transaction each, spread over the first lines."""
    number = order["id"] * 10 + 5 + ordinal
    return {
        "id": number,
        "created_at": berlin(at),
        "note": note,
        "refund_line_items": [
            {
                "id": number * 10 + position,
                "line_item_id": line["id"],
                "quantity": 1,
                "subtotal": money(min(amounts[0], sum(amounts) // 2)),
            }
            for position, line in enumerate(order["line_items"][:2])
        ],
        "transactions": [
            transaction(number * 10 + position, "refund", "success", cents, order["currency"], at)
            for position, cents in enumerate(amounts)
        ],
    }


def with_refund(order: dict[str, Any], given_back: dict[str, Any], status: str, at: int) -> Any:
    """The next version of an order, after a refund. Shopify lists its transactions twice."""
    return {
        **order,
        "updated_at": berlin(at),
        "financial_status": status,
        "refunds": [*order["refunds"], given_back],
        "transactions": [*order["transactions"], *given_back["transactions"]],
    }


def write_orders(people: People, landing: Landing) -> PlacedOrders:
    """Write every version of every order of these people."""
    random = people.stream("shopify")
    person, at = people.order_person, people.order_at
    count = len(person)
    premium = people.archetype[person] == VIP

    home = people.collection[person]
    collection = np.where(random.random(count) < 0.7, home, random.integers(0, 3, count))
    line_counts = random.choice(4, size=count, p=(0.5, 0.3, 0.15, 0.05)) + 1
    best = PRODUCTS_PER_COLLECTION
    column = np.where(
        premium[:, None],
        random.integers(2, best, (count, 4)),
        random.integers(0, best - 1, (count, 4)),
    )
    products = collection[:, None] * best + column
    quantities = np.where(random.random((count, 4)) < 0.85, 1, 2)
    quantities *= np.arange(4) < line_counts[:, None]
    prices = np.array([product.cents for product in PRODUCTS])
    lines_cents = (prices[products] * quantities).sum(axis=1)

    gap = np.diff(at, prepend=at[:1])
    chance = random.random(count)
    is_first = people.order_number == 0
    discount = np.select(
        [
            is_first & (chance < 0.35),
            ~is_first & (gap > 90 * DAY) & (chance < 0.25),
            ~is_first & (gap > 90 * DAY) & (chance < 0.40),
            chance > 0.985,
            chance > 0.955,
            chance > 0.925,
        ],
        [_WELCOME, _COMEBACK, _MISS_YOU, _FREE, _FREESHIP, _FRIEND],
        _NO_CODE,
    )
    percent = np.array([entry[1] for entry in _DISCOUNTS])[discount]
    fixed = np.array([entry[2] for entry in _DISCOUNTS])[discount]
    off = np.minimum(lines_cents, (lines_cents * percent + 50) // 100 + fixed)
    subtotal = lines_cents - off
    ships_free = (subtotal >= _FREE_SHIPPING_FROM) | np.isin(discount, [_FREESHIP, _FREE])
    total = subtotal + np.where(ships_free, 0, _SHIPPING_CENTS)

    currency = random.choice(3, size=len(people), p=_CURRENCY_SHARES)[person]
    story = random.choice(len(STORIES), size=count, p=_normalised(STORIES))
    story[total == 0] = 0
    order_id = FIRST_ORDER_ID + people.number[person] * 32 + people.order_number

    writer = _OrderWriter(people, landing)
    for row in zip(
        person.tolist(),
        at.tolist(),
        order_id.tolist(),
        story.tolist(),
        currency.tolist(),
        discount.tolist(),
        line_counts.tolist(),
        products.tolist(),
        quantities.tolist(),
        off.tolist(),
        subtotal.tolist(),
        total.tolist(),
        random.random((count, 4)).tolist(),
        strict=True,
    ):
        writer.write(*row)
    counted = np.array([name in _COUNTED for name in _STORY_NAMES])
    return PlacedOrders(
        person=person,
        at=at,
        reference=[str(number) for number in order_id.tolist()],
        cents=(total * np.array(_TO_EURO)[currency]).astype(np.int64),
        collection=collection,
        is_counted=counted[story],
    )


def _normalised(shares: dict[str, float]) -> list[float]:
    whole = sum(shares.values())
    return [share / whole for share in shares.values()]


class _OrderWriter:
    """Turns drawn numbers into order objects and their later versions."""

    def __init__(self, people: People, landing: Landing) -> None:
        self.people = people
        self.landing = landing

    def write(
        self,
        person: int,
        at: int,
        order_id: int,
        story: int,
        currency: int,
        discount: int,
        line_count: int,
        products: list[int],
        quantities: list[int],
        off: int,
        subtotal: int,
        total: int,
        chances: list[float],
    ) -> None:
        """Write one order: the first version, then what happened to it before the sample ends."""
        order: dict[str, Any] = {
            "id": order_id,
            "name": f"#{order_id - FIRST_ORDER_ID + 1000}",
            **self._contact(person, order_id, chances[0]),
            "created_at": berlin(at),
            "updated_at": berlin(at),
            "processed_at": berlin(at),
            "cancelled_at": None,
            "cancel_reason": None,
            "test": False,
            "currency": _CURRENCIES[currency],
            "financial_status": "paid",
            "fulfillment_status": "fulfilled" if chances[1] < 0.9 else None,
            "total_price": money(total),
            "subtotal_price": money(subtotal),
            "total_discounts": money(off),
            "total_tax": money(total * 19 // 119),
            "line_items": [
                order_line(order_id, line, products[line], quantities[line])
                for line in range(line_count)
            ],
            "refunds": [],
            "transactions": [],
            "discount_codes": _discount_codes(discount, off, chances[1]),
            **_origin(order_id, chances[2]),
            "tags": "sample",
        }
        is_late = chances[3] < 0.004 and at < AS_OF - 60 * DAY
        for moment, version in _versions(_STORY_NAMES[story], order, at, total, chances[3]):
            if moment >= AS_OF:
                break
            self.landing.add("aurora", "shopify_orders", moment, version, is_late=is_late)
            if chances[3] > 0.985 and moment < AS_OF - 100 * DAY:
                # The same version once more in a later export.
                self.landing.add("aurora", "shopify_orders", moment + 95 * DAY, version)

    def _contact(self, person: int, order_id: int, chance: float) -> dict[str, Any]:
        people = self.people
        email, kind = people.email[person], EMAIL
        second = people.second_email[person]
        if second is not None and chance < 0.4:
            email, kind = second, EMAIL_2
        phone = None
        if people.has_phone[person] and (kind == EMAIL_2 or order_id % 5 < 3):
            phone = written_phone(people.tenant, people.phone[person], order_id)
            people.truth[person, PHONE] = True
        people.truth[person, kind] = True
        is_guest = order_id % 9 == 0 and kind == EMAIL
        name = {"first_name": people.first_name[person], "last_name": people.last_name[person]}
        if order_id % 13 == 0:
            name["first_name"] = f"{name['first_name'][0]}."
        customer = None
        if not is_guest:
            people.truth[person, SHOPIFY] = True
            customer = {
                "id": people.shopify_id(person),
                "email": people.email[person],
                "phone": phone,
                **name,
            }
            people.truth[person, EMAIL] = True
        address = {**name, "city": "Berlin", "country_code": "DE"}
        return {
            "email": written_email(email, order_id),
            "phone": phone
            if phone is None
            else written_phone(people.tenant, people.phone[person], order_id + 1),
            "customer": customer,
            "billing_address": address,
            "shipping_address": (
                {"first_name": "Oma", "last_name": "Lieb", "city": "Kiel", "country_code": "DE"}
                if order_id % 23 == 0
                else address
            ),
        }


def _discount_codes(discount: int, off: int, chance: float) -> list[dict[str, str]]:
    code, percent, _ = _DISCOUNTS[discount]
    if code is None:
        return []
    if chance < 0.2:
        code = code.lower()
    kind = "percentage" if percent else "shipping" if discount == _FREESHIP else "fixed_amount"
    return [{"code": code, "amount": money(off), "type": kind}]


def _origin(order_id: int, chance: float) -> dict[str, Any]:
    site, referrer = _LANDINGS[int(chance * len(_LANDINGS))]
    ref = f"REF{order_id % 1_000:03d}"
    return {
        "landing_site": site and site.format(ref=ref),
        "referring_site": referrer,
        "source_name": "web",
        "note_attributes": [{"name": "ref", "value": ref}] if order_id % 17 == 0 else [],
    }


def _versions(
    story: str, order: dict[str, Any], at: int, total: int, chance: float
) -> list[tuple[int, dict[str, Any]]]:
    """The versions of an order as (time of the version, order object), oldest first."""
    currency = order["currency"]
    base = order["id"] * 10

    def move(number: int, kind: str, status: str, cents: int, when: int) -> dict[str, Any]:
        return transaction(base + number, kind, status, cents, currency, when)

    def changed(when: int, **values: Any) -> tuple[int, dict[str, Any]]:
        return when, {**order, "updated_at": berlin(when), **values}

    later = at + int((1 + chance * 30) * DAY)
    sale = [move(0, "sale", "success", total, at)] if total else []
    paid = at, {**order, "transactions": sale}
    match story:
        case "captured":
            held = [move(0, "authorization", "success", total, at)]
            taken = [*held, move(1, "capture", "success", total, at + DAY)]
            return [
                (at, {**order, "financial_status": "authorized", "transactions": held}),
                changed(at + DAY, transactions=taken),
            ]
        case "retried":
            moves = [move(0, "sale", "failure", total, at), move(1, "sale", "success", total, at)]
            return [(at, {**order, "transactions": moves})]
        case "partial refund":
            back = refund(paid[1], 0, [total // 5, total // 10], later, "damaged")
            return [paid, (later, with_refund(paid[1], back, "partially_refunded", later))]
        case "two partial refunds":
            back = refund(paid[1], 0, [total // 4], later)
            second = later + 5 * DAY
            partly = with_refund(paid[1], back, "partially_refunded", later)
            again = refund(partly, 1, [total // 8, total // 8], second, "goodwill")
            return [
                paid,
                (later, partly),
                (second, with_refund(partly, again, "partially_refunded", second)),
            ]
        case "full refund":
            back = refund(paid[1], 0, [total - total // 3, total // 3], later, "returned")
            return [paid, (later, with_refund(paid[1], back, "refunded", later))]
        case "cancelled unpaid":
            held = [move(0, "authorization", "success", total, at)]
            return [
                (at, {**order, "financial_status": "authorized", "transactions": held}),
                changed(
                    at + DAY,
                    financial_status="voided",
                    cancelled_at=berlin(at + DAY),
                    cancel_reason="inventory",
                    transactions=[*held, move(1, "void", "success", total, at + DAY)],
                ),
            ]
        case "cancelled paid":
            back = refund(paid[1], 0, [total], later, "cancelled")
            gone = with_refund(paid[1], back, "refunded", later)
            return [
                paid,
                (later, {**gone, "cancelled_at": berlin(later), "cancel_reason": "customer"}),
            ]
        case "pending":
            return [(at, {**order, "financial_status": "pending"})]
        case "pending then paid":
            return [
                (at, {**order, "financial_status": "pending"}),
                changed(later, transactions=[move(0, "sale", "success", total, later)]),
            ]
        case "authorized":
            held = [move(0, "authorization", "success", total, at)]
            return [(at, {**order, "financial_status": "authorized", "transactions": held})]
        case "expired":
            held = [move(0, "authorization", "failure", total, at)]
            return [(at, {**order, "financial_status": "expired", "transactions": held})]
        case "partially paid":
            moves = [move(0, "sale", "success", total // 2, at)]
            return [(at, {**order, "financial_status": "partially_paid", "transactions": moves})]
        case "test":
            return [(at, {**order, "test": True, "transactions": sale})]
        case _:
            return [paid]
