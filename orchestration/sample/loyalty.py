"""Loyalty, gifts and coupons of the wellness shop."""

from __future__ import annotations

import hashlib

import numpy as np

from orchestration.sample.people import EMAIL, People, PlacedOrders, written_email
from orchestration.sample.world import AS_OF, DAY, LAST, utc
from orchestration.sample.writers import Landing

REWARDS = ("reward-5-off", "reward-free-shipping", "reward-mug", "reward-vip-preview")
_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

# code, type, value, buy, get, limit, per customer, minimum amount, minimum quantity,
# collections, first time only, starts, expires
_COUPONS = (
    ("WELCOME10", "percentage", 10, None, None, None, 1, None, None, None, True, None, None),
    ("COMEBACK15", "percentage", 15, None, None, None, None, None, None, None, False, None, None),
    ("FRIEND5", "fixed_amount", 5, None, None, None, None, 25, None, None, False, None, None),
    ("FREESHIP", "free_shipping", None, None, None, 200, None, None, None, None, False, None, None),
    ("ONTHEHOUSE", "percentage", 100, None, None, 40, 1, None, None, None, False, None, None),
    (
        "GROUND2FOR1",
        "buy_x_get_y",
        None,
        2,
        1,
        None,
        None,
        None,
        3,
        '["grounding"]',
        False,
        "2025-06-01T00:00:00Z",
        "2025-09-01T00:00:00Z",
    ),
    (
        "SUMMER25",
        "percentage",
        25,
        None,
        None,
        None,
        1,
        50,
        None,
        None,
        False,
        "2026-06-01T00:00:00Z",
        "2026-09-01T00:00:00Z",
    ),
    ("MISSYOU15", "percentage", 15, None, None, None, 1, 20, None, None, False, None, None),
)


def write_coupons(landing: Landing) -> None:
    """Write the discount codes of the tenants that have some, with a later version of two."""
    created = AS_OF - 540 * DAY
    for number, coupon in enumerate(_COUPONS, start=1):
        code, kind, value, buy, get, limit, personal, amount, pieces, within, first, start, end = (
            coupon
        )
        row = {
            "id": f"coupon-{number}",
            "code": code,
            "discount_type": kind,
            "value": value,
            "buy_quantity": buy,
            "get_quantity": get,
            "usage_limit": limit,
            "usage_limit_per_customer": personal,
            "minimum_purchase_amount": amount,
            "minimum_quantity": pieces,
            "restricted_collections": within,
            "restricted_products": None,
            "first_time_only": "true" if first else "false",
            "starts_at": start or "2025-01-01T00:00:00Z",
            "expires_at": end,
            "status": "active",
            "updated_at": utc(created),
        }
        landing.add_mapping("aurora", "coupons", created, row)
        if code in ("FRIEND5", "GROUND2FOR1"):
            changed = AS_OF - 60 * DAY
            status = "paused" if code == "FRIEND5" else "expired"
            newer = {**row, "status": status, "updated_at": utc(changed)}
            landing.add_mapping("aurora", "coupons", changed, newer)
    landing.add_mapping(
        "bluegum",
        "coupons",
        created,
        {
            "id": "coupon-1",
            "code": "ENCORE10",
            "discount_type": "percentage",
            "value": 10,
            "first_time_only": "false",
            "starts_at": "2025-01-01T00:00:00Z",
            "status": "active",
            "updated_at": utc(created),
        },
    )


def referral_code(tenant_id: str, email: str) -> str:
    """The code that the warehouse gives a member whom it first knew by this address.

    Follows macros/hash_id.sql and macros/referral_code.sql: a shop shows its members the code from
    the warehouse, and so the sample's friends can use it.
    """

    def hash_id(*parts: str) -> str:
        joined = "".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest()

    customer_id = hash_id(tenant_id, "email", email)
    digits = bytes.fromhex(hash_id(tenant_id, customer_id)[:16])
    return "".join(_CODE_LETTERS[(byte >> 7) * 16 + (byte & 15)] for byte in digits)


def _code(random: np.random.Generator, length: int) -> str:
    return "".join(_CODE_LETTERS[letter] for letter in random.integers(0, 32, length).tolist())


def write_loyalty(people: People, orders: PlacedOrders, landing: Landing) -> None:
    """Write points given by hand, reward requests, referrals and gifts around these orders."""
    random = people.stream("loyalty")
    chances = random.random((len(orders.person), 4)).tolist()
    members = np.unique(orders.person[people.has_profile[orders.person]]).tolist() or [0]
    is_last = np.append(orders.person[1:] != orders.person[:-1], True)[: len(orders.person)]
    for row, (person, at, reference, last) in enumerate(
        zip(
            orders.person.tolist(),
            orders.at.tolist(),
            orders.reference,
            is_last.tolist(),
            strict=True,
        )
    ):
        by_reward, by_adjustment, by_referral, by_gift = chances[row]
        number = int(people.number[person])
        email = people.email[person]
        key = f"{number:08d}-{row % 32}-{at}"
        if last and by_reward < 0.12:
            people.truth[person, EMAIL] = True
            moment = min(at + int(by_reward * 100 + 1) * DAY, LAST)
            reward = "reward-unknown" if by_reward < 0.002 else REWARDS[number % len(REWARDS)]
            request = (f"redeem-{key}", written_email(email, number), None, reward, utc(moment))
            landing.add("aurora", "redemption_requests", moment, request)
            if by_reward < 0.02:
                landing.add(
                    "aurora", "redemption_requests", moment, (f"redeem-{key}-2", *request[1:])
                )
        if by_adjustment < 0.06:
            people.truth[person, EMAIL] = True
            moment = min(at + 2 * DAY, LAST)
            kind, points, reason = (
                ("earn_birthday", 100, "birthday"),
                ("earn_bonus", 50, "event guest"),
                ("adjustment", -30, "given twice"),
                ("adjustment", 25, "late parcel"),
            )[number % 4]
            landing.add(
                "aurora",
                "loyalty_adjustments",
                moment,
                (f"adjust-{key}", email, None, kind, points, reason, utc(moment)),
            )
        if by_referral < 0.03:
            if by_referral < 0.002:
                code = _code(random, 8)
            elif by_referral < 0.004:
                code = referral_code("aurora", email)
            else:
                code = referral_code("aurora", people.email[members[row % len(members)]])
            has_ordered = by_referral < 0.024
            landing.add(
                "aurora",
                "referrals",
                at,
                (
                    f"referral-{key}",
                    code,
                    email if has_ordered else f"friend.{number}@example.net",
                    None,
                    reference if has_ordered else None,
                    utc(at),
                ),
            )
        if by_gift < 0.03:
            _write_gift(people, landing, random, person, at, reference, key, by_gift)


def _write_gift(
    people: People,
    landing: Landing,
    random: np.random.Generator,
    person: int,
    at: int,
    reference: str,
    key: str,
    chance: float,
) -> None:
    recipient = f"gifted.{int(people.number[person])}@example.net"
    people.truth[person, EMAIL] = True
    scheduled = at + int(chance * 3_000) * DAY if chance > 0.01 else None
    landing.add(
        "aurora",
        "gifts",
        at,
        (
            f"gift-{key}",
            reference,
            people.email[person],
            f"{people.first_name[person]} {people.last_name[person]}",
            recipient,
            "A friend",
            'For you, with "love", and tea' if chance < 0.02 else "Enjoy",
            None if scheduled is None else utc(scheduled),
            utc(at),
        ),
    )
    claimed = (scheduled or at) + 4 * DAY
    if chance < 0.018 and claimed < AS_OF:
        code = f"GIFT-{_code(random, 4)}-{_code(random, 4)}"
        landing.add(
            "aurora", "gift_claims", claimed, (f"claim-{key}", code, recipient, utc(claimed))
        )
