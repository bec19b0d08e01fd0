"""Two people whose story is the same in every sample: Mara, who comes back, and Jonas, who has not.

They are the first two customers of the wellness shop at any size and seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from orchestration.sample.loyalty import referral_code
from orchestration.sample.people import SHARED_PHONES, e164, subscriber, written_phone
from orchestration.sample.shopify import (
    order_line,
    refund,
    shopify_order_id,
    transaction,
    with_refund,
)
from orchestration.sample.touchpoint_rows import touchpoint_table
from orchestration.sample.world import (
    AURORA,
    PRODUCTS,
    SOURCES,
    berlin,
    money,
    period_of,
    utc,
)
from orchestration.sample.writers import Landing

HERO_EMAIL = "mara.lindqvist@example.com"
HERO_WORK_EMAIL = "m.lindqvist@work.example"
WAITING_EMAIL = "jonas.petersen@example.com"
STORY_PEOPLE = 2

_PHONES = [subscriber(AURORA, number + SHARED_PHONES) for number in range(STORY_PEOPLE)]
_NAMES = (("Mara", "Lindqvist"), ("Jonas", "Petersen"))
_EMAILS = (HERO_EMAIL, WAITING_EMAIL)


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def write_story(landing: Landing) -> Iterator[tuple[str, str, str, str]]:
    """Write both stories; yields the truth rows of both people."""
    touchpoints = [*_mara(landing), *_jonas(landing)]
    by_month: dict[str, list[dict[str, Any]]] = {}
    for number, touchpoint in enumerate(touchpoints):
        month = period_of(SOURCES["touchpoints"].period, touchpoint["occurred_at"])
        by_month.setdefault(month, []).append({"id": f"tp-story-{number:03d}", **touchpoint})
    for month, rows in by_month.items():
        landing.add_table("aurora", "touchpoints", month, touchpoint_table(rows))
    identifiers = (
        (0, "email", HERO_EMAIL),
        (0, "email", HERO_WORK_EMAIL),
        (0, "phone", e164(AURORA, _PHONES[0])),
        (0, "shopify_customer_id", str(_customer_id(0))),
        (0, "klaviyo_profile_id", "01KLMARA"),
        (0, "anonymous_id", "anon-mara-phone"),
        (0, "anonymous_id", "anon-mara-laptop"),
        (1, "email", WAITING_EMAIL),
        (1, "phone", e164(AURORA, _PHONES[1])),
        (1, "shopify_customer_id", str(_customer_id(1))),
        (1, "klaviyo_profile_id", "01KLJONAS"),
    )
    for who, kind, identifier in identifiers:
        yield "aurora", f"aurora-{who}", kind, identifier


def _customer_id(who: int) -> int:
    return 6_000_000_000_000 + who


def _order(
    who: int,
    ordinal: int,
    when: str,
    products: list[int],
    *,
    code: tuple[str, int] | None = None,
    guest_email: str | None = None,
) -> tuple[int, dict[str, Any], int]:
    """(time, paid order object, total in cents); `code` is (discount code, percent)."""
    at = _at(when)
    order_id = shopify_order_id(who, ordinal)
    first, last = _NAMES[who]
    lines = sum(PRODUCTS[product].cents for product in products)
    off = lines * code[1] // 100 if code else 0
    total = lines - off
    phone = written_phone(AURORA, _PHONES[who], ordinal)
    customer = {
        "id": _customer_id(who),
        "email": _EMAILS[who],
        "phone": phone,
        "first_name": first,
        "last_name": last,
    }
    address = {"first_name": first, "last_name": last, "city": "Hamburg", "country_code": "DE"}
    order = {
        "id": order_id,
        "name": f"#{1000 + who * 32 + ordinal}",
        "email": guest_email or _EMAILS[who],
        "phone": phone,
        "created_at": berlin(at),
        "updated_at": berlin(at),
        "processed_at": berlin(at),
        "cancelled_at": None,
        "cancel_reason": None,
        "test": False,
        "currency": "EUR",
        "financial_status": "paid",
        "fulfillment_status": "fulfilled",
        "total_price": money(total),
        "subtotal_price": money(total),
        "total_discounts": money(off),
        "total_tax": money(total * 19 // 119),
        "customer": None if guest_email else customer,
        "line_items": [
            {
                **order_line(order_id, line, product, 1),
                "properties": [{"name": "collection", "value": PRODUCTS[product].collection}],
            }
            for line, product in enumerate(products)
        ],
        "refunds": [],
        "transactions": [transaction(order_id * 10, "sale", "success", total, "EUR", at)],
        "discount_codes": (
            [{"code": code[0], "amount": money(off), "type": "percentage"}] if code else []
        ),
        "shipping_address": address,
        "billing_address": address,
        "landing_site": "/collections/grounding",
        "referring_site": None,
        "source_name": "web",
        "note_attributes": [],
        "tags": "sample",
    }
    return at, order, total


def _mara(landing: Landing) -> list[dict[str, Any]]:
    """Finds the shop on Pinterest, buys, drifts off, is won back, becomes a VIP."""
    phone_browser, laptop = "anon-mara-phone", "anon-mara-laptop"
    touchpoints: list[dict[str, Any]] = []

    def touch(when: str, kind: str, channel: str, **values: Any) -> None:
        touchpoints.append({"type": kind, "channel": channel, "occurred_at": _at(when), **values})

    def buy(ordinal: int, when: str, products: list[int], **how: Any) -> tuple[dict[str, Any], int]:
        at, order, total = _order(0, ordinal, when, products, **how)
        landing.add("aurora", "shopify_orders", at, order)
        return order, total

    pin = {"reference_type": "pin", "reference_id": "pin-cedar", "collection": "grounding"}
    pins = {"utm_source": "pinterest", "utm_medium": "social", "utm_campaign": "pins", **pin}
    touch("2025-02-03 18:20", "pin_click", "pinterest", anonymous_id=phone_browser, **pins)
    touch("2025-02-03 18:21", "page_view", "pinterest", anonymous_id=phone_browser)
    touch("2025-02-05 20:02", "pin_save", "pinterest", anonymous_id=phone_browser, **pin)
    touch(
        "2025-02-07 07:45",
        "page_view",
        "direct",
        anonymous_id=phone_browser,
        collection="grounding",
        metadata='{"url": "/collections/grounding"}',
    )
    known = {"anonymous_id": phone_browser, "email": HERO_EMAIL}
    touch("2025-02-09 19:10", "quiz_start", "organic", anonymous_id=phone_browser)
    touch("2025-02-09 19:14", "quiz_complete", "organic", **known, collection="grounding")
    touch("2025-02-09 19:15", "lead_capture", "organic", **known)
    captured = _at("2025-02-09 19:15")
    landing.add(
        "aurora",
        "leads",
        captured,
        (
            "lead-mara",
            " Mara.Lindqvist@Example.com",
            "Mara",
            "Lindqvist",
            None,
            "quiz",
            utc(captured),
        ),
    )
    profile = {
        "id": "01KLMARA",
        "email": HERO_EMAIL,
        "first_name": "Mara",
        "last_name": "Lindqvist",
        "email_consent": "subscribed",
        "email_consent_at": utc(captured),
        "sms_consent": "never_subscribed",
        "email_suppressed": "false",
        "created": utc(captured),
        "updated": utc(captured),
    }
    landing.add_mapping("aurora", "klaviyo_profiles", captured, profile)

    welcome = {"reference_type": "campaign", "reference_id": "campaign-welcome"}
    mail = {"email": HERO_EMAIL, "klaviyo_profile_id": "01KLMARA"}
    touch("2025-02-12 06:58", "email_open", "email", **mail, **welcome)
    touch("2025-02-12 06:59", "email_click", "email", **mail, **welcome)
    touch("2025-02-12 07:04", "cart_add", "email", **known, collection="grounding", value=3_600)
    order, total = buy(0, "2025-02-14 18:31", [0, 2], code=("WELCOME10", 10))
    touch(
        "2025-02-14 18:31",
        "purchase",
        "email",
        email=HERO_EMAIL,
        shopify_customer_id=str(_customer_id(0)),
        reference_type="order",
        reference_id=str(order["id"]),
        value=total,
        collection="grounding",
    )
    touch("2025-02-26 12:00", "review", "direct", **mail, metadata='{"stars": 5}')

    # From the office: another address, no account, the same phone; one candle comes back broken.
    order, _ = buy(1, "2025-04-02 11:15", [3, 7, 6, 5], guest_email=HERO_WORK_EMAIL)
    returned = _at("2025-04-15 09:00")
    back = refund(order, 0, [PRODUCTS[5].cents], returned, "arrived broken")
    landing.add(
        "aurora",
        "shopify_orders",
        returned,
        with_refund(order, back, "partially_refunded", returned),
    )
    touch("2025-04-02 11:02", "page_view", "direct", anonymous_id=laptop)
    touch("2025-04-16 09:30", "support_ticket", "email", email=HERO_WORK_EMAIL)
    touch("2025-05-10 21:12", "page_view", "organic", anonymous_id=laptop, email=HERO_EMAIL)

    # Four quiet months, then a letter brings her back.
    miss = {"reference_type": "campaign", "reference_id": "campaign-comeback"}
    touch("2025-09-10 07:02", "email_open", "email", **mail, **miss)
    touch("2025-09-10 07:03", "email_click", "email", **mail, **miss)
    order, total = buy(2, "2025-09-11 20:40", [1, 6, 10], code=("comeback15", 15))
    touch(
        "2025-09-11 20:40",
        "purchase",
        "email",
        email=HERO_EMAIL,
        reference_type="order",
        reference_id=str(order["id"]),
        value=total,
        collection="grounding",
    )
    order, _ = buy(3, "2025-12-05 17:22", [4, 8, 2])
    birthday_gift = ("Happy birthday, dear Nora", "2025-12-20T08:00:00Z")
    _give(landing, "gift-mara", order, "2025-12-05 17:30", *birthday_gift)
    recommended = _at("2025-10-20 12:00")
    landing.add(
        "aurora",
        "referrals",
        recommended,
        (
            "referral-mara",
            referral_code("aurora", HERO_EMAIL),
            WAITING_EMAIL,
            None,
            str(shopify_order_id(1, 0)),
            utc(recommended),
        ),
    )
    birthday = _at("2026-05-04 08:00")
    landing.add(
        "aurora",
        "loyalty_adjustments",
        birthday,
        ("adjust-mara", HERO_EMAIL, None, "earn_birthday", 100, "birthday", utc(birthday)),
    )
    landing.add(
        "aurora",
        "static_segment_members",
        birthday,
        ("founders-circle", HERO_EMAIL, None, utc(birthday), None),
    )
    touch("2026-03-08 10:00", "email_open", "email", **mail)
    buy(4, "2026-03-09 19:05", [12, 0])
    touch("2026-06-17 06:40", "email_click", "email", **mail)
    order, _ = buy(5, "2026-06-18 20:15", [9, 1])
    _give(landing, "gift-mara-2", order, "2026-06-18 20:20", "Just because", None)
    asked = _at("2026-06-20 09:00")
    landing.add(
        "aurora",
        "redemption_requests",
        asked,
        ("redeem-mara", HERO_EMAIL, None, "reward-mug", utc(asked)),
    )
    touch("2026-06-27 08:15", "page_view", "direct", anonymous_id=laptop, email=HERO_EMAIL)
    return touchpoints


def _give(
    landing: Landing,
    gift_id: str,
    order: dict[str, Any],
    when: str,
    message: str,
    deliver_at: str | None,
) -> None:
    """A gift of Mara's to a friend who is no customer."""
    given = _at(when)
    landing.add(
        "aurora",
        "gifts",
        given,
        (
            gift_id,
            str(order["id"]),
            HERO_EMAIL,
            "Mara Lindqvist",
            "nora.berg@example.net",
            "Nora Berg",
            message,
            deliver_at,
            utc(given),
        ),
    )


def _jonas(landing: Landing) -> list[dict[str, Any]]:
    """Bought twice, reads no more: the one a win-back letter is for."""
    for ordinal, when, products in (
        (0, "2025-10-20 12:00", [6, 2]),
        (1, "2026-02-10 19:45", [8]),
    ):
        at, order, _ = _order(1, ordinal, when, products)
        landing.add("aurora", "shopify_orders", at, order)
    joined = _at("2025-10-20 12:00")
    landing.add_mapping(
        "aurora",
        "klaviyo_profiles",
        joined,
        {
            "id": "01KLJONAS",
            "email": WAITING_EMAIL,
            "phone_number": written_phone(AURORA, _PHONES[1], 1),
            "first_name": "Jonas",
            "last_name": "Petersen",
            "email_consent": "subscribed",
            "email_consent_at": utc(joined),
            "sms_consent": "never_subscribed",
            "email_suppressed": "false",
            "created": utc(joined),
            "updated": utc(joined),
        },
    )
    mail = {"email": WAITING_EMAIL, "klaviyo_profile_id": "01KLJONAS"}
    return [
        {
            "type": kind,
            "channel": channel,
            "occurred_at": _at(when),
            "collection": "wholeness",
            **mail,
        }
        for kind, channel, when in (
            ("page_view", "direct", "2025-10-20 11:40"),
            ("email_open", "email", "2026-01-15 07:00"),
            ("email_click", "email", "2026-02-10 19:20"),
            ("page_view", "direct", "2026-05-10 21:00"),
        )
    ]
