"""Ticket orders of the event organiser, through Eventbrite and Humanitix."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestration.sample.people import (
    EMAIL,
    EMAIL_2,
    PHONE,
    People,
    PlacedOrders,
    subscriber,
    written_email,
    written_phone,
)
from orchestration.sample.world import AS_OF, BLUEGUM, DAY, utc
from orchestration.sample.writers import Landing

_EVENTBRITE_STORIES = {
    "placed": 0.80,
    "refunded": 0.05,
    "one ticket refunded": 0.04,
    "cancelled": 0.03,
    "pending then placed": 0.03,
    "abandoned": 0.03,
    "unpaid": 0.02,
}
_HUMANITIX_STORIES = {
    "paid": 0.76,
    "partiallyRefunded": 0.06,
    "refunded": 0.05,
    "cancelled": 0.04,
    "pending": 0.03,
    "failed": 0.03,
    "test": 0.03,
}
_COUNTED = {"placed", "one ticket refunded", "pending then placed", "paid", "partiallyRefunded"}
_TICKETS = (("General admission", 4_500), ("Concession", 3_000), ("VIP table", 12_500))
_FRIENDS = ("Alex", "Robin", "Sam", "Jo", "Charlie")
_NZD_TO_AUD = 0.92


def write_events(people: People, landing: Landing) -> PlacedOrders:
    """Write every version of the orders and tickets of these people."""
    random = people.stream("events")
    count = len(people.order_person)
    is_eventbrite = random.random(count) < 0.55
    kind = random.choice(len(_TICKETS), size=count, p=(0.6, 0.25, 0.15))
    tickets = random.integers(1, 5, count)
    is_free = random.random(count) < 0.08
    has_code = random.random(count) < 0.15
    price = np.where(is_free, 0, np.array([cents for _, cents in _TICKETS])[kind])
    discount = np.where(has_code, price // 10, 0)
    in_nzd = ~is_eventbrite & (random.random(count) < 0.10)
    eventbrite_story = _draw(random, _EVENTBRITE_STORIES, count)
    humanitix_story = _draw(random, _HUMANITIX_STORIES, count)
    stories = np.where(is_eventbrite, eventbrite_story, humanitix_story).tolist()
    numbers = (people.number[people.order_person] * 32 + people.order_number).tolist()
    references = []
    for row in zip(
        people.order_person.tolist(),
        people.order_at.tolist(),
        numbers,
        is_eventbrite.tolist(),
        stories,
        kind.tolist(),
        tickets.tolist(),
        price.tolist(),
        discount.tolist(),
        in_nzd.tolist(),
        strict=True,
    ):
        person, at, number, through_eventbrite, story, ticket, places, cents, off, nzd = row
        if through_eventbrite:
            references.append(
                _eventbrite(people, landing, person, at, number, story, ticket, places, cents, off)
            )
        else:
            currency = "NZD" if nzd else "AUD"
            references.append(
                _humanitix(
                    people, landing, person, at, number, story, ticket, places, cents, off, currency
                )
            )
    return PlacedOrders(
        person=people.order_person,
        at=people.order_at,
        reference=references,
        cents=((price - discount) * tickets * np.where(in_nzd, _NZD_TO_AUD, 1.0)).astype(np.int64),
        collection=people.collection[people.order_person],
        is_counted=np.isin(stories, list(_COUNTED)),
    )


def _draw(random: np.random.Generator, shares: dict[str, float], count: int) -> Any:
    names = np.array(list(shares))
    return names[random.choice(len(names), size=count, p=list(shares.values()))]


def _buyer_email(people: People, person: int, number: int) -> str:
    second = people.second_email[person]
    kind = EMAIL_2 if second is not None and number % 3 == 0 else EMAIL
    people.truth[person, kind] = True
    email = second if second is not None and kind == EMAIL_2 else people.email[person]
    return written_email(email, number)


def _minor(cents: int) -> dict[str, Any]:
    return {"currency": "AUD", "value": cents, "display": f"A${cents / 100:,.2f}"}


def _eventbrite_costs(cents: int) -> dict[str, Any]:
    fee = cents * 5 // 100
    return {
        "base_price": _minor(cents - fee),
        "gross": _minor(cents),
        "eventbrite_fee": _minor(fee),
        "tax": _minor(0),
        "payment_fee": _minor(0),
    }


def _eventbrite(
    people: People,
    landing: Landing,
    person: int,
    at: int,
    number: int,
    story: str,
    ticket: int,
    places: int,
    cents: int,
    off: int,
) -> str:
    """Write one Eventbrite order with its attendees; its id."""
    order_id = str(20_000_000_000 + number)
    event_id = str(880_000_000 + at // (14 * DAY))
    later = at + (2 + number % 20) * DAY
    first, last = people.first_name[person], people.last_name[person]
    order = {
        "id": order_id,
        "event_id": event_id,
        "name": f"{first} {last}",
        "first_name": first,
        "last_name": last,
        "email": _buyer_email(people, person, number),
        "created": utc(at),
        "changed": utc(at),
        "status": "placed",
        "costs": _eventbrite_costs((cents - off) * places),
        "promo_code": "ENCORE10" if off else None,
    }
    first_status, last_status = {
        "refunded": ("placed", "refunded"),
        "cancelled": ("placed", "cancelled"),
        "pending then placed": ("pending", "placed"),
        "abandoned": ("started", "abandoned"),
        "unpaid": ("unpaid", None),
        "one ticket refunded": ("placed", "placed"),
    }.get(story, ("placed", None))
    landing.add("bluegum", "eventbrite_orders", at, {**order, "status": first_status})
    changes = last_status is not None and later < AS_OF
    if changes:
        newer = {**order, "status": last_status, "changed": utc(later)}
        landing.add("bluegum", "eventbrite_orders", later, newer)
    elif number % 151 == 0 and at < AS_OF - 100 * DAY:
        again = {**order, "status": first_status}
        landing.add("bluegum", "eventbrite_orders", at + 95 * DAY, again)

    for place in range(places):
        friend = _FRIENDS[(number + place) % len(_FRIENDS)]
        attendee: dict[str, Any] = {
            "id": f"{order_id}{place}",
            "order_id": order_id,
            "event_id": event_id,
            "created": utc(at),
            "changed": utc(at),
            "ticket_class_name": _TICKETS[ticket][0],
            "quantity": 1,
            "status": "Attending",
            "cancelled": False,
            "refunded": False,
            "checked_in": False,
            "profile": {
                "name": f"{friend} {last}" if place else f"{first} {last}",
                "email": (
                    f"{friend.lower()}.{number}@friends.example" if place else people.email[person]
                ),
                "cell_phone": None,
            },
            "costs": _eventbrite_costs(cents - off),
        }
        landing.add("bluegum", "eventbrite_attendees", at, attendee)
        if not changes:
            continue
        changed: dict[str, Any] = {**attendee, "changed": utc(later)}
        if story == "refunded" or (story == "one ticket refunded" and place == 0):
            changed |= {"refunded": True, "status": "Not Attending"}
        elif story == "cancelled":
            changed |= {"cancelled": True, "status": "Deleted"}
        else:
            continue
        landing.add("bluegum", "eventbrite_attendees", later, changed)
    return order_id


def _humanitix(
    people: People,
    landing: Landing,
    person: int,
    at: int,
    number: int,
    story: str,
    ticket: int,
    places: int,
    cents: int,
    off: int,
    currency: str,
) -> str:
    """Write one Humanitix order with its tickets; its id."""
    order_id = f"hx{number:022x}"
    later = at + (3 + number % 15) * DAY
    changes = story in ("partiallyRefunded", "refunded", "cancelled") and later < AS_OF
    total = (cents - off) * places
    back = 0
    if changes:
        back = cents - off if story == "partiallyRefunded" and places > 1 else total
    mobile = None
    if int(people.number[person]) % 12 == 7:
        # Sold at a box office, which leaves its own phone.
        office = subscriber(BLUEGUM, int(people.number[person]) // 12 % 3)
        mobile = written_phone(BLUEGUM, office, number)
    elif people.has_phone[person]:
        mobile = written_phone(BLUEGUM, people.phone[person], number)
        people.truth[person, PHONE] = True
    elif number % 61 == 0:
        mobile = "0000000000"

    def totals(refunds: int) -> dict[str, float]:
        return {"refunds": refunds / 100, "total": (total - refunds) / 100}

    order = {
        "_id": order_id,
        "eventId": f"ev{at // (21 * DAY):08x}",
        "firstName": people.first_name[person],
        "lastName": people.last_name[person],
        "email": _buyer_email(people, person, number),
        "mobile": mobile,
        "status": {"pending": "pending", "failed": "failed"}.get(story, "complete"),
        "financialStatus": (
            "pending" if story in ("pending", "failed") else "paid" if total else "free"
        ),
        "currency": currency,
        "purchaseTotals": {
            "subtotal": cents * places / 100,
            "discounts": off * places / 100,
            "taxes": 0.0,
            "total": total / 100,
        },
        "totals": totals(0),
        "discounts": {"discountCode": {"code": "encore10", "discountAmount": off * places / 100}}
        if off
        else {},
        "createdAt": utc(at),
        "completedAt": None if story in ("pending", "failed") else utc(at + 90),
        "updatedAt": utc(at + 90),
        "isTest": story == "test",
    }
    landing.add("bluegum", "humanitix_orders", at, order)
    if changes:
        whole = back == total
        newer = {
            **order,
            "updatedAt": utc(later),
            "totals": totals(back),
            "financialStatus": (
                order["financialStatus"]
                if total == 0
                else "refunded"
                if whole
                else "partiallyRefunded"
            ),
            "status": "cancelled" if story == "cancelled" else "complete",
        }
        landing.add("bluegum", "humanitix_orders", later, newer)

    if story in ("pending", "failed"):
        return order_id
    for place in range(places):
        friend = _FRIENDS[(number + place) % len(_FRIENDS)]
        seat = {
            "_id": f"{order_id}-{place}",
            "orderId": order_id,
            "eventId": order["eventId"],
            "status": "complete",
            "firstName": friend if place else people.first_name[person],
            "lastName": people.last_name[person],
            "email": f"{friend.lower()}.{number}@friends.example" if place else None,
            "ticketTypeName": _TICKETS[ticket][0],
            "price": cents / 100,
            "discount": off / 100,
            "total": (cents - off) / 100,
            "refunded": False,
            "cancelledAt": None,
            "createdAt": utc(at),
            "updatedAt": utc(at + 90),
        }
        landing.add("bluegum", "humanitix_tickets", at, seat)
        if changes and (back == total or place == 0):
            gone = {
                **seat,
                "refunded": True,
                "status": "cancelled",
                "cancelledAt": utc(later),
                "updatedAt": utc(later),
            }
            landing.add("bluegum", "humanitix_tickets", later, gone)
    return order_id
