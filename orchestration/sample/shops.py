"""Slug shops of the market: orders by phone, and the visits to the slug pages."""

from __future__ import annotations

import numpy as np

from orchestration.sample.people import EMAIL, PHONE, VIP, People, written_email, written_phone
from orchestration.sample.world import AS_OF, DAY, KENTE, LAST, NETWORK_BY_PREFIX, money, utc
from orchestration.sample.writers import Landing

SHOPS = ("akosua", "kofi", "maame", "selorm", "yaa")
NETWORKS = ("MTN", "Telecel", "AirtelTigo")
_PAGES = ("cloth", "beads", "baskets")
_STORIES = {
    "paid": 0.78,
    "partially_refunded": 0.04,
    "refunded": 0.04,
    "cancelled": 0.05,
    "failed": 0.04,
    "pending": 0.03,
    "pending then paid": 0.02,
}
_ORIGINS = (
    (None, None, None, None),
    ("https://wa.me/", "whatsapp", "chat", "status-update"),
    ("https://www.instagram.com/", "instagram", "social", "lookbook"),
    ("https://www.facebook.com/", "facebook", "social", None),
)
_MEAN_EXTRA_VISITS = 3


def write_shops(people: People, landing: Landing) -> None:
    """Write the orders of these people in the slug shops, and their visits."""
    random = people.stream("shops")
    count = len(people.order_person)
    home_shop = random.integers(0, len(SHOPS), len(people))
    moves = random.random(count) < 0.15
    shop = np.where(moves, random.integers(0, len(SHOPS), count), home_shop[people.order_person])
    cents = random.integers(15, 120, count) * 100 + random.choice([0, 50], count)
    cents = np.where(people.archetype[people.order_person] == VIP, cents * 4, cents)
    cents = np.where(random.random(count) < 0.02, 0, cents)
    stories = list(_STORIES)
    story = random.choice(len(stories), size=count, p=list(_STORIES.values()))
    gives_email = random.random(len(people)) < 0.15
    for person, at, ordinal, place, price, fate, chance in zip(
        people.order_person.tolist(),
        people.order_at.tolist(),
        people.order_number.tolist(),
        shop.tolist(),
        cents.tolist(),
        story.tolist(),
        random.random(count).tolist(),
        strict=True,
    ):
        number = int(people.number[person]) * 32 + ordinal
        order_id = f"so-{number:09d}"
        slug = f"{SHOPS[place]}-{_PAGES[number % len(_PAGES)]}"
        email = None
        if gives_email[person]:
            email = written_email(people.email[person], number)
            people.truth[person, EMAIL] = True
        people.truth[person, PHONE] = True
        network = NETWORK_BY_PREFIX[people.phone[person][:2]]
        if chance < 0.1:
            network = NETWORKS[number % len(NETWORKS)]
        _write_order(
            landing,
            at,
            stories[fate],
            price,
            {
                "id": order_id,
                "shop_id": f"shop-{SHOPS[place]}",
                "slug": slug,
                "phone_number": written_phone(KENTE, people.phone[person], number),
                "email": email,
                "customer_name": f"{people.first_name[person]} {people.last_name[person]}",
                "network": network if chance < 0.95 else None,
                "total_price": money(price),
                "currency": "GHS",
                "payment_method": "mobile_money" if chance < 0.9 else "cash",
                "status": "paid",
                "refunded_amount": None,
                "created_at": utc(at),
                "updated_at": utc(at),
                **_origin(number),
            },
            is_late=chance > 0.994,
        )
        if number % 10 < 7:
            visit = _visit(people, person, place, number, at - 240)
            landing.add_mapping(
                "kente", "shop_visits", at - 240, {**visit, "slug": slug, "order_id": order_id}
            )
    _write_idle_visits(people, landing, home_shop.tolist(), random)


def _origin(number: int) -> dict[str, str | None]:
    names = ("referrer", "utm_source", "utm_medium", "utm_campaign")
    return dict(zip(names, _ORIGINS[number % len(_ORIGINS)], strict=True))


def _write_order(
    landing: Landing,
    at: int,
    story: str,
    cents: int,
    order: dict[str, str | None],
    *,
    is_late: bool,
) -> None:
    """Write the first version of an order, and the one that a refund or the like made of it."""
    first = "pending" if story in ("pending", "pending then paid", "failed") else "paid"
    is_late = is_late and at < AS_OF - 60 * DAY
    landing.add_mapping("kente", "shop_orders", at, {**order, "status": first}, is_late=is_late)
    later = at + (1 + cents // 100 % 12) * DAY
    last = "paid" if story == "pending then paid" else story
    if last == first or later >= AS_OF:
        return
    back = None
    if story == "partially_refunded":
        back = money(cents // 3)
    elif story == "refunded" and cents % 200 == 0:
        back = money(cents)
    newer = {**order, "status": last, "refunded_amount": back, "updated_at": utc(later)}
    landing.add_mapping("kente", "shop_orders", later, newer, is_late=is_late)


def _visit(people: People, person: int, shop: int, number: int, at: int) -> dict[str, str | None]:
    is_known = number % 4 == 0
    if is_known:
        people.truth[person, PHONE] = True
    return {
        "id": f"sv-{number:010d}-{at}",
        "shop_id": f"shop-{SHOPS[shop]}",
        "slug": f"{SHOPS[shop]}-{_PAGES[number % len(_PAGES)]}",
        "session": f"s-{number:010x}",
        "phone": written_phone(KENTE, people.phone[person], number) if is_known else None,
        "email": None,
        "accessed_at": utc(at),
        **_origin(number),
    }


def _write_idle_visits(
    people: People, landing: Landing, home_shop: list[int], random: np.random.Generator
) -> None:
    """Write visits that end in no order; a few have no id and come twice, as pages reload."""
    counts = random.poisson(_MEAN_EXTRA_VISITS, len(people))
    person = np.repeat(np.arange(len(people)), counts)
    span = np.maximum(people.last_seen - people.first_seen, DAY)[person]
    at = people.first_seen[person] + (random.random(len(person)) * span).astype(np.int64)
    at = np.minimum(at, LAST)
    for row, (who, when) in enumerate(zip(person.tolist(), at.tolist(), strict=True)):
        number = int(people.number[who]) * 32 + row % 32
        visit = _visit(people, who, home_shop[who], number, when)
        if row % 50 == 0:
            visit["id"] = None
            landing.add_mapping("kente", "shop_visits", when, visit)
        landing.add_mapping("kente", "shop_visits", when, visit)
